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

"""EFI programs that start a system, and where their menus are looked for.

The image's own signed programs come first, as bytes that nobody here runs:
with them the machine may boot securely.
"""

from collections.abc import Iterator
import re

from oslo_log import log

from ironic_imagedeploy.agent.boot import esp
from ironic_imagedeploy.agent.boot import grub
from ironic_imagedeploy.agent.boot import image_tree
from ironic_imagedeploy.agent.boot import shell_words
from ironic_imagedeploy.engine.contents import efi_programs
from ironic_imagedeploy.engine.contents import filesystems

LOG = log.getLogger(__name__)

#: Bytes of a program at most.
_MOST_BYTES = 16 << 20
_VENDOR = re.compile(r'[A-Za-z0-9._-]{1,32}')
#: Names that no directory on a FAT can have.
_DOS_DEVICE = re.compile(r'(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?',
                         re.IGNORECASE)
_INSTALLED = 'boot/efi/EFI'
#: Vendors in it; one is usual.
_MOST_VENDORS = 16
_RELEASES = ('etc/os-release', 'usr/lib/os-release')


def signed(root: image_tree.ImageTree, platform: grub.Platform, arch: str
           ) -> esp.Programs | None:
    """The image's own shim and grub2, when it has both."""
    for shim_path, grub_path in _known_paths(
            _installed_vendors(root), platform, arch):
        try:
            pair = [root.read(path, _MOST_BYTES)
                    for path in (shim_path, grub_path)]
        except image_tree.UnsafePath as reason:
            LOG.warning('EFI programs of the image are not used: %s',
                        reason.details)
            continue
        if all(content and efi_programs.architecture(content) == arch
               for content in pair):
            LOG.info('The boot loader is /%(shim)s and /%(grub)s of the '
                     'image', {'shim': shim_path, 'grub': grub_path})
            suffix = platform.suffix
            # shim starts what has this name, and SUSE's the other one.
            return esp.Programs('image', {
                f'BOOT{suffix.upper()}.EFI': pair[0] or b'',
                f'grub{suffix}.efi': pair[1] or b'',
                'grub.efi': pair[1] or b''})
    return None


def has_signed(files: filesystems.FileSystem, platform: grub.Platform,
               arch: str) -> bool:
    """Whether an image has a shim and a grub2, before it is written.

    :raises UnreadableContent: when it cannot be told.
    """
    vendors = files.list(_INSTALLED)[:_MOST_VENDORS]
    return any(all(map(files.exists, pair))
               for pair in _known_paths(vendors, platform, arch))


def own(platform: grub.Platform, image: bytes) -> esp.Programs:
    """The ramdisk's grub2."""
    return esp.Programs('ramdisk', {
        f'BOOT{platform.suffix.upper()}.EFI': image})


def vendors(root: image_tree.ImageTree) -> list[str]:
    """Names of the directories that the image's grub2 may look into."""
    names = _installed_vendors(root)
    for line in _release(root).decode('utf-8', 'replace').split('\n'):
        found = shell_words.assignment(line)
        if found and found.name in ('ID', 'ID_LIKE'):
            try:
                names += shell_words.value(found.written).split()
            except shell_words.NotData:
                continue
    # Names on a FAT differ by more than by case.
    known = {name.lower(): name for name in names
             if _VENDOR.fullmatch(name) and name.strip('.')
             and not _DOS_DEVICE.fullmatch(name)
             and name.upper() != esp.REMOVABLE}
    return list(known.values())[:_MOST_VENDORS]


def _known_paths(vendors: list[str], platform: grub.Platform,
                 arch: str) -> Iterator[tuple[str, str]]:
    """Paths at which distributions have a shim and the grub2 of it."""
    suffix = platform.suffix
    # Debian and Ubuntu; on Ubuntu the plain name is an absolute link.
    for more in ('', '.latest', '.previous'):
        yield (f'usr/lib/shim/shim{suffix}.efi.signed{more}',
               f'usr/lib/grub/{platform.name}-signed/grub{suffix}.efi.signed')
    # Fedora and its relatives
    for vendor in vendors:
        yield (f'{_INSTALLED}/{vendor}/shim{suffix}.efi',
               f'{_INSTALLED}/{vendor}/grub{suffix}.efi')
    # SUSE
    yield f'usr/share/efi/{arch}/shim.efi', f'usr/share/efi/{arch}/grub.efi'


def _installed_vendors(root: image_tree.ImageTree) -> list[str]:
    """Names of the directories that the image itself has for an ESP."""
    try:
        return root.names(_INSTALLED, _MOST_VENDORS)
    except image_tree.UnsafePath as reason:
        LOG.warning('EFI programs of the image are not used: %s',
                    reason.details)
        return []


def _release(root: image_tree.ImageTree) -> bytes:
    """Text in which the image names its distribution."""
    for path in _RELEASES:
        try:
            if content := root.read(path):
                return content
        except image_tree.UnsafePath as reason:
            LOG.warning('The distribution of the image is not read there: %s',
                        reason.details)
    return b''
