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

"""Volumes of a disk: what lies in its partitions, and by which names."""

from collections.abc import Iterator
import contextlib
import dataclasses
import uuid

from ironic_imagedeploy.engine import budget as _budget
from ironic_imagedeploy.engine.contents import partitions
from ironic_imagedeploy.engine.contents import read as _read
from ironic_imagedeploy.engine.contents import signatures
from ironic_imagedeploy.engine.contents.system import logical_volumes
from ironic_imagedeploy.engine import exceptions

#: Partitions that are looked at.
MOST = 32
#: Bytes at the front of a volume: the superblock of btrfs is the last.
_FRONT = 72 << 10
#: In swap space, instead of its signature, while a machine hibernates.
_SUSPENDED_AT = 0xff6
_SUSPENDED = (b'S1SUSPEND', b'ULSUSPEND')
#: Where the UUID and the label are, and how long that is.
_PLACES = {'ext4': (0x468, 0x478, 16), 'xfs': (32, 108, 12),
           'btrfs': (0x10020, 0x1012b, 256), 'swap': (0x40c, 0x41c, 16)}
#: Where the serial number and the label of FAT are, by bits of its table.
_FAT_PLACES = {b'FAT32': (67, 71), b'FAT16': (39, 43), b'FAT12': (39, 43)}
_FAT_LABEL = 11
_NO_LABEL = 'NO NAME'
_LVM = 'lvm'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Volume:
    """A partition, or the whole disk of a partition image. In bytes.

    :ivar number: of the partition; None without one.
    :ivar kind: by its signature, as ``ext4``; None when that is not known.
    :ivar uuid: as of ``blkid``; empty without one.
    :ivar label: the same; hostile text, as all that follows.
    :ivar partition: of the table.
    :ivar is_suspended: swap space with the memory of a machine that
        hibernates.
    :ivar logical: group and name of a logical volume; empty for others.
    :ivar segments: first byte and bytes of its parts on the disk.
    :ivar unread: why logical volumes in it are not read; else empty.
    """

    number: int | None = None
    start: int = 0
    length: int
    kind: str | None = None
    uuid: str = ''
    label: str = ''
    partition: partitions.Partition | None = None
    is_suspended: bool = False
    logical: tuple[str, ...] = ()
    segments: tuple[logical_volumes.Segment, ...] = ()
    unread: str = ''

    @property
    def paths(self) -> tuple[str, ...]:
        """Names of a logical volume in /dev."""
        if not self.logical:
            return ()
        group, name = self.logical
        mapped = '-'.join(part.replace('-', '--') for part in self.logical)
        return f'/dev/{group}/{name}', f'/dev/mapper/{mapped}'

    @property
    def called(self) -> str:
        """Name of it in a message."""
        if self.logical:
            return f'the logical volume {"/".join(self.logical)}'
        return (f'partition {self.number}' if self.number
                else f'the {self.kind} file system')

    @property
    def type(self) -> str:
        """The type of the partition; empty without one."""
        return self.partition.type if self.partition else ''


def find(read: _read.Read, table: partitions.PartitionTable,
         budget: _budget.Budget) -> Iterator[Volume]:
    """The volumes of a partitioned disk, each before its logical volumes.

    :param read: gives bytes of the disk.
    :param budget: that the look at groups of LVM draws from.
    """
    for partition in table.partitions[:MOST]:
        front = b''
        with contextlib.suppress(exceptions.SourceNotSeekable):
            front = read(partition.start, min(_FRONT, partition.length))
        volume = _volume(front, partition)
        if volume.kind == _LVM:
            yield from _logical(read, volume, budget)
        else:
            yield volume


def whole(read: _read.Read, size: int) -> Volume:
    """The volume that is a whole disk.

    :param size: bytes of the disk.
    """
    return _volume(read(0, _FRONT), partitions.Partition(
        number=0, start=0, length=size, type=''))


def _logical(read: _read.Read, volume: Volume, budget: _budget.Budget
             ) -> Iterator[Volume]:
    """A physical volume, and the logical ones that can be read."""
    found: list[Volume] = []
    unread = ''
    try:
        for group, name, segments, kind in logical_volumes.find(
                read, volume.start, volume.length, budget):
            if not segments or len(found) == MOST:
                unread = f'an LVM volume of type {kind}'
                continue
            front = _read.joined(read, segments)(0, _FRONT)
            length = sum(segment.length for segment in segments)
            found.append(dataclasses.replace(
                _volume(front, partitions.Partition(
                    number=0, start=segments[0].place, length=length,
                    type='')), logical=(group, name), segments=segments))
    except (exceptions.UnreadableContent,
            exceptions.SourceNotSeekable) as reason:
        unread = str(reason)
    yield dataclasses.replace(volume, unread=unread)
    yield from found


def _volume(front: bytes, partition: partitions.Partition) -> Volume:
    kind = signatures.file_system(front)
    is_suspended = front[_SUSPENDED_AT:].startswith(_SUSPENDED)
    if is_suspended and kind is None:
        kind = 'swap'
    identifier, label = _names(kind, front)
    return Volume(
        number=partition.number or None, start=partition.start,
        length=partition.length, kind=kind, uuid=identifier, label=label,
        partition=partition if partition.number else None,
        is_suspended=is_suspended)


def _names(kind: str | None, front: bytes) -> tuple[str, str]:
    """The UUID and the label of a file system."""
    if kind == 'vfat':
        return _fat_names(front)
    if kind not in _PLACES:
        return '', ''
    at, label, length = _PLACES[kind]
    stored = front[at:at + 16]
    known = len(stored) == 16 and any(stored)
    return (str(uuid.UUID(bytes=stored)) if known else '',
            _text(front[label:label + length]))


def _fat_names(front: bytes) -> tuple[str, str]:
    for name, (serial_at, label_at) in _FAT_PLACES.items():
        if front.startswith(name, label_at + _FAT_LABEL):
            serial = int.from_bytes(front[serial_at:serial_at + 4], 'little')
            label = _text(front[label_at:label_at + _FAT_LABEL]).rstrip()
            return (f'{serial >> 16:04X}-{serial & 0xffff:04X}',
                    '' if label == _NO_LABEL else label)
    return '', ''


def _text(stored: bytes) -> str:
    return stored.partition(b'\0')[0].decode('utf-8', 'replace')
