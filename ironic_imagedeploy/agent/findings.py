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

"""Findings of the agent's own look at an image, in its report."""

import typing

from oslo_log import log

from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import start_policy

LOG = log.getLogger(__name__)


def warnings(inspection: engine.Inspection) -> list[dict[str, typing.Any]]:
    """Warnings about how the system starts, as a report has them.

    They are logged, too. Of all else the conductor tells.

    :param inspection: of an image that is accepted: no finding is an error.
    """
    found = [finding for finding in inspection.findings
             if finding.code in start_policy.CODES]
    for finding in found:
        LOG.warning('%(image)s: %(finding)s',
                    {'image': inspection.source.name, 'finding': finding})
    return [{name: getattr(finding, name) for name in (
        'code', 'message', 'expected', 'found', 'fix')} for finding in found]
