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

"""The command that mends what is wrong with an image or its node."""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
import shlex

from ironic.conf import CONF
from ironic import objects

from ironic_imagedeploy.conductor import images
from ironic_imagedeploy import engine

_Remedy = Callable[[engine.Finding, images.InstanceImage], str]


def with_remedy(finding: engine.Finding, image: images.InstanceImage
                ) -> engine.Finding:
    """The finding with the command for this image and node.

    :param finding: of the engine, which knows neither of them.
    """
    remedies = _OF_DISKS if image.role == images.DISK else _OF_BOOT_FILES
    remedy = remedies.get(finding.code, _another)
    return dataclasses.replace(finding, fix=remedy(finding, image))


def node_set(node: objects.Node, *options: str) -> str:
    """The command that sets something of the node."""
    return ' '.join(['openstack baremetal node set', *options, node.uuid])


def image_set(image: images.InstanceImage, *options: str) -> str:
    """The command that sets something of the image."""
    return ' '.join(['openstack image set', *options, image.glance_id])


def another(image: images.InstanceImage, disk_format: str = 'qcow2') -> str:
    """The commands that give the node another image."""
    node = image.node
    if image.role != images.DISK:
        return _another_boot_file(image)
    if image.glance:
        # Glance changes neither data nor format of an active image.
        return (f'openstack image create --disk-format {disk_format} '
                '--container-format bare --file FILE NAME, and '
                + node_set(node, '--instance-info image_source=ID'))
    if image.path:
        return node_set(node, '--instance-info image_source=file:///PATH')
    return node_set(node, '--instance-info image_source=URL',
                    '--instance-info image_os_hash_algo=sha512',
                    '--instance-info image_os_hash_value=SHA512')


def _another_boot_file(image: images.InstanceImage) -> str:
    node, role = image.node, image.role
    upload = ('openstack image create --disk-format raw --container-format '
              'bare --file FILE NAME, and ')
    if image.of:
        return upload + image_set(image.of, f'--property {role}_id=ID')
    if image.glance:
        return upload + node_set(node, f'--instance-info {role}=ID')
    if image.path:
        return node_set(node, f'--instance-info {role}=file:///PATH')
    return node_set(node, f'--instance-info {role}=URL',
                    f'--instance-info {role}_checksum=sha512:SHA512')


def boot_mode(node: objects.Node, mode: str) -> str:
    """The command that has the node boot in that mode."""
    capabilities = node.properties.get('capabilities') or ''
    kept = [each for each in str(capabilities).split(',')
            if each and not each.strip().startswith('boot_mode:')]
    # Users write capabilities, and operators paste this into a shell.
    return node_set(node, '--property ' + shlex.quote(
        'capabilities=' + ','.join([*kept, f'boot_mode:{mode}'])))


def tls(image: images.InstanceImage) -> str:
    """The option by which an older server may give an image."""
    option = ('the TLS options of its endpoint' if image.glance else
              '[DEFAULT]webserver_tls_minimum_version = 1.2')
    return ('Update the server; or let ironic-conductor accept TLS 1.2 of '
            f'all of them by {option}.')


def _format(finding: engine.Finding, image: images.InstanceImage) -> str:
    found = str(finding.data['format'])
    if found not in CONF.imagedeploy.permitted_formats:
        return ('Use an image in one of the formats '
                + ', '.join(CONF.imagedeploy.permitted_formats) + ': '
                + another(image))
    # Whatever has no signature could be raw.
    sure = 'If it is a disk byte for byte: ' if found == 'raw' else ''
    if image.glance:
        return (f'{sure}Upload it again with its real format: '
                + another(image, found))
    return sure + _instance_info(image, f'image_disk_format={found}')


def _permission(finding: engine.Finding, image: images.InstanceImage) -> str:
    return (f'Convert it: qemu-img convert -O qcow2 FILE NEW; or add '
            f'{finding.data["format"]} to permitted_formats of [imagedeploy]. '
            f'Then: {another(image)}')


def _checksum(finding: engine.Finding, image: images.InstanceImage) -> str:
    if image.glance:
        return ('Upload the image again, for which Glance computes its '
                'checksum: ' + another(image))
    return 'State the checksum of the image: ' + _instance_info(
        image, 'image_os_hash_algo=sha512', 'image_os_hash_value=SHA512')


def _checksum_of_boot_file(finding: engine.Finding,
                           image: images.InstanceImage) -> str:
    if image.glance:
        return _another(finding, image)
    return f'State the checksum of the {image.role}: ' + _instance_info(
        image, f'{image.role}_checksum=sha512:SHA512')


def _image_type(finding: engine.Finding, image: images.InstanceImage) -> str:
    if finding.case == 'kernel':
        return _without_kernel(image)
    image_type = finding.data['image_type']
    if image.glance and not image.node.instance_info.get('image_type'):
        return image_set(image, f'--property img_type={image_type}')
    return _instance_info(image, f'image_type={image_type}')


def _without_kernel(image: images.InstanceImage) -> str:
    """The commands that take kernel and ramdisk away from a whole disk."""
    info = image.node.instance_info
    return ', and '.join(
        [*_unset('openstack image unset --property',
                 [f'{role}_id' for role in images.BOOT_FILES
                  if role in image.declared.boot_files],
                 image.glance_id if image.glance else ''),
         *_unset('openstack baremetal node unset --instance-info',
                 [role for role in images.BOOT_FILES if info.get(role)],
                 image.node.uuid)])


def _bootloader(finding: engine.Finding, image: images.InstanceImage) -> str:
    return ('Install them in the image (diskimage-builder: the elements '
            'baremetal and grub2), or give it a kernel and an initramfs: '
            'kernel and ramdisk of the node, or kernel_id and ramdisk_id of '
            f'the image. Then: {another(image)}')


def _bios(finding: engine.Finding, image: images.InstanceImage) -> str:
    return ('Use an image for UEFI, or, when the node can: '
            + boot_mode(image.node, 'bios'))


def _uefi(finding: engine.Finding, image: images.InstanceImage) -> str:
    return ('Use an image for BIOS, or, when the node can: '
            + boot_mode(image.node, 'uefi'))


def _processor(finding: engine.Finding, image: images.InstanceImage) -> str:
    if finding.data['arch'] is None:
        return _another(finding, image)
    return ('Use an image for the processor of the node, or correct what is '
            'stated about the node: ' + node_set(
                image.node, f'--property cpu_arch={finding.data["arch"]}'))


def _driver(finding: engine.Finding, image: images.InstanceImage) -> str:
    return (f'{finding.fix} The inventory of the node says what is in it; '
            'when that is old: openstack baremetal node inspect '
            f'{image.node.uuid}. A new image: {another(image)}')


def _source(finding: engine.Finding, image: images.InstanceImage) -> str:
    return finding.fix


def _another(finding: engine.Finding, image: images.InstanceImage) -> str:
    return f'{finding.fix} Then: {another(image)}'


def _instance_info(image: images.InstanceImage, *settings: str) -> str:
    return node_set(image.node, *(f'--instance-info {setting}'
                                  for setting in settings))


def _unset(command: str, names: list[str], of: str) -> Iterator[str]:
    program, _, option = command.rpartition(' ')
    options = [f'{option} {name}' for name in names]
    if options:
        yield f'{program} {" ".join(options)} {of}'


#: Remedies for the image of a disk; others are another image.
_OF_DISKS: Mapping[str, _Remedy] = {
    'format-mismatch': _format, 'format-not-permitted': _permission,
    'checksum-missing': _checksum, 'checksum-weak': _checksum,
    'checksum-mismatch': _checksum, 'image-type-mismatch': _image_type,
    'no-bootloader': _bootloader, 'no-esp': _bios, 'no-bios-boot': _uefi,
    'arch-mismatch': _processor, 'image-unreadable': _source,
    'driver-missing': _driver}
#: Remedies for a kernel or an initramfs beside it.
_OF_BOOT_FILES: Mapping[str, _Remedy] = {
    'checksum-missing': _checksum_of_boot_file,
    'checksum-weak': _checksum_of_boot_file,
    'checksum-mismatch': _checksum_of_boot_file}
