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

# Boot what the agent side deploys in virtual machines: Debian's signed kernel,
# shim and grub2 with secure boot, and Debian with BIOS; each also with the
# menu and the boot loader that the deployed system makes for itself. A system
# for arm64 as well, with and without secure boot.
#
#   tools/boot.sh [REGEX]   only the tests that match

set -euo pipefail

source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

for_root tools/boot.sh 'it makes loop devices' boot lab test

cd "$CHECKOUT"
export IMAGEDEPLOY_BOOT=1
# Disks in memory, unless somebody says where.
export TMPDIR=${TMPDIR:-/dev/shm}
exec stestr --test-path ./tests/functional run --serial \
    "tests.functional.test_boot.*${1:-}"
