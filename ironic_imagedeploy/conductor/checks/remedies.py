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

from collections.abc import Iterator
import dataclasses
import shlex

from ironic.conf import CONF
from ironic import objects

from ironic_imagedeploy.conductor import images
from ironic_imagedeploy import engine

#: The boot mode in which a node could start the image after all.
_FIRMWARE = {'no-esp': 'bios', 'no-bios-boot': 'uefi'}
_CHECKSUMS = ('checksum-missing', 'checksum-weak', 'checksum-mismatch')


def mended(finding: engine.Finding, image: images.InstanceImage
           ) -> engine.Finding:
    """The finding with the command for this image and node.

    :param finding: of the engine, which knows neither of them.
    """
    return dataclasses.replace(finding, fix=_Mender(image).fix(finding))


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


class _Mender:

    def __init__(self, image: images.InstanceImage) -> None:
        self._node = image.node
        self._image = image

    def fix(self, finding: engine.Finding) -> str:
        """The remedy, for one of the engine's findings."""
        if self._image.role != images.DISK:
            return self._boot_file(finding)
        code, found = finding.code, finding.found
        if code == 'format-mismatch':
            return self._format(found)
        if code in _CHECKSUMS and not self._image.glance:
            return ('State the checksum of the image: '
                    + self._instance_info('image_os_hash_algo=sha512',
                                          'image_os_hash_value=SHA512'))
        if code in _CHECKSUMS:
            return ('Upload the image again, for which Glance computes its '
                    'checksum: ' + another(self._image))
        if code == 'image-type-mismatch':
            return self._image_type(found)
        if code in _FIRMWARE:
            other = 'BIOS' if code == 'no-bios-boot' else 'UEFI'
            return (f'Use an image for {other}, or, when the node can: '
                    + boot_mode(self._node, _FIRMWARE[code]))
        if code == 'arch-mismatch':
            return ('Use an image for the processor of the node, or correct '
                    'what is stated about the node: ' + node_set(
                        self._node, f'--property cpu_arch={found.split()[0]}'))
        if code == 'image-unreadable':
            return finding.fix
        return f'{finding.fix} Then: {another(self._image)}'

    def _boot_file(self, finding: engine.Finding) -> str:
        role = self._image.role
        if finding.code in _CHECKSUMS and not self._image.glance:
            return (f'State the checksum of the {role}: '
                    + self._instance_info(f'{role}_checksum=sha512:SHA512'))
        return f'{finding.fix} Then: {another(self._image)}'

    def _instance_info(self, *settings: str) -> str:
        return node_set(self._node, *(f'--instance-info {setting}'
                                      for setting in settings))

    def _format(self, found: str) -> str:
        if found not in CONF.imagedeploy.permitted_formats:
            return ('Use an image in one of the formats '
                    + ', '.join(CONF.imagedeploy.permitted_formats) + ': '
                    + another(self._image))
        # Whatever has no signature could be raw.
        sure = 'If it is a disk byte for byte: ' if found == 'raw' else ''
        if self._image.glance:
            return (f'{sure}Upload it again with its real format: '
                    + another(self._image, found))
        return sure + self._instance_info(f'image_disk_format={found}')

    def _image_type(self, found: str) -> str:
        info = self._node.instance_info
        if found.endswith(' image'):
            image_type = found.removeprefix('a ').removesuffix(' image')
            if self._image.glance and not info.get('image_type'):
                return image_set(self._image,
                                 f'--property img_type={image_type}')
            return self._instance_info(f'image_type={image_type}')
        return ', and '.join(
            [*self._unset('openstack image unset --property',
                          [f'{role}_id' for role in images.BOOT_FILES
                           if role in self._image.declared.boot_files],
                          self._image.glance_id if self._image.glance else ''),
             *self._unset('openstack baremetal node unset --instance-info',
                          [role for role in images.BOOT_FILES
                           if info.get(role)], self._node.uuid)])

    @staticmethod
    def _unset(command: str, names: list[str], of: str) -> Iterator[str]:
        program, _, option = command.rpartition(' ')
        options = [f'{option} {name}' for name in names]
        if options:
            yield f'{program} {" ".join(options)} {of}'
