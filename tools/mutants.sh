#!/usr/bin/env bash
#
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


# Change the code at one place after the other, and see whether a test fails.
#
#   tools/mutants.sh [--sample N] [--seed S] [--tests "MODULE..."] [--folder]
#                    NAME...
#
# NAME is a module below ironic_imagedeploy, as engine/transfer/chunk_plan, or
# a folder with all of its modules. The tests of a module are those whose names
# begin like it (tests/unit/.../test_chunk_plan*), or else those that end like
# it, and those that begin like its folder or all that are in the folder; those
# of --tests; and test_habits, which is for all. With --folder, what survives
# these is tried with all other tests of their folder. With --sample, N mutants
# of each module at random, the same ones for the same seed (1).
#
# It works on a copy of the last commit, by cosmic-ray. Each survivor is shown
# as a patch, and a table of what was caught comes last.

set -eu -o pipefail

cd "$(dirname "$(readlink -f "$0")")/.."

source tools/environment.sh

python_environment
extra_packages mutants tools/requirements/mutants.txt
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
git archive HEAD | tar -x -C "$copy"
driver=$PWD/tools/mutants
cd "$copy"
# Compiled once, and again by each process what has another content then.
nice -n 19 python -m compileall -q --invalidation-mode checked-hash \
    ironic_imagedeploy tests
export PYTHONPATH=$copy:$PYTHONPATH PYTHONDONTWRITEBYTECODE=1
# Of Ironic's tests, for each: on a busy machine its minute is short.
export BASE_TEST_TIMEOUT=600
nice -n 19 python "$driver" "$@"
