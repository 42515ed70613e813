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

# What must hold when something fails: disks, and the power. Ends with a table
# of what was tried.
#
#   tools/faults.sh [power|start|disk|machine|raid|cache|network|memory ...]
#
# Without a name all of them run; some take long. IMAGEDEPLOY_FAULTS_EFFORT is
# a factor for what is tried, of what a usual run of the tests tries (10 by
# default); IMAGEDEPLOY_FAULTS_STARTS the number of machines that are started
# (60).

set -euo pipefail

source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

ALL="power start disk machine raid cache network memory"
declare -A TESTS=(
    [power]='functional.test_power(_partition|_whole_disk_raid)?[.]'
    [start]='functional.test_power_start[.]'
    [disk]='functional.test_(disk_faults|former_metadata)[.]'
    [machine]='functional.test_disk_machine[.]'
    [raid]='functional.test_(array_machine|software_raid_faults)[.]'
    [cache]='unit.conductor.cache.test_each_step[.]'
    [network]='functional.test_faults[.]'
    [memory]='functional.test_memory_pressure[.]'
)

wanted=${*:-$ALL}
for name in $wanted; do
    [ -n "${TESTS[$name]:-}" ] || {
        echo "usage: tools/faults.sh [${ALL// /|} ...]" >&2
        exit 2
    }
done

for_root tools/faults.sh 'it makes loop devices' lab test faults

cd "$CHECKOUT"
# Disks in memory, unless somebody says where.
export TMPDIR=${TMPDIR:-/dev/shm}
export IMAGEDEPLOY_FAULTS_EFFORT=${IMAGEDEPLOY_FAULTS_EFFORT:-10}
IMAGEDEPLOY_FAULTS_TABLE=$(mktemp)
export IMAGEDEPLOY_FAULTS_TABLE
trap 'rm -f "$IMAGEDEPLOY_FAULTS_TABLE"' EXIT

status=0
for name in $wanted; do
    case $name in
        start) export IMAGEDEPLOY_FAULTS_STARTS=${IMAGEDEPLOY_FAULTS_STARTS:-60} ;;
        machine|raid) export IMAGEDEPLOY_FAULTS_MACHINE=1 ;;
    esac
    tests=${TESTS[$name]}
    stestr --test-path "./tests/${tests%%.*}" run --serial \
        "tests[.]$tests" || status=1
done
python -m tests.support.faults.table "$IMAGEDEPLOY_FAULTS_TABLE" || status=1
exit "$status"
