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

# Set up what the tests need, run them, and end with the counts.
#
#   tools/test.sh [unit|previous|functional|fuzz|style|types|docs|releasenotes ...]
#
# Without a stage all of them run, each one also after another has failed.
# Tests count one by one, every other stage counts as one.

set -u -o pipefail

cd "$(dirname "$(readlink -f "$0")")/.." || exit 1

source tools/counts.sh

ALL_STAGES="style types unit previous functional fuzz docs releasenotes"
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

# Classes are given to workers before they run: with two for each processor
# none of these waits for the longest classes of another, or for a pause.
run_tests() {
    local log=$logs/$1
    shift
    stestr "$@" --concurrency $(($(nproc) * 2)) 2>&1 | tee "$log"
    count_tests "$log" "$?" "stestr $*"
}

run_check() {
    if "$@"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        failing+=("$*")
    fi
}

stage_style() {
    run_check pre-commit run --all-files --show-diff-on-failure
}

stage_types() {
    run_check mypy
}

stage_unit() {
    run_tests unit --test-path ./tests/unit run
}

# The conductor side, with the series of Ironic before the current one.
stage_previous() {
    if previous_environment; then
        PATH=$PREVIOUS/bin:$PATH run_tests previous \
            --test-path ./tests/unit/conductor run
    else
        failed=$((failed + 1))
        failing+=("no environment with the previous Ironic")
    fi
}

# A class at a time, as its tests share what is costly.
stage_functional() {
    run_tests functional --test-path ./tests/functional \
        --group-regex '([^.]+[.])+' run
}

# The inputs are the same in each run; tools/fuzz.sh looks for others.
stage_fuzz() {
    run_tests fuzz --test-path ./tests/fuzz run
}

stage_docs() {
    run_check sphinx-build -q -a -E -W --keep-going -b html \
        doc/source doc/build/html
}

stage_releasenotes() {
    run_check sphinx-build -q -a -E -W -d releasenotes/build/doctrees \
        -b html releasenotes/source releasenotes/build/html
}

usage() {
    echo "usage: tools/test.sh [${ALL_STAGES// /|} ...]" >&2
    exit 2
}

stages=${*:-$ALL_STAGES}
for stage in $stages; do
    [[ " $ALL_STAGES " == *" $stage "* ]] || usage
done

source tools/environment.sh
install_packages test && python_environment || exit 1

# It takes minutes where it is missing, of one processor; so do the stages
# before the one that needs it, which waits for it.
if [[ " $stages " == *" previous "* ]]; then
    previous_environment >/dev/null 2>&1 &
fi

for stage in $stages; do
    echo "== $stage"
    "stage_$stage"
done

show_counts
