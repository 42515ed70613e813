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

"""How large an image may be on a node, and who says so."""

from collections.abc import Iterator
import dataclasses
import math
import re

from oslo_utils import units

from ironic.drivers.modules import deploy_utils
from ironic import objects

from ironic_imagedeploy.conductor.checks import remedies
from ironic_imagedeploy.conductor import images
from ironic_imagedeploy import engine

#: Root device hints of a size that is an upper bound, unlike others.
_BOUNDS = re.compile(
    r'(==|s==|<=|<|<or>|<range-in>)\s*(.*)', re.ASCII | re.DOTALL)
_NUMBER = re.compile(r'\d+', re.ASCII)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limit:
    """The most bytes that an image may have on its disk.

    :ivar size: bytes.
    :ivar setting: of the node, from which it comes.
    :ivar option: of ``openstack baremetal node set`` that sets it to a
        number of GiB, which stands for ``{}``.
    """

    size: int
    setting: str
    option: str

    def exceeded(self, image: images.InstanceImage, what: str, size: int,
                 *remedy: str) -> engine.Finding:
        """The finding for something that needs more.

        :param what: needs it.
        :param size: bytes that it needs.
        :param remedy: what else can be done.
        """
        option = self.option.format(math.ceil(size / units.Gi))
        return engine.Finding(
            code='too-large', case='node',
            data={'limit': self.size, 'size': size, 'place': 'disk'},
            expected=f'{self.size} bytes at most, by {self.setting}',
            found=f'{what} of {size} bytes',
            fix=' '.join([
                'Use a smaller image, or a node with a larger disk, or, when '
                'it is larger than stated:',
                remedies.node_set(image.node, option),
                *remedy]))


def of_image(image: images.InstanceImage) -> Limit | None:
    """The narrowest limit of its node that is known before that runs.

    :returns: None for a separate kernel or initramfs, which no disk is in.
    :raises InvalidParameterValue: when a root device hint is not valid.
    """
    if image.role != images.DISK:
        return None
    return min(_limits(image.node), key=lambda limit: limit.size,
               default=None)


def _limits(node: objects.Node) -> Iterator[Limit]:
    root_gb = int(node.instance_info.get('root_gb') or 0)
    if root_gb:
        yield Limit(size=root_gb * units.Gi,
                    setting=f'root_gb={root_gb} in instance_info',
                    option='--instance-info root_gb={}')
    hints = deploy_utils.get_root_device_for_deploy(node)
    local_gb = int(node.properties.get('local_gb') or 0)
    if hints:
        # The disk that they name need not be the one of local_gb.
        yield from _hinted(node, str(hints.get('size', '')))
    elif local_gb:
        # Inspection rounds down and leaves one GiB out.
        yield Limit(size=(local_gb + 2) * units.Gi,
                    setting=f'local_gb={local_gb} in properties',
                    option='--property local_gb={}')


def _hinted(node: objects.Node, hint: str) -> Iterator[Limit]:
    match = _BOUNDS.fullmatch(hint.strip())
    numbers = _NUMBER.findall(match[2]) if match else []
    if not numbers:
        return
    place = ('--instance-info' if node.instance_info.get('root_device')
             else '--property')
    yield Limit(size=max(map(int, numbers)) * units.Gi,
                setting=f'the root device hint size {hint!r}',
                option=place + ' root_device=\'{{"size": ">= {}"}}\'')
