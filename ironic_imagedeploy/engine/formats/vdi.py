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

"""VirtualBox disk images, dynamic and static.

Source of the layout: VirtualBox's ``VDICore.h`` (``VDIHEADER1PLUS``), the
same that QEMU's ``block/vdi.c`` describes.
"""

from array import array
import collections
import itertools
import struct

from ironic_imagedeploy.engine import budget as _budget
from ironic_imagedeploy.engine import extent as _extent
from ironic_imagedeploy.engine.formats import reader
from ironic_imagedeploy.engine.formats import runs
from ironic_imagedeploy.engine.formats import words
from ironic_imagedeploy.engine.sources import base as sources

_HEADER = struct.Struct('<64sIIIII256sIIIIIIIQIIII16s16s16s16s')
_SIGNATURE = 0xbeda107f
_VERSION = 0x00010001
_DYNAMIC = 1
_STATIC = 2
_SECTOR = 512
_BLOCK_SIZE = 1 << 20
_UNALLOCATED = 0xffffffff
_DISCARDED = 0xfffffffe
#: Blocks of the largest disk (4 PiB would need a map of 16 GiB): 128 TiB.
_MOST_BLOCKS = 128 << 20
_NOBODY = bytes(16)
#: What the bytes of an entry, the lowest first, say of it: whether it is
#: below _DISCARDED.
_BELOW_DISCARDED = bytes([1]) * 254 + bytes(2)
_BELOW_ALL = bytes([1]) * 255 + bytes(1)
_KINDS = bytes.maketrans(b'\0\1', bytes((_extent.ExtentKind.ZERO,
                                        _extent.ExtentKind.DATA)))
#: Bytes of the map that are read at once.
_MAP_READ = 1 << 20
#: Steps for entries that are looked at together, entries for another step,
#: and blocks of data for one more.
_TOGETHER = 32
_CHEAP = 16
_DATA_CHEAP = 4


class VdiImage(reader.Reader):
    """A VDI file: blocks of 1 MiB found through one map."""

    format_name = 'vdi'

    def __init__(self, source: sources.Source,
                 budget: _budget.Budget | None = None) -> None:
        super().__init__(source, budget)
        self.check_inside('the header', 0, _HEADER.size)
        (_, signature, version, _, image_type, _, _, map_at, data_at, _, _, _,
         sector_size, _, self.virtual_size, block_size, block_extra, blocks,
         allocated, _, _, link, parent) = _HEADER.unpack(
             source.read_at(0, _HEADER.size))
        self._check('the signature', signature, _SIGNATURE)
        self._check('the version', version, _VERSION)
        if image_type not in (_DYNAMIC, _STATIC) or (
                link != _NOBODY or parent != _NOBODY):
            raise self.refused(
                'backing-file', case='parent',
                expected='a dynamic or static image of its own',
                found=f'an image of type {image_type} with a parent')
        self._check('the sector size', sector_size, _SECTOR)
        self._check('the block size', block_size, _BLOCK_SIZE)
        self._check('the extra bytes of a block', block_extra, 0)
        if self.virtual_size % _SECTOR:
            raise self.corrupt(f'a disk of {self.virtual_size} bytes',
                               f'a multiple of {_SECTOR}')
        needed = -(-self.virtual_size // _BLOCK_SIZE)
        if not 0 < needed <= blocks <= _MOST_BLOCKS:
            raise self.corrupt(
                f'{blocks} blocks for a disk of {self.virtual_size} bytes',
                f'1 to {_MOST_BLOCKS} blocks, enough for the disk')
        if map_at % _SECTOR or data_at % _SECTOR or map_at < _HEADER.size or (
                data_at < map_at + 4 * blocks):
            raise self.corrupt(f'a map at {map_at} and data at {data_at}',
                               'the header, the map, and then the data')
        self.check_inside('the block map', map_at, 4 * blocks)
        self._map_at, self._data_at = map_at, data_at
        self._needed, self._allocated = needed, min(allocated, needed)

    def read_map(self) -> None:
        most = 4 * runs.MOST
        end = self._map_at + 4 * self._needed
        #: 1 for each block that is in use.
        used = bytearray(min(
            self._allocated, -(-self.source.size // _BLOCK_SIZE)))
        for part in range(self._map_at, end, _MAP_READ):
            stored = self.source.read_at(part, min(_MAP_READ, end - part))
            for start in range(0, len(stored), most):
                self._map(stored[start:start + most], used)

    def _map(self, stored: bytes, used: bytearray) -> None:
        """Map the blocks of a part of the map."""
        blocks = words.from_bytes(stored, 'I', 'little')
        count = len(blocks)
        self.budget.draw(_TOGETHER + count // _CHEAP)
        is_data = words.any_of(
            stored[::4].translate(_BELOW_DISCARDED),
            *(stored[index::4].translate(_BELOW_ALL) for index in (1, 2, 3)))
        if 1 not in is_data:
            self.append_zero(count * _BLOCK_SIZE)
            return
        numbers = list(itertools.compress(blocks, is_data))
        self.budget.draw(len(numbers) // _DATA_CHEAP)
        lanes = words.spread(is_data)
        offsets = ((words.widened(stored) & lanes) * _BLOCK_SIZE
                   + (words.repeated(self._data_at, count) & lanes))
        if max(numbers) >= len(used) or any(map(
                used.__getitem__, numbers)) or (
                    len(set(numbers)) < len(numbers)) or words.exceed(
                        offsets, self.source.size - _BLOCK_SIZE, count):
            self._check_each(blocks, is_data, used)
        collections.deque(map(used.__setitem__, numbers, itertools.repeat(1)),
                          maxlen=0)
        self.append_entries(_BLOCK_SIZE, is_data.translate(_KINDS), offsets)

    def _check_each(self, blocks: 'array[int]', is_data: bytes,
                    used: bytearray) -> None:
        """See that each block is in the file, and named once."""
        seen = set[int]()
        start = self.map.end
        for block, counts in zip(blocks, is_data, strict=True):
            length = min(_BLOCK_SIZE, self.virtual_size - start)
            start += length
            if not counts:
                continue
            if block >= self._allocated or block in seen or (
                    used[block:block + 1] == b'\1'):
                raise self.corrupt(
                    f'block {block} in the map',
                    f'each block below {self._allocated} once')
            seen.add(block)
            self.check_inside(
                'a block', self._data_at + block * _BLOCK_SIZE, length)

    def _check(self, what: str, found: int, expected: int) -> None:
        if found != expected:
            raise self.corrupt(f'{what} {found:#x}', f'{expected:#x}')
