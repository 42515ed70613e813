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


# Ask the database of advisories of PyPI about what the package needs.
#
#   tools/audit.sh
#
# What is asked about is what is installed here and runs in production: the
# package with its extras, without the tools of the tests.
#
# Ends with 0 when there is no advisory, 1 when there is one, and 3, saying
# so, when the database could not be asked: then nothing was audited.

set -u -o pipefail

cd "$(dirname "$(readlink -f "$0")")/.." || exit 1

source tools/environment.sh

not_audited() {
    echo "NOT AUDITED: $1"
    exit 3
}

python_environment || exit 1
extra_packages audit tools/requirements/audit.txt ||
    not_audited "pip-audit could not be installed"
listed=$(mktemp) log=$(mktemp)
trap 'rm -f "$listed" "$log"' EXIT
python tools/pinned.py >"$listed" || exit 1
echo "$(wc -l <"$listed") packages"
python -m pip_audit --no-deps --disable-pip --progress-spinner off \
    --timeout 15 --requirement "$listed" 2>&1 | tee "$log"
status=${PIPESTATUS[0]}
# It has one status for advisories and for everything that goes wrong.
grep -qE '^Found [0-9]+ known vulnerabilit' "$log" && exit 1
# A mirror that has no advisories answers like one that knows no package.
skipped=$(grep -c 'could not be audited' "$log")
[ "$skipped" -eq 0 ] || not_audited "$skipped packages are not known there"
[ "$status" -eq 0 ] && exit 0
not_audited "the database of advisories did not answer"
