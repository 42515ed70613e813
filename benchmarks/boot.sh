#!/usr/bin/env bash
# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

# Measure how long a partition image takes from a blank disk to one that
# boots: the partitions, the image, the boot loader; beside it
# ironic-python-agent, with its option enable_bios_bootloader_install on.
# `benchmarks/boot.sh --help` lists the options.

set -euo pipefail

source "$(dirname "${BASH_SOURCE[0]}")/../tools/environment.sh"

for_root benchmarks/boot.sh 'it makes loop devices' benchmark lab test

cd "$CHECKOUT"
exec python -m benchmarks.boot "$@"
