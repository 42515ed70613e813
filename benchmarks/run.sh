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

# Measure how fast images get onto a disk: this package, Ironic's node code,
# qemu-img, nbdcopy, and what the machine could do at best.
# `benchmarks/run.sh --help` lists the options.

set -euo pipefail

# A shell cannot trap a signal that was ignored when it started, as SIGINT is
# in the background of a script.
if [ -z "${BENCHMARK_PID:-}" ]; then
    BENCHMARK_PID=$$ exec env --default-signal=INT,TERM bash "$0" "$@"
fi

source "$(dirname "${BASH_SOURCE[0]}")/../tools/environment.sh"

for_root benchmarks/run.sh 'it makes a loop device' benchmark

state=$(mktemp -d -t ironic-imagedeploy-benchmark.XXXXXX)
benchmark=

# The loop devices over a file.
detach() {
    local device
    [ -e "$1" ] || return 0
    for device in $(losetup --noheadings --output NAME --associated "$1"); do
        losetup --detach "$device"
    done
}

# A killed writer holds the disk until its last request is done.
patiently() {
    local try
    for try in {1..120}; do
        "$@" 2>/dev/null && return 0
        sleep 0.5
    done
    "$@"
}

unmount() {
    if mountpoint -q "$1"; then
        patiently umount "$1"
    fi
}

remove_zram() {
    cat "$state/zram" >/sys/class/zram-control/hot_remove
}

# The web server and the copiers end with the benchmark; the loop devices
# and the tmpfs under them are left to remove.
clean_up() {
    trap '' INT TERM
    if [ -n "$benchmark" ]; then
        kill -TERM "$benchmark" 2>/dev/null || true
        wait "$benchmark" 2>/dev/null || true
    fi
    if [ -h "$state/disk" ]; then
        detach "$state/disk"
        rm -f "$(readlink "$state/disk")"
    fi
    unmount "$state/thin"
    if [ -e "$state/zram" ]; then
        patiently remove_zram
    fi
    unmount "$state"
    rmdir "$state"
}
trap clean_up EXIT
trap 'echo "interrupted" >&2; exit 130' INT
trap 'echo "terminated" >&2; exit 143' TERM

modprobe --quiet zram || true
mount -t tmpfs -o size=90%,mode=700 benchmark "$state"
export NO_PROXY=127.0.0.1 no_proxy=127.0.0.1
# As pip installs the package: compiled, not by each command again.
mkdir "$state/package"
cp -R "$CHECKOUT/ironic_imagedeploy" "$state/package"
python -m compileall -q "$state/package"
export PYTHONPATH=$state/package:$PYTHONPATH
python -m "${BENCHMARK:-benchmarks}" --state-dir "$state" \
    --cache-dir "$CACHE/benchmark" "$@" <&0 &
benchmark=$!
status=0
wait "$benchmark" || status=$?
benchmark=
exit "$status"
