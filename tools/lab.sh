#!/bin/bash
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

# A real deployment on one machine: Ironic, Glance, a Redfish BMC, a UEFI
# virtual machine. `tools/lab.sh --help` lists the options.

set -euo pipefail

# A shell cannot trap a signal that was ignored when it started, as SIGINT is
# in the background of a script.
if [ -z "${LAB_PID:-}" ]; then
    LAB_PID=$$ exec env --default-signal=INT,TERM bash "$0" "$@"
fi

source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

for_root tools/lab.sh 'it makes namespaces and a bridge' lab

state=$(mktemp -d -t ironic-imagedeploy-lab.XXXXXX)
lab=

# The lab's processes, mounts, bridge and taps live in namespaces of its own
# and end with the first process in there; only the files are left to remove.
clean_up() {
    local first
    trap '' INT TERM
    if [ -n "$lab" ]; then
        first=$(cat "/proc/$lab/task/$lab/children" 2>/dev/null || true)
        kill -KILL "$lab" 2>/dev/null || true
        wait "$lab" 2>/dev/null || true
        for _ in {1..100}; do
            [ -n "$first" ] && kill -0 $first 2>/dev/null || break
            sleep 0.1
        done
    fi
    rm -rf "$state"
}
trap clean_up EXIT
trap 'echo "interrupted" >&2; exit 130' INT
trap 'echo "terminated" >&2; exit 143' TERM

cd "$CHECKOUT"
(
    export LAB_PID=$BASHPID
    exec setpriv --pdeathsig KILL \
        unshare --mount --pid --mount-proc --fork --kill-child \
        python -m tests.lab --state-dir "$state" "$@"
) <&0 &
lab=$!
status=0
wait "$lab" || status=$?
lab=
exit "$status"
