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

"""Access to the bytes of a disk, as readers of its content see it."""

from collections.abc import Callable
from collections.abc import Sequence
import functools

#: Bytes at an offset of a disk, a partition or a file: ``read(offset,
#: length)``; fewer at the end.
Read = Callable[[int, int], bytes]


def cached(read: Read, start: int, length: int, *, block: int = 32 << 10,
           most: int = 256) -> Read:
    """Access to a part of a disk, which is read in blocks and kept.

    :param start: first byte of the part.
    :param length: bytes of the part.
    :param block: bytes that are read at once.
    :param most: blocks that are kept.
    """
    @functools.lru_cache(most)
    def blocks(index: int) -> bytes:
        at = index * block
        return read(start + at, min(block, length - at))

    def part(offset: int, count: int) -> bytes:
        end = min(offset + count, length)
        first = offset // block
        whole = b''.join(map(blocks, range(first, -(-end // block))))
        return whole[offset - first * block:][:max(end - offset, 0)]

    return part


def part(read: Read, start: int, length: int) -> Read:
    """Access to a part of a disk.

    :param start: first byte of the part.
    :param length: bytes of the part.
    """
    def read_part(offset: int, count: int) -> bytes:
        count = min(count, length - offset)
        return read(start + offset, count) if count > 0 else b''

    return read_part


def joined(read: Read, parts: Sequence[tuple[int, int]]) -> Read:
    """Access to parts of a disk, one after the other.

    :param parts: first byte and bytes of each.
    """
    def read_joined(offset: int, count: int) -> bytes:
        found = b''
        for start, length in parts:
            if count <= 0:
                break
            if offset < length:
                part = read(start + offset, min(count, length - offset))
                found += part
                count -= min(count, length - offset)
                offset = 0
            else:
                offset -= length
        return found

    return read_joined
