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
import tempfile

from ironic_python_agent import errors

from ironic_imagedeploy.agent import beneath
from ironic_imagedeploy.agent import programs

#: Nothing on it runs, nothing on it opens a device.
_OPTIONS = 'nosuid,nodev,noexec,noatime'
#: File systems whose drivers may see the bytes of a user.
PERMITTED = ('ext4', 'xfs', 'btrfs')
_SUBVOLUMES = ('@', 'root', '@rootfs')


class Root(beneath.Tree):
    """A mounted root file system, read-only unless inside writable().

    :ivar kind: the type of the file system
    :ivar prefix: where in the file system the root directory is: empty, or
        the path of a btrfs subvolume
    :ivar options: that the kernel needs to find it there
    """

    def __init__(self, path: str, kind: str) -> None:
        super().__init__(path)
        self.kind = kind
        self.prefix = _subvolume(path)
        self.options: tuple[str, ...] = ()
        self._path = path
        if kind == 'btrfs' and not self.is_directory('etc'):
            self._enter_subvolume()

    def _enter_subvolume(self) -> None:
        """Some distributions have their root in one that is no default."""
        for name in _SUBVOLUMES:
            if self.is_directory(f'{name}/etc'):
                self.enter(name)
                self.prefix += f'/{name}'
                self.options = (f'rootflags=subvol={self.prefix[1:]}',)
                return

    @contextlib.contextmanager
    def writable(self) -> Iterator[None]:
        """Permit writing; what was written is on the disk at the end."""
        programs.run('mount', '-i', '-o', f'remount,rw,{_OPTIONS}', self._path)
        try:
            yield
        finally:
            os.sync()
            programs.run('mount', '-i', '-o', f'remount,ro,{_OPTIONS}',
                         self._path)


@contextlib.contextmanager
def mounted(device: str, kind: str | None) -> Iterator[Root]:
    """Mount a root file system of a known type, read-only.

    The journal is replayed: what is there belongs to the user, and the
    boot loader would not see what waits in it.

    :param device: the partition.
    :param kind: what the inspection of the image recognised; never guessed.
    :raises DeploymentError: when it is not permitted or cannot be mounted.
    """
    if kind not in PERMITTED:
        raise errors.DeploymentError(
            f'The file system of the image is not one that is mounted: '
            f'expected {", ".join(PERMITTED)}, found {kind or "none"}. Build '
            'the image with one of these.')
    with tempfile.TemporaryDirectory(prefix='imagedeploy-') as path:
        programs.run('mount', '-i', '-t', kind, '-o', f'ro,{_OPTIONS}', device,
                     path)
        try:
            root = Root(path, kind)
            try:
                yield root
            finally:
                root.close()
        finally:
            programs.run('umount', '-i', path)


def _subvolume(path: str) -> str:
    """The part of the file system that is mounted (proc(5), mountinfo)."""
    with open('/proc/self/mountinfo', encoding='ascii') as mounts:
        for line in mounts:
            fields = line.split()
            if fields[4] == path:
                return fields[3].rstrip('/')
    return ''
