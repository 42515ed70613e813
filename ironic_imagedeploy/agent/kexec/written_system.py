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

"""The system on a disk that was written, read as a boot loader reads it.

Nothing is mounted, and nothing of it runs here.
"""

from collections.abc import Iterator
import contextlib
import typing

from ironic_imagedeploy.agent.kexec import machine
from ironic_imagedeploy.agent import sysfs
from ironic_imagedeploy import engine
from ironic_imagedeploy.engine.contents import kernels
from ironic_imagedeploy.engine.contents import partitions
from ironic_imagedeploy.engine.contents import read as _read
from ironic_imagedeploy.engine.contents.system import default_entry
from ironic_imagedeploy.engine.contents.system import files as _files
from ironic_imagedeploy.engine.contents.system import root as _root
from ironic_imagedeploy.engine.contents.system import volumes

#: A reader of file systems asks for many small ranges.
_BLOCK = 128 << 10
_BLOCKS = 64


class WrittenSystem:
    """A system, and the entry that starts it.

    :param files: of the system.
    """

    def __init__(self, files: _files.Files,
                 entry: default_entry.DefaultEntry) -> None:
        self._files = files
        self.entry = entry

    def check_kernel(self) -> None:
        """See that the kernel is one, and for this processor.

        :raises NotPossible: when it is not.
        """
        path, processor = self.entry.kernel, machine.processor()
        found = kernels.kernel(self._files.front(path, kernels.HEADER) or b'')
        if found is None:
            raise machine.NotPossible(f'/{path} is not a kernel that is known')
        if found.arch is None or not kernels.runs(found.arch, processor):
            raise machine.NotPossible(
                f'/{path} is for another processor: expected {processor}, '
                f'found {found.arch}')

    def copy(self, path: str, file: typing.BinaryIO, most: int) -> int:
        """Write a file of the system into one of the ramdisk.

        :param most: bytes.
        :returns: how many bytes it has.
        :raises NotPossible: when these are more.
        """
        size = 0
        for piece in self._files.pieces(path):
            size += len(piece)
            if size > most:
                raise machine.NotPossible(
                    f'/{path} is too large: expected {most} bytes at most, '
                    'by the memory of the machine, found more')
            file.write(piece)
        return size


@contextlib.contextmanager
def opened(device: str) -> Iterator[WrittenSystem]:
    """Open the disk, and find what its boot loader starts.

    :raises NotPossible: when that cannot be told.
    """
    if sysfs.is_array(device):
        raise machine.NotPossible('the disk is a software RAID')
    try:
        # Direct I/O: what the kernel keeps of the disk may be older than it.
        with engine.open_target(device, read_only=True) as disk:
            yield _find(_reader(disk), disk.size)
    except engine.exceptions.ImageDeployError as error:
        raise machine.NotPossible(
            'what starts from the disk cannot be told: expected '
            f'{error.expected}, found {error.found}') from error


def _reader(disk: engine.Target) -> _read.Read:
    return _read.cached(
        lambda offset, length: bytes(disk.read(offset, length)), 0, disk.size,
        block=_BLOCK, most=_BLOCKS)


def _find(read: _read.Read, size: int) -> WrittenSystem:
    budget = engine.Budget.before_write()
    table = partitions.read_table(read, size)
    if table is None:
        raise machine.NotPossible('the disk has no partition table')
    root = _root.Finder(
        read, volumes.find(read, table, budget), budget).find()
    if root is None:
        raise machine.NotPossible('no system is found on the disk')
    if root.files.is_any_dirty:
        raise machine.NotPossible('changes wait in the journal of a file '
                                  'system on the disk')
    return WrittenSystem(root.files, default_entry.find(root))
