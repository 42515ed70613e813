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

# Measure which lines and branches the tests run.
#
#   tools/coverage.sh [unit|functional ...] [--only REGEX]
#   tools/coverage.sh fuzz
#
# Without a kind, the unit tests; with --only, those whose names match.
# It shows what is never run of the parts that write and decide, and ends with
# a table. Programs that a test starts are not measured. With "fuzz" it is the
# readers, given the inputs that tools/fuzz.sh has kept.

set -u -o pipefail

cd "$(dirname "$(readlink -f "$0")")/.." || exit 1

FOLDERS="engine/transfer engine/sources engine/targets engine/inspection
    agent conductor contract"

AUDITED='[.]test_each_step[.]'

# Run the tests of a kind, but those whose names match.
measure() {
    stestr --test-path "./tests/$1" --group-regex '([^.]+[.])+' run \
        --exclude-regex "$2" ${only:+"$only"}
}

kinds=()
only=
while [ $# -gt 0 ]; do
    case $1 in
        unit | functional) kinds+=("$1") ;;
        fuzz)
            kinds+=("$1")
            FOLDERS="engine/contents engine/formats engine/codecs"
            ;;
        --only)
            only=${2:?a regular expression}
            shift
            ;;
        *)
            echo "usage: tools/coverage.sh [unit|functional|fuzz ...]" \
                "[--only REGEX]" >&2
            exit 2
            ;;
    esac
    shift
done

source tools/environment.sh
install_packages test && python_environment || exit 1

measured=$(mktemp -d)
trap 'rm -rf "$measured"' EXIT
export COVERAGE_FILE=$measured/coverage PYTHONDONTWRITEBYTECODE=1
export PYTHON="coverage run --parallel-mode"
status=0
for kind in "${kinds[@]:-unit}"; do
    if [ "$kind" = fuzz ]; then
        PYTHONPATH=$CHECKOUT $PYTHON -m tests.fuzz.replay || status=1
        continue
    fi
    # Where Python is audited, two threads that begin to be traced at once
    # fail, and all that was measured is lost with the process: those tests
    # have one of their own.
    measure "$kind" "$AUDITED" || status=1
    if [ "$kind" = unit ]; then
        measure "$kind" "^((?!$AUDITED).)*\$" || [ -n "$only" ] || status=1
    fi
done
coverage combine --quiet "$measured" &&
    coverage json --quiet -o "$measured/json" || exit 1
# shellcheck disable=SC2086
python tools/coverage.py "$measured/json" $FOLDERS
exit "$status"
