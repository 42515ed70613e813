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

# Deploy an image to hundreds of simulated nodes at once, with imagedeploy and
# with direct, by a real Ironic and Glance, and count what it costs.
# `benchmarks/load.sh --help` lists the options.

set -euo pipefail

source "$(dirname "${BASH_SOURCE[0]}")/../tools/environment.sh"

for_root benchmarks/load.sh 'it makes a namespace' lifecycle
scratch_folder

cd "$CHECKOUT"
# All services are in the namespace of the first process, and end with it.
setpriv --pdeathsig KILL \
    unshare --mount --pid --mount-proc --fork --kill-child \
    python -m benchmarks.load "$@" <&0 &
wait $!
