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

"""Policy for how the system in an image starts: operator's and owner's."""

from collections.abc import Iterator
import typing

from ironic.conf import CONF

from ironic_imagedeploy.conductor.checks import remedies
from ironic_imagedeploy.conductor import glance
from ironic_imagedeploy.conductor import images
from ironic_imagedeploy.conf import policy
from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import start_policy

_MODE, _RAISED, _MUTED = glance.START_FINDINGS
#: Characters of a property that are read.
_MOST = 1024
_MOST_SHOWN = 80


def of_image(image: images.InstanceImage) -> start_policy.StartPolicy:
    """Policy of the operator, as far as the owner of the image changes it.

    What of the owner's is not valid has no effect; :func:`objections` tells.
    """
    stated = image.declared.start_findings
    mode = stated.get(_MODE)
    owner = start_policy.StartPolicy(
        mode=mode if mode in start_policy.MODES else start_policy.WARN,
        raised=_known(stated.get(_RAISED)), muted=_known(stated.get(_MUTED)))
    return policy.from_conf(CONF).start.narrowed(owner)


def objections(image: images.InstanceImage) -> Iterator[engine.Finding]:
    """Findings about properties that say what nobody understands."""
    stated = image.declared.start_findings
    mode = stated.get(_MODE)
    if mode is not None and mode not in start_policy.MODES:
        yield _invalid(image, _MODE, ', '.join(start_policy.MODES), mode)
    for name in (_RAISED, _MUTED):
        unknown = [code for code in _codes(stated.get(name))
                   if code not in start_policy.CODES]
        if unknown:
            yield _invalid(image, name, 'codes of findings about how a '
                           'system starts, with commas between', unknown[0])


def _invalid(image: images.InstanceImage, name: str, expected: str,
             found: typing.Any) -> engine.Finding:
    return engine.Finding(
        code='field-invalid', expected=expected,
        message=f'The property {name} of the image cannot be used.',
        found=ascii(found)[:_MOST_SHOWN],
        fix=f'openstack image unset --property {name} {image.glance_id}, or '
            + remedies.image_set(image, f'--property {name}=VALUE'))


def _known(stated: typing.Any) -> tuple[str, ...]:
    return tuple(code for code in _codes(stated)
                 if code in start_policy.CODES)


def _codes(stated: typing.Any) -> list[str]:
    if stated is None:
        return []
    codes = str(stated)[:_MOST].split(',')
    return [code.strip() for code in codes if code.strip()]
