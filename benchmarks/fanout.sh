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

# Write one image to many nodes at once, over links with a speed: with
# neighbours, without them, and by the download of ironic-python-agent.
# `benchmarks/fanout.sh --help` lists the options.

set -euo pipefail

source "$(dirname "${BASH_SOURCE[0]}")/../tools/environment.sh"

for_root benchmarks/fanout.sh 'it makes namespaces' benchmark
scratch_folder

cd "$CHECKOUT"
# All nodes are in the namespaces of the first process, and end with it.
setpriv --pdeathsig KILL \
    unshare --mount --net --pid --mount-proc --fork --kill-child \
    python -m benchmarks.fanout "$@" <&0 &
wait $!
