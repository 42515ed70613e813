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

# Build the packages, and install them where nothing else is: in an empty
# environment of this machine, in minimal systems of Debian 12 (Python 3.11)
# and Debian 13 (3.13), and in a container image. The dashboard is held against
# Grafana's schema where npm is there, and the element of diskimage-builder is
# installed in the folders that Red Hat's distributions have. The commands of
# the quick start are run in a minimal system with git, and Zuul looks at the
# jobs.
#
#   tools/packages.sh [REGEX]   only the tests that match

set -euo pipefail

source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

for_root tools/packages.sh 'it makes minimal systems' packages

cd "$CHECKOUT"
export IMAGEDEPLOY_PACKAGES=1
exec stestr --test-path ./tests/functional run --serial \
    "tests.functional.test_(packages|installed|container|dashboard|element|quickstart|zuul).*${1:-}"
