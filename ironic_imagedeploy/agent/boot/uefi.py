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

"""grub2 for UEFI: what is in the EFI system partition.

The image's own signed programs come first, as bytes that nobody here runs:
with them the machine may boot securely.
"""

from collections.abc import Iterator
from collections.abc import Sequence
import dataclasses
import os
import pathlib
import re
import tempfile

from oslo_concurrency import processutils
from oslo_log import log

from ironic_python_agent import config  # noqa: F401 (before efi_utils)
from ironic_python_agent import efi_utils
from ironic_python_agent import errors

from ironic_imagedeploy.agent.boot import grub
from ironic_imagedeploy.agent.boot import image_tree
from ironic_imagedeploy.agent.boot import shell_words
from ironic_imagedeploy.agent import commands
from ironic_imagedeploy.agent import sysfs
from ironic_imagedeploy.engine.contents import efi_programs

LOG = log.getLogger(__name__)

#: The boot entry that the agent itself makes; a second one would be left.
LABEL = 'ironic1'
#: And those that it makes for a software RAID.
_LABELS = re.compile(LABEL + r'(?: \(RAID, part\d+\))?')
#: What firmware starts when no boot entry says otherwise.
_REMOVABLE = 'BOOT'
_MOST_BYTES = 16 << 20
_VENDOR = re.compile(r'[A-Za-z0-9._-]{1,32}')
#: What no directory on a FAT is called.
_DOS_DEVICE = re.compile(r'(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?',
                         re.IGNORECASE)
_INSTALLED = 'boot/efi/EFI'
#: Vendors in it; one is usual.
_MOST_VENDORS = 16
_RELEASES = ('etc/os-release', 'usr/lib/os-release')


@dataclasses.dataclass(frozen=True)
class Programs:
    """What the firmware starts, and what that starts.

    :ivar origin: image or ramdisk.
    :ivar files: by their names in a directory of the ESP.
    """

    origin: str
    files: dict[str, bytes]


def signed(root: image_tree.Tree, wanted: grub.Platform, arch: str
           ) -> Programs | None:
    """The image's own shim and grub2, when it has both."""
    for shim_path, grub_path in _places(root, wanted, arch):
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
            suffix = wanted.suffix
            # shim starts what has this name, and SUSE's the other one.
            return Programs('image', {
                f'BOOT{suffix.upper()}.EFI': pair[0] or b'',
                f'grub{suffix}.efi': pair[1] or b'',
                'grub.efi': pair[1] or b''})
    return None


def own(wanted: grub.Platform, image: bytes) -> Programs:
    """The ramdisk's grub2."""
    return Programs('ramdisk', {f'BOOT{wanted.suffix.upper()}.EFI': image})


def fill(esp: str, found: Programs, configuration: str,
         vendors: list[str]) -> None:
    """Put programs, and the way to the menu, into an empty ESP.

    :param esp: the partition, formatted.
    :param configuration: of grub2, wherever it looks for it.
    :param vendors: names of directories that a vendor's grub2 looks into.
    :raises DeploymentError: when they do not fit.
    """
    with tempfile.TemporaryDirectory(prefix='imagedeploy-') as name:
        top = pathlib.Path(name, 'EFI')
        for folder in {_REMOVABLE, *vendors}:
            (top / folder).mkdir(parents=True)
            (top / folder / 'grub.cfg').write_text(configuration,
                                                   encoding='ascii')
        for file, content in found.files.items():
            (top / _REMOVABLE / file).write_bytes(content)
        commands.run('mcopy', '-i', esp, '-s', '-o', str(top), '::')
    with open(esp, 'rb+') as partition:
        # mcopy does not wait for the disk.
        os.fsync(partition)


def vendors(root: image_tree.Tree) -> list[str]:
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
             and name.upper() != _REMOVABLE}
    return list(known.values())[:_MOST_VENDORS]


def add_boot_entries(esps: Sequence[sysfs.Partition],
                     wanted: grub.Platform) -> None:
    """Let the firmware start the system; there are no other such entries.

    :param esps: the EFI system partition, or all halves of its mirror; the
        firmware tries them in this order.
    """
    loader = f'\\EFI\\{_REMOVABLE}\\BOOT{wanted.suffix.upper()}.EFI'
    labels = [LABEL]
    if len(esps) > 1:
        labels = [f'{LABEL} (RAID, part{number})'
                  for number in range(len(esps))]
    try:
        for entry, label, *_ in list(efi_utils.get_boot_records()):
            if _LABELS.fullmatch(label):
                efi_utils.remove_boot_record(entry)
        # The last one that was made comes first.
        for esp, label in reversed(list(zip(esps, labels, strict=True))):
            efi_utils.add_boot_record(esp.disk, esp.number, loader, label)
    except (OSError, processutils.ProcessExecutionError) as error:
        raise errors.DeploymentError(
            f'No boot entry could be made: {error}') from error


def _places(root: image_tree.Tree, wanted: grub.Platform, arch: str
            ) -> Iterator[tuple[str, str]]:
    """Where distributions have a shim and the grub2 that belongs to it."""
    suffix = wanted.suffix
    # Debian and Ubuntu; on Ubuntu the plain name is an absolute link.
    for more in ('', '.latest', '.previous'):
        yield (f'usr/lib/shim/shim{suffix}.efi.signed{more}',
               f'usr/lib/grub/{wanted.name}-signed/grub{suffix}.efi.signed')
    # Fedora and its relatives
    for vendor in _installed_vendors(root):
        yield (f'{_INSTALLED}/{vendor}/shim{suffix}.efi',
               f'{_INSTALLED}/{vendor}/grub{suffix}.efi')
    # SUSE
    yield f'usr/share/efi/{arch}/shim.efi', f'usr/share/efi/{arch}/grub.efi'


def _installed_vendors(root: image_tree.Tree) -> list[str]:
    """Names of the directories that the image itself has for an ESP."""
    try:
        return root.names(_INSTALLED, _MOST_VENDORS)
    except image_tree.UnsafePath as reason:
        LOG.warning('EFI programs of the image are not used: %s',
                    reason.details)
        return []


def _release(root: image_tree.Tree) -> bytes:
    """What the image says of its distribution."""
    for path in _RELEASES:
        try:
            if content := root.read(path):
                return content
        except image_tree.UnsafePath as reason:
            LOG.warning('The distribution of the image is not read there: %s',
                        reason.details)
    return b''
