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

# Sourced by the commands that end with counts, under bash:
#   count_tests LOG STATUS NAME  what a run of stestr, that ended with this
#                                status, printed into a file
#   show_counts                  them all in one last line; fails when a test
#                                did

passed=0
failed=0
skipped=0
failing=()

# The sum of what stands behind some labels in the totals that stestr prints.
total() {
    awk -v labels="^ - ($2): [0-9]+\$" \
        '$0 ~ labels { sum += $NF } END { print sum + 0 }' "$1"
}

count_tests() {
    local failures
    failures=$(total "$1" "Failed|Unexpected Success")
    # A process that died takes the rest of its tests with it.
    mapfile -t -O "${#failing[@]}" failing < <(
        sed -nE 's/^\{[0-9]+\} (\S.*) \[[^]]*\] \.\.\. inprogress$/\1 (its process died)/p' "$1")
    if [ "$2" -ne 0 ] && [ "$failures" -eq 0 ]; then
        # A module that can't be imported ends the run before its totals.
        failures=1
        failing+=("$3")
    fi
    mapfile -t -O "${#failing[@]}" failing < <(
        sed -nE 's/^\{[0-9]+\} (\S.*) \[[0-9.]+s\] \.\.\. FAILED$/\1/p' "$1")
    passed=$((passed + $(total "$1" "Passed|Expected Fail")))
    failed=$((failed + failures))
    skipped=$((skipped + $(total "$1" Skipped)))
}

show_counts() {
    if [ "${#failing[@]}" -gt 0 ]; then
        printf 'FAILED: %s\n' "${failing[@]}"
    fi
    echo "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" -eq 0 ]
}
