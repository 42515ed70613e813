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

# Long runs in which nothing may grow: memory, descriptors, threads, loop
# devices, temporary files.
#
#   tools/soak.sh [SECONDS [DEPLOYMENTS]]
#
# Writes and failures through the engine for so many seconds (300 by default;
# an hour is 3600), then so many deployments in a row through real conductors
# with simulated machines (100). Ends with what was held at the beginning, after
# a third, and at the end.

set -euo pipefail

source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

for_root tools/soak.sh 'it makes loop devices and a namespace' test lifecycle

cd "$CHECKOUT"
export IMAGEDEPLOY_SOAK=${1:-300} LIFECYCLE_SOAK=${2:-100}
status=0
TMPDIR=${TMPDIR:-/dev/shm} python -m unittest -v \
    tests.functional.test_soak || status=1
[ "$LIFECYCLE_SOAK" -eq 0 ] && exit "$status"
scratch_folder
# All services are in the namespace of the first process, and end with it.
setpriv --pdeathsig KILL \
    unshare --mount --pid --mount-proc --fork --kill-child \
    python -m unittest -v tests.lifecycle.test_soak <&0 &
wait $! || status=1
exit "$status"
