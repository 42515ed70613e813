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

"""The kernel and the initramfs that come beside a partition image.

As with Ironic, what stands in instance_info comes before the properties of
the image, and it takes both: an initramfs has the modules of one kernel.
"""

from oslo_log import log

from ironic.common import exception
from ironic.conductor import task_manager
from ironic.conf import CONF
from ironic.drivers import utils as driver_utils

from ironic_imagedeploy.conductor.cache import record
from ironic_imagedeploy.conductor.checks import remedies
from ironic_imagedeploy.conductor import declared
from ironic_imagedeploy.conductor import images
from ironic_imagedeploy.conductor import refusals
from ironic_imagedeploy.engine.contents import kernel_options

LOG = log.getLogger(__name__)


def needed(task: task_manager.TaskManager, image: images.InstanceImage,
           verdict: record.Verdict) -> list[images.InstanceImage]:
    """Files beside an image that may have no kernel itself.

    :param verdict: on the image, which was accepted.
    :raises InvalidParameterValue: when one of them is missing, is not in
        Glance, or has no usable checksum.
    """
    if not (image.partition and image.has_kernel):
        return []
    if verdict.has_kernel:
        LOG.info('Image %(name)s of node %(node)s has a kernel: what is '
                 'beside it is not used',
                 {'name': image.name, 'node': task.node.uuid})
        return []
    named, of_properties = _named(image)
    if len(named) < len(images.BOOT_FILES):
        if verdict.has_kernel is False:
            raise _incomplete(image, named, of_properties)
        LOG.warning('What is beside image %(name)s of node %(node)s is not '
                    'used: expected a kernel and a ramdisk, found only a '
                    '%(found)s', {'name': image.name, 'found': [*named][0],
                                  'node': task.node.uuid})
        return []
    return [declared.boot_file(task, role, named[role],
                               of=image if of_properties else None)
            for role in images.BOOT_FILES]


def options(task: task_manager.TaskManager) -> str:
    """The kernel parameters of the node, which its user may have set.

    :raises InvalidParameterValue: when a boot menu cannot have them.
    """
    publisher = getattr(task.driver.boot, 'image_publisher_settings', None)
    default = (publisher.kernel_params if publisher
               else CONF.pxe.kernel_append_params)
    found = driver_utils.get_kernel_append_params(
        task.node, default=default) or ''
    if unsafe := kernel_options.unsafe(found):
        raise refusals.refused(
            'kernel-options-unsafe', f'node {task.node.uuid}',
            message='The kernel parameters of the node cannot be written '
                    'into a boot menu.',
            expected='kernel_append_params of letters, digits, spaces and '
                     '_.,:=+/@%^~!#*?[]-', found=ascii(unsafe),
            fix='Set others: ' + remedies.node_set(
                task.node, '--instance-info kernel_append_params=PARAMETERS'))
    return found


def _named(image: images.InstanceImage) -> tuple[dict[str, str], bool]:
    """Addresses by role, and whether properties of the image name them."""
    info = image.node.instance_info
    named = {role: info[role] for role in images.BOOT_FILES if info.get(role)}
    if named:
        return named, False
    return dict(image.declared.boot_files), True


def _incomplete(image: images.InstanceImage, named: dict[str, str],
                of_properties: bool) -> exception.InvalidParameterValue:
    missing, = set(images.BOOT_FILES) - set(named)
    return refusals.refused(
        'no-bootloader', image.name,
        message='A disk with this partition image could not boot.',
        expected='a kernel in it, or a kernel and a ramdisk beside it',
        found=f'a {[*named][0]} beside it, but no {missing}',
        fix='Give both: ' + (
            remedies.image_set(image, f'--property {missing}_id=ID')
            if of_properties else remedies.node_set(
                image.node, f'--instance-info {missing}=ID')))
