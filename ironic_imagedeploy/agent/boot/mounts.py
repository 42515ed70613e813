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

"""The root file system of an image, mounted as the hostile thing it is."""

from collections.abc import Iterator
import contextlib
import os
import re
import struct
import tempfile

from ironic_python_agent import errors

from ironic_imagedeploy.agent.boot import image_tree
from ironic_imagedeploy.agent import commands
from ironic_imagedeploy.engine.contents.filesystems import btrfs

#: Nothing on it runs, nothing on it opens a device.
_OPTIONS = 'nosuid,nodev,noexec,noatime'
#: File systems whose drivers may see the bytes of a user, and what more they
#: are told: an ext4 that asks for a panic when it finds an error gets none, a
#: twin of an XFS is no error, a btrfs does not go on with a balance.
_MORE_OPTIONS = {'ext4': 'errors=remount-ro', 'xfs': 'nouuid',
                 'btrfs': 'skip_balance'}
_PERMITTED = tuple(_MORE_OPTIONS)
#: A path that grub2's script language takes as it is.
_PREFIX = re.compile(r'(?:/[A-Za-z0-9._+~@%:,=-]+)*')
# "ext4 Data Structures and Algorithms", "The Super Block"
_EXT4_JOURNAL = 0x4
_EXT4_COMPATIBLE_AT = 1024 + 0x5c
_EXT4_JOURNAL_INODE_AT = 1024 + 0xe0
# "On-disk Format" of btrfs, "Superblock"
_BTRFS_DEVICES_AT = 0x10000 + 0x88


class Root(image_tree.ImageTree):
    """A mounted root file system, read-only unless inside writable().

    :ivar kind: the type of the file system
    :ivar prefix: where in the file system the root directory is: empty, or
        the path of a btrfs subvolume
    :ivar options: that the kernel needs to find it there
    """

    def __init__(self, path: str, kind: str) -> None:
        self.kind = kind
        self.prefix = _subvolume(path)
        self.options: tuple[str, ...] = ()
        self._path = path
        super().__init__(path)
        try:
            if kind == 'btrfs' and not self.is_directory('etc'):
                self._enter_subvolume()
        except BaseException:
            self.close()
            raise

    def _enter_subvolume(self) -> None:
        """Enter the subvolume of the root, where that is not the default."""
        for name in btrfs.SUBVOLUMES:
            if self.is_directory(f'{name}/etc'):
                self.enter(name)
                self.prefix += f'/{name}'
                self.options = (f'rootflags=subvol={self.prefix[1:]}',)
                return

    @contextlib.contextmanager
    def writable(self) -> Iterator[None]:
        """Permit writing; what was written is on the disk at the end."""
        self._remount('rw')
        try:
            yield
        finally:
            os.sync()
            self._remount('ro')

    def _remount(self, mode: str) -> None:
        commands.run('mount', '-i', '-o', f'remount,{mode},{_OPTIONS}',
                     self._path)


def permitted(kind: str | None) -> str:
    """The type of a file system, when it may be mounted.

    :raises DeploymentError: when not.
    """
    if kind in _PERMITTED:
        return kind
    raise errors.DeploymentError(
        'The file system of the image is not one that is mounted: expected '
        f'{", ".join(_PERMITTED)}, found {kind or "none of them"}. Build the '
        'image with one of these.')


@contextlib.contextmanager
def mounted(device: str, kind: str | None) -> Iterator[Root]:
    """Mount a root file system of a known type, read-only.

    The journal is replayed: what is there belongs to the user, and the
    boot loader would not see what waits in it.

    :param device: the partition.
    :param kind: what the inspection of the image recognised; never guessed.
    :raises DeploymentError: when it is not permitted or cannot be mounted.
    """
    kind = permitted(kind)
    _refuse_other_devices(device, kind)
    # Nothing beneath it may ever be deleted, whatever fails.
    path = tempfile.mkdtemp(prefix='imagedeploy-')
    try:
        commands.run('mount', '-i', '-t', kind, '-o',
                     f'ro,{_OPTIONS},{_MORE_OPTIONS[kind]}', device, path)
        try:
            root = Root(path, kind)
            try:
                yield root
            finally:
                root.close()
        finally:
            commands.run('umount', '-i', path)
    finally:
        with contextlib.suppress(OSError):
            os.rmdir(path)


def _refuse_other_devices(device: str, kind: str) -> None:
    """See that the kernel would not open another disk of the machine.

    The superblock of an ext4 may name a device with its journal, which is
    written to; that of a btrfs may claim other devices by their UUID.
    """
    with open(device, 'rb') as disk:
        front = disk.read(_BTRFS_DEVICES_AT + 8)
    if kind == 'ext4':
        features, = struct.unpack_from('<I', front, _EXT4_COMPATIBLE_AT)
        inode, = struct.unpack_from('<I', front, _EXT4_JOURNAL_INODE_AT)
        other = features & _EXT4_JOURNAL and not inode
    elif kind == 'btrfs':
        devices, = struct.unpack_from('<Q', front, _BTRFS_DEVICES_AT)
        other = devices != 1
    else:
        # XFS opens no device that mount does not name.
        return
    if other:
        raise errors.DeploymentError(
            f'The {kind} of the image is not mounted: expected a file system '
            'on one device, found one that is spread over several. Build the '
            'image on one device, with its journal inside.')


def _subvolume(path: str) -> str:
    """The part of the file system that is mounted (proc(5), mountinfo).

    :raises DeploymentError: when it has a name that a boot menu cannot have.
    """
    prefix = ''
    with open('/proc/self/mountinfo', encoding='utf-8',
              errors='surrogateescape') as mounts:
        for line in mounts:
            fields = line.split(' ')
            if fields[4] == path:
                prefix = fields[3].rstrip('/')
    if not _PREFIX.fullmatch(prefix):
        raise errors.DeploymentError(
            'The default subvolume of the image cannot be named in a boot '
            'menu: expected letters, digits and ._+~@%:,=- in its path, '
            f'found {ascii(prefix)}. Rename the subvolume.')
    return prefix
