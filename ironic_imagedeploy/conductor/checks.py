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

"""Whether an image may be deployed to a node."""

from collections.abc import Iterator

from oslo_utils import units

from ironic.common import exception
from ironic.conductor import task_manager
from ironic.conf import CONF
from ironic.drivers.modules import boot_mode_utils
from ironic.drivers.modules import deploy_utils
from ironic import objects

from ironic_imagedeploy.conductor import access
from ironic_imagedeploy.conductor import images
from ironic_imagedeploy.conf import policy
from ironic_imagedeploy import engine


def check_image(task: task_manager.TaskManager) -> engine.Inspection:
    """Look at the image and hold it against its metadata and the node.

    Reads its head and its tables only.

    :raises InvalidParameterValue: with the reason, when it cannot be read
        or must not be deployed to this node.
    """
    image = images.stated(task)
    try:
        with access.open_image(task.node, image) as source:
            inspection = engine.inspect(source, _expectation(task.node, image))
        inspection.findings += tuple(_against_node(task.node, image))
        inspection.raise_if_refused()
    except engine.exceptions.ImageDeployError as error:
        # Not 'from error': what is below may name a URL with its secrets.
        raise exception.InvalidParameterValue(str(error)) from None
    return inspection


def _expectation(node: objects.Node, image: images.Stated
                 ) -> engine.Expectation:
    options = policy.Policy.from_conf(CONF)
    return engine.Expectation(
        disk_format=image.disk_format,
        image_type='partition' if image.partition else 'whole-disk',
        checksum=image.checksum,
        # Of a file of its own the conductor computes the checksum.
        require_checksum=image.scheme != 'file',
        permit_weak=options.insecure_checksums_permitted,
        permitted=options.permitted_formats,
        disk_size=_disk_size(node),
        boot_mode=boot_mode_utils.get_boot_mode(node),
        arch=node.properties.get('cpu_arch'),
        has_kernel=image.partition and image.has_kernel)


def _against_node(node: objects.Node, image: images.Stated
                  ) -> Iterator[engine.Finding]:
    """What the bytes of the image do not show."""
    if image.partition:
        yield engine.Finding(
            code='image-type-unsupported',
            message='imagedeploy writes whole-disk images.',
            expected='a whole-disk image', found='a partition image',
            fix='openstack baremetal node set --deploy-interface direct '
                f'{node.uuid}')
    needed = (image.record.get('min_disk') or 0) * units.Gi
    size = _disk_size(node)
    if size is not None and needed > size:
        yield engine.Finding(
            code='too-large',
            message='The disk is smaller than the min_disk of the image.',
            expected=f'a disk of {needed} bytes', found=f'{size} bytes',
            fix='Use a node with a larger disk, or correct min_disk of the '
                'image.')


def _disk_size(node: objects.Node) -> int | None:
    """The most that the root disk can hold, in bytes, where it is known."""
    if deploy_utils.get_root_device_for_deploy(node):
        return None
    local_gb = int(node.properties.get('local_gb') or 0)
    # Inspection rounds down and leaves one GiB out.
    return (local_gb + 2) * units.Gi if local_gb else None
