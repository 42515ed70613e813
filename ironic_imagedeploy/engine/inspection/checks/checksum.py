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

"""Checks of the checksum that is stated for an image."""

from collections.abc import Iterator

from ironic_imagedeploy.engine import findings
from ironic_imagedeploy.engine.inspection import expectation as _expectation

Finding = findings.Finding


def check(expectation: _expectation.Expectation) -> Iterator[Finding]:
    """Findings about a checksum that is missing, or can be forged."""
    checksum = expectation.checksum
    if checksum is None:
        if expectation.require_checksum:
            yield Finding(code='checksum-missing', expected='a checksum',
                          found='none')
    elif checksum.weak and not expectation.permit_weak:
        yield Finding(code='checksum-weak', expected='sha256 or sha512',
                      found=checksum.algorithm,
                      data={'algorithm': checksum.algorithm})
