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

# Build the wheel and the source distribution of a commit, twice, in clean
# clones, and compare: what differs was not made of the commit alone.
#
#   tools/release.sh [--output FOLDER] [COMMIT]
#
# FOLDER is "dist" by default, COMMIT is HEAD. The version comes from the tags
# of git, or from PBR_VERSION. SHA256SUMS in FOLDER has the digests, and BUILD
# the versions of what built it. What a former SHA256SUMS there lists is
# removed: FOLDER has one version.

set -eu -o pipefail

cd "$(dirname "$(readlink -f "$0")")/.."
checkout=$PWD

output=$checkout/dist
if [ "${1:-}" = --output ]; then
    output=$(realpath -m "$2")
    shift 2
fi
if [ "$#" -gt 1 ] || [[ ${1:-} == -* ]]; then
    echo "usage: tools/release.sh [--output FOLDER] [COMMIT]" >&2
    exit 2
fi
commit=$(git rev-parse --verify "${1:-HEAD}^{commit}")

work=$(mktemp -d -t ironic-imagedeploy-release.XXXXXX)
trap 'rm -rf "$work"' EXIT

umask 022
export LC_ALL=C.UTF-8 TZ=UTC PYTHONHASHSEED=0
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct "$commit")
export SOURCE_DATE_EPOCH

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check \
    -r tools/requirements/release.txt

# A tar in a sequence, with times and owners that are always the same. Of two
# releases of GNU tar each fills in the heads of files in its own way.
repacked() {
    "$work/venv/bin/python" - "$1" "$SOURCE_DATE_EPOCH" <<'END'
import gzip
import os
import sys
import tarfile

path, seconds = sys.argv[1:]
with (tarfile.open(path) as source, open(f'{path}.part', 'wb') as file,
      gzip.GzipFile('', 'wb', 9, file, 0) as packed,
      tarfile.open(fileobj=packed, mode='w',
                   format=tarfile.USTAR_FORMAT) as target):
    for found in sorted(source, key=lambda each: each.name):
        same = tarfile.TarInfo(found.name)
        same.type, same.size = found.type, found.size
        same.linkname = found.linkname
        same.mtime = int(seconds)
        same.mode = 0o755 if found.isdir() or found.mode & 0o100 else 0o644
        target.addfile(same, source.extractfile(found)
                       if found.isreg() else None)
os.replace(f'{path}.part', path)
END
}

# One build, in a clone of its own. The wheel is made from the source
# distribution, so the latter is complete.
built() {
    git clone -q --no-hardlinks "$checkout" "$work/clone-$1"
    git -C "$work/clone-$1" checkout -q --detach "$commit"
    (cd "$work/clone-$1" && "$work/venv/bin/python" -m build \
        --no-isolation --outdir "$work/$1" . >"$work/$1.log" 2>&1) || {
        tail -n 40 "$work/$1.log" >&2
        return 1
    }
    repacked "$work/$1"/*.tar.gz
}

built first
built second
for file in "$work/first"/*; do
    if ! cmp "$file" "$work/second/${file##*/}"; then
        echo "${file##*/} is not the same in two builds" >&2
        exit 1
    fi
done

mkdir -p "$output"
if [ -e "$output/SHA256SUMS" ]; then
    while read -r _ name; do
        rm -f "$output/${name##*/}"
    done <"$output/SHA256SUMS"
fi
cp "$work/first"/* "$output"
(cd "$work/first" && sha256sum ./*) | sed 's| \./| |' >"$output/SHA256SUMS"
{
    echo "commit $commit"
    echo "SOURCE_DATE_EPOCH $SOURCE_DATE_EPOCH"
    "$work/venv/bin/python" --version
    "$work/venv/bin/pip" freeze --all --disable-pip-version-check |
        grep -E '^(build|pbr|setuptools|wheel)=='
} >"$output/BUILD"
cat "$output/SHA256SUMS"
