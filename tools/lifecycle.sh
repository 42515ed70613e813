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

# What may happen to a node while it is deployed, with a real Ironic and Glance
# and simulated machines: each with direct and with imagedeploy, compared.
# Ends with the counts. Arguments go to `stestr run`.

set -euo pipefail

tools=$(dirname "${BASH_SOURCE[0]}")
source "$tools/environment.sh"
source "$tools/counts.sh"

for_root tools/lifecycle.sh 'it makes a namespace' lifecycle
scratch_folder

cd "$CHECKOUT"
exec 3> >(exec tee "$TMPDIR/log")
tee=$!
# All services are in the namespace of the first process, and end with it.
setpriv --pdeathsig KILL \
    unshare --mount --pid --mount-proc --fork --kill-child \
    stestr --test-path ./tests/lifecycle run --serial "$@" <&0 >&3 2>&3 3>&- &
tests=$!
exec 3>&-
status=0
wait "$tests" || status=$?
wait "$tee"
count_tests "$TMPDIR/log" "$status" "stestr run $*"
show_counts
