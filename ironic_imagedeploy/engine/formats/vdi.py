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

import itertools
import struct

from ironic_imagedeploy.engine import budget as _budget
from ironic_imagedeploy.engine import extent as _extent
from ironic_imagedeploy.engine.formats import reader
from ironic_imagedeploy.engine.formats import words
from ironic_imagedeploy.engine.sources import base as sources

_HEADER = struct.Struct('<64sIIIII256sIIIIIIIQIIII16s16s16s16s')
_SIGNATURE = 0xbeda107f
_VERSION = 0x00010001
_DYNAMIC = 1
_STATIC = 2
_BLOCK_SIZE = 1 << 20
_UNALLOCATED = 0xffffffff
_DISCARDED = 0xfffffffe
#: Blocks of the largest disk (4 PiB would need a map of 16 GiB): 128 TiB.
_MOST_BLOCKS = 128 << 20
_NOBODY = bytes(16)


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
        self._check('the sector size', sector_size, 512)
        self._check('the block size', block_size, _BLOCK_SIZE)
        self._check('the extra bytes of a block', block_extra, 0)
        needed = -(-self.virtual_size // _BLOCK_SIZE)
        if not 0 < needed <= blocks <= _MOST_BLOCKS:
            raise self.corrupt(
                f'{blocks} blocks for a disk of {self.virtual_size} bytes',
                f'1 to {_MOST_BLOCKS} blocks, enough for the disk')
        if map_at % 512 or data_at % 512 or map_at < _HEADER.size or (
                data_at < map_at + 4 * blocks):
            raise self.corrupt(f'a map at {map_at} and data at {data_at}',
                               'the header, the map, and then the data')
        self.check_inside('the block map', map_at, 4 * blocks)
        self._map_at, self._data_at = map_at, data_at
        self._needed, self._allocated = needed, min(allocated, needed)

    def read_map(self) -> None:
        self.budget.draw(self._needed // 16)
        blocks = words.from_bytes(
            self.source.read_at(self._map_at, 4 * self._needed), 'I',
            'little')
        used = bytearray(-(-self._allocated // 8))
        for block, same in itertools.groupby(blocks):
            if block in (_UNALLOCATED, _DISCARDED):
                self.append_zero(len(list(same)) * _BLOCK_SIZE)
                continue
            self.budget.draw(3)
            mark = 1 << block % 8
            if block >= self._allocated or used[block // 8] & mark or len(
                    list(same)) > 1:
                raise self.corrupt(
                    f'block {block} in the map',
                    f'each block below {self._allocated} once')
            used[block // 8] |= mark
            offset = self._data_at + block * _BLOCK_SIZE
            length = min(_BLOCK_SIZE, self.virtual_size - self.map.end)
            self.check_inside('a block', offset, length)
            self.map.append(length, _extent.ExtentKind.DATA, offset, length)

    def _check(self, what: str, found: int, expected: int) -> None:
        if found != expected:
            raise self.corrupt(f'{what} {found:#x}', f'{expected:#x}')
