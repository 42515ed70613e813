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

"""Where the bytes of an image lie on the disk, summed up for a drawing.

Both the text map and the picture read the extents once, in the order of
the disk, and keep a fixed number of sums: an image has millions of
extents, a screen has a thousand columns.
"""

import bisect
from collections.abc import Iterable
from collections.abc import Iterator
import dataclasses
import itertools
import json

from ironic_imagedeploy.cmd import text
from ironic_imagedeploy import engine
from ironic_imagedeploy.engine.contents import partitions

KINDS = (engine.ExtentKind.DATA, engine.ExtentKind.COMPRESSED,
         engine.ExtentKind.ZERO)
#: Columns of the text map: those of the terminal within these bounds, or so
#: many where there is none.
COLUMNS = 72
_BOUNDS = (40, 240)
#: Partitions that are listed; a GPT rarely has more than a dozen.
MAX_LISTED = 32

_TYPES = {
    partitions.ESP: 'EFI system',
    partitions.BIOS_BOOT: 'BIOS boot',
    '0fc63daf-8483-4772-8e79-3d69d8477de4': 'Linux file system',
    '4f68bce3-e8cd-4db1-96e7-fbcaf984b709': 'Linux root (x86-64)',
    'b921b045-1df0-41c3-af44-4c6f280d3fae': 'Linux root (ARM64)',
    'bc13c2ff-59e6-4262-a352-b275fd6f7172': 'Linux boot',
    '0657fd6d-a4ab-43c4-84e5-0933c84b4f4f': 'Linux swap',
    'e6d6d379-f507-44c2-a23c-238f2a3df928': 'Linux LVM',
    'ebd0a0a2-b9e5-4433-87c0-68b6b72699c7': 'Windows data',
    'e3c9e316-0b5c-4db8-817d-f92df00215ae': 'Windows reserved',
    'de94bba4-06d1-4d40-a16a-bfd50179d6ac': 'Windows recovery',
    '0x05': 'extended', '0x07': 'Windows data', '0x0c': 'FAT32',
    '0x0f': 'extended', '0x82': 'Linux swap', '0x83': 'Linux',
    '0x8e': 'Linux LVM', '0xef': 'EFI system',
}
# For each kind: a column that is mostly stored, one that is partly.
_SHADES = {engine.ExtentKind.DATA: '█▄', engine.ExtentKind.COMPRESSED: '▓░',
           engine.ExtentKind.ZERO: '··'}
#: What a stream must be able to encode for the map with shades.
CHARACTERS = ''.join(_SHADES.values())
_LETTERS = {engine.ExtentKind.DATA: 'Dd',
            engine.ExtentKind.COMPRESSED: 'Cc', engine.ExtentKind.ZERO: '..'}


@dataclasses.dataclass(frozen=True)
class Usage:
    """Bytes of each kind in a range of the disk."""

    data: int = 0
    compressed: int = 0
    zero: int = 0

    def of(self, kind: engine.ExtentKind) -> int:
        """Bytes of that kind."""
        return (self.data, self.compressed, self.zero)[KINDS.index(kind)]

    @property
    def stored(self) -> int:
        """Bytes of the disk that the file stores."""
        return self.data + self.compressed

    @property
    def total(self) -> int:
        """Bytes of all kinds."""
        return self.stored + self.zero


class Layout:
    """The sums over the disk, its partitions and the columns of a picture.

    :ivar virtual_size: bytes of the disk.
    :ivar columns: the usage of each column of the picture.
    :ivar partitions: the partitions, in the order of the disk.
    :ivar extents: how many extents there are of each kind.
    """

    def __init__(self, inspection: engine.Inspection, *, columns: int
                 ) -> None:
        image = inspection.accepted()
        self.virtual_size = image.virtual_size
        self.partitions = sorted(inspection.partitions,
                                 key=lambda p: (p.start, p.number))
        bounds = [self.virtual_size * index // columns
                  for index in range(columns + 1)]
        cuts = set(bounds)
        for partition in self.partitions:
            cuts.update((partition.start, partition.start
                         + partition.length))
        self._cuts = sorted(cut for cut in cuts
                            if 0 <= cut <= self.virtual_size)
        self.extents = dict.fromkeys(KINDS, 0)
        self._sums = self._read(image.extents())
        self.columns = [self.usage(low, high)
                        for low, high in itertools.pairwise(bounds)]

    def usage(self, start: int, end: int) -> Usage:
        """The usage between two cuts: bounds of columns or partitions."""
        low = bisect.bisect_left(self._cuts, start)
        high = bisect.bisect_left(self._cuts, min(end, self.virtual_size))
        return Usage(*(sum(sums[low:high]) for sums in self._sums))

    def total(self, kind: engine.ExtentKind) -> int:
        """Bytes of that kind on the whole disk."""
        return sum(column.of(kind) for column in self.columns)

    def _read(self, extents: Iterable[engine.Extent]) -> list[list[int]]:
        cuts, last = self._cuts, len(self._cuts) - 2
        sums = [[0] * max(last + 1, 0) for _ in KINDS]
        place = 0
        for extent in extents:
            self.extents[extent.kind] += 1
            ours = sums[KINDS.index(extent.kind)]
            position = extent.start
            end = min(extent.start + extent.length, self.virtual_size)
            while position < end:
                while place < last and cuts[place + 1] <= position:
                    place += 1
                upto = min(end, cuts[place + 1])
                ours[place] += upto - position
                position = upto
        return sums


def lines(inspection: engine.Inspection, name: str, *, ascii_only: bool,
          columns: int = COLUMNS) -> list[str]:
    """The map of an accepted image as lines of text.

    :param columns: of the terminal.
    """
    columns = min(max(columns, _BOUNDS[0]), _BOUNDS[1])
    layout = Layout(inspection, columns=columns)
    marks = _LETTERS if ascii_only else _SHADES
    shown = [f'{text.printable(name)}: {facts(inspection)}', '']
    if layout.partitions:
        shown += [*(_cut(row, columns, ascii_only) for row in _table(layout)),
                  '', _ruler(layout, columns)]
    shown += [''.join(_mark(column, marks) for column in layout.columns), '']
    shown += [_legend(layout, kind, marks[kind]) for kind in KINDS]
    if inspection.compression:
        shown += ['', 'What is zero in a compressed file shows only when it '
                  'is unpacked.']
    return shown


def json_pieces(inspection: engine.Inspection) -> Iterator[str]:
    """The whole map as one JSON object, in pieces.

    The keys are those of ``check`` and ``partitions`` and ``extents``; an
    extent stands on a line of its own. All numbers are bytes.
    """
    known = inspection.to_dict()
    del known['contents']
    known['partitions'] = [dataclasses.asdict(partition)
                           for partition in inspection.partitions]
    yield json.dumps(known).removesuffix('}') + ', "extents": ['
    separator = '\n'
    for extent in inspection.accepted().extents():
        yield separator + json.dumps({
            'start': extent.start, 'length': extent.length,
            'kind': extent.kind.name.lower(),
            'source_offset': extent.source_offset,
            'source_length': extent.source_length})
        separator = ',\n'
    yield '\n]}\n'


def facts(inspection: engine.Inspection) -> str:
    """Facts about the image, in a line."""
    image = inspection.accepted()
    bound = 'at least ' if inspection.virtual_size is None else ''
    known = [image.format_name,
             f'{bound}{text.size(image.virtual_size)} disk',
             f'{text.size(inspection.stored_size)} stored']
    if inspection.compression:
        known[0] += f' in {inspection.compression}'
    if inspection.partition_table:
        known.append(inspection.partition_table)
    if inspection.boot_modes:
        known.append('boots ' + ' and '.join(inspection.boot_modes))
    return ', '.join(known)


def type_name(partition: engine.Partition) -> str:
    """Name of the type of a partition, or its number."""
    return _TYPES.get(partition.type, partition.type)


def overlooked(layout: Layout) -> str:
    """The line about the partitions that are not listed, or nothing."""
    more = len(layout.partitions) - MAX_LISTED
    return f'and {more} more partitions' if more > 0 else ''


def _table(layout: Layout) -> list[str]:
    rows = [('#', 'start', 'size', 'stored', 'type', 'name')]
    for partition in layout.partitions[:MAX_LISTED]:
        usage = layout.usage(partition.start,
                             partition.start + partition.length)
        rows.append((f'{partition.number}{"*" if partition.bootable else ""}',
                     text.size(partition.start), text.size(partition.length),
                     text.share(usage.stored, usage.total),
                     type_name(partition),
                     text.printable(partition.name)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    shown = [f'{row[0]:<{widths[0]}}  {row[1]:>{widths[1]}}  '
             f'{row[2]:>{widths[2]}}  {row[3]:>{widths[3]}}  '
             f'{row[4]:<{widths[4]}}  {row[5]}'.rstrip() for row in rows]
    more = overlooked(layout)
    return [*shown, more] if more else shown


def _cut(row: str, columns: int, ascii_only: bool) -> str:
    """A row of the table that fits; names can be long."""
    if len(row) <= columns:
        return row
    mark = '...' if ascii_only else '…'
    return row[:columns - len(mark)] + mark


def _ruler(layout: Layout, columns: int) -> str:
    """The partitions' numbers above the columns where they start."""
    ruler = [' '] * columns
    free = 0
    for partition in layout.partitions[:MAX_LISTED]:
        column = partition.start * columns // max(layout.virtual_size, 1)
        number = str(partition.number)
        column = max(column, free)
        if column + len(number) > columns:
            break
        ruler[column:column + len(number)] = number
        free = column + len(number)
    return ''.join(ruler).rstrip()


def _mark(usage: Usage, marks: dict[engine.ExtentKind, str]) -> str:
    if not usage.stored:
        return marks[engine.ExtentKind.ZERO][0]
    kind = (engine.ExtentKind.DATA if usage.data >= usage.compressed
            else engine.ExtentKind.COMPRESSED)
    return marks[kind][0 if usage.stored >= usage.zero else 1]


def _legend(layout: Layout, kind: engine.ExtentKind, marks: str) -> str:
    amount = layout.total(kind)
    return (f'{marks} {kind.name.lower():<10}  {text.size(amount):>8}  '
            f'{text.share(amount, layout.virtual_size):>4}  '
            f'{text.counted(layout.extents[kind], "extent")}')
