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


# Write the software bill of materials of a release, in CycloneDX's JSON.
#
#   tools/sbom.sh [FILE]
#
# It lists the package and what it needs in production, with its extras, in the
# versions that are installed here. FILE is dist/ironic-imagedeploy.cdx.json
# without another name; it lies beside the distributions of a release. No
# network is asked.

set -eu -o pipefail

cd "$(dirname "$(readlink -f "$0")")/.."

source tools/environment.sh

file=${1:-dist/ironic-imagedeploy.cdx.json}
python_environment
extra_packages sbom tools/requirements/sbom.txt
work=$(mktemp -d -t ironic-imagedeploy-sbom.XXXXXX)
trap 'rm -rf "$work"' EXIT
listed=$work/requirements.txt
python tools/pinned.py >"$listed"
version=$(python -c 'import importlib.metadata
print(importlib.metadata.version("ironic-imagedeploy"))')
cat >"$work/pyproject.toml" <<END
[project]
name = "ironic-imagedeploy"
version = "$version"
license = {text = "Apache-2.0"}
END
mkdir -p "$(dirname "$file")"
PYTHONWARNINGS=ignore python -m cyclonedx_py requirements --of JSON \
    --output-reproducible --pyproject "$work/pyproject.toml" \
    --output-file "$file" "$listed"
echo "ironic-imagedeploy $version and $(wc -l <"$listed") packages in $file"
