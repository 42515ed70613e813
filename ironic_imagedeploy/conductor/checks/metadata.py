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

"""Metadata of an image, held against a node."""

from collections.abc import Iterator

from oslo_utils import units

from ironic.drivers.modules import boot_mode_utils

from ironic_imagedeploy.conductor.checks import remedies
from ironic_imagedeploy.conductor.checks import size_limits
from ironic_imagedeploy.conductor.checks import start
from ironic_imagedeploy.conductor import images
from ironic_imagedeploy.conductor import node_fields
from ironic_imagedeploy import engine
from ironic_imagedeploy.engine.contents import efi_programs

#: Container formats of Glance whose files are not the image of one disk.
_NO_DISKS = ('aki', 'ari', 'ami', 'docker', 'ova')


def objections(image: images.InstanceImage) -> Iterator[engine.Finding]:
    """Findings that the bytes of the image do not show.

    :raises InvalidParameterValue: when a root device hint is not valid.
    """
    if image.role != images.DISK:
        yield from _architecture(image)
    elif image.glance:
        yield from _container(image)
        yield from _min_disk(image)
        yield from _architecture(image)
        yield from _firmware(image)
        yield from start.objections(image)


def _container(image: images.InstanceImage) -> Iterator[engine.Finding]:
    container = image.declared.container_format
    if container in _NO_DISKS:
        yield engine.Finding(
            code='container-format',
            expected='container_format=bare',
            found=f'container_format={container}',
            fix='Upload the image of the disk: '
                + remedies.another(image))


def _min_disk(image: images.InstanceImage) -> Iterator[engine.Finding]:
    needed = image.declared.min_disk
    limit = size_limits.of_image(image)
    if limit and needed * units.Gi > limit.size:
        yield limit.exceeded(
            image, f'min_disk={needed},', needed * units.Gi,
            'or correct it: ' + remedies.image_set(image, '--min-disk 0'))


def _architecture(image: images.InstanceImage) -> Iterator[engine.Finding]:
    canonical = efi_programs.canonical
    wanted = node_fields.processor(image.node)
    for name, found in image.declared.architectures.items():
        if wanted and canonical(found) != canonical(wanted):
            yield engine.Finding(
                code='arch-mismatch', case='declared',
                data={'kind': image.role.replace(images.DISK, 'image'),
                      'arch': canonical(found)},
                expected=f'{name}={wanted}', found=f'{name}={found}',
                fix='Use an image for the processor of the node, or correct '
                    'the image: ' + remedies.image_set(
                        image, f'--property {name}={canonical(wanted)}'))


def _firmware(image: images.InstanceImage) -> Iterator[engine.Finding]:
    found = image.declared.firmware_type
    mode = boot_mode_utils.get_boot_mode(image.node)
    if found in ('bios', 'uefi') and found != mode:
        yield engine.Finding(
            code='firmware-mismatch', data={'boot_mode': found},
            expected=f'hw_firmware_type={mode}, as the node boots',
            found=f'hw_firmware_type={found}',
            fix=remedies.boot_mode(image.node, found) + ', or, when the image '
                f'boots by {mode} too: ' + remedies.image_set(
                    image, f'--property hw_firmware_type={mode}'))
