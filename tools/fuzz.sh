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


# Look for inputs of the readers that break a promise, guided by coverage.
#
#   tools/fuzz.sh [SECONDS] [TARGET...]
#
# SECONDS (600) are for all targets together. Inputs that reach something new
# are kept in the cache, and the next run begins with them; what breaks a
# promise is left beside them. Ends with how many targets did.

set -u -o pipefail

cd "$(dirname "$(readlink -f "$0")")/.." || exit 1

source tools/environment.sh

seconds=600
if [[ ${1:-} =~ ^[0-9]+$ ]]; then
    seconds=$1
    shift
fi

install_packages test && python_environment || exit 1
export PYTHONPATH=$CHECKOUT PYTHONDONTWRITEBYTECODE=1
extra_packages fuzz tools/requirements/fuzz.txt ||
    echo "without atheris: inputs are made at random" >&2
exec nice -n 19 python -m tests.fuzz --seconds "$seconds" "$@"
