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

"""Whether a file is really an optical disc.

Five letters say so, at a place where a disk may have a partition with any
content. So where they could be such content the volume must be there too.
Sources: ECMA-119 (ISO 9660) 8.4 and 9.1; ECMA-167 3/10.2 and UDF 2.2.3.
"""

from ironic_imagedeploy.engine.contents import read as _read

#: Where the letters are that name an ISO 9660 or UDF volume, in bytes.
NAMED_AT = 0x8001
_SECTOR = 2048
_DESCRIPTOR = 16 * _SECTOR
_PRIMARY = b'\1CD001\1'
_BLOCK_SIZE_AT = 128
_ROOT_AT = 156
_RECORD = 34
#: The tag of the descriptor that UDF has in sector 256, by its size.
_ANCHOR = 256
_ANCHOR_TAG = 2
_ANCHOR_SECTORS = (2048, 512, 4096)


def is_volume(read: _read.Read) -> bool:
    """Whether the disk is an ISO 9660 or a UDF volume.

    :param read: gives bytes of the disk.
    """
    return _is_iso(read) or any(
        _is_anchor(read(_ANCHOR * sector, 16)) for sector in _ANCHOR_SECTORS)


def _is_iso(read: _read.Read) -> bool:
    """A primary descriptor, and the root directory that it points to."""
    descriptor = read(_DESCRIPTOR, _SECTOR)
    root = descriptor[_ROOT_AT:_ROOT_AT + _RECORD]
    if not descriptor.startswith(_PRIMARY) or len(root) < _RECORD or (
            root[0] != _RECORD):
        return False
    size = int.from_bytes(descriptor[_BLOCK_SIZE_AT:_BLOCK_SIZE_AT + 2],
                          'little')
    place = int.from_bytes(root[2:6], 'little')
    # A directory starts with a record of itself, with its place and length.
    return size in (512, 1024, 2048) and (
        read(place * size, _RECORD)[2:18] == root[2:18])


def _is_anchor(stored: bytes) -> bool:
    return (int.from_bytes(stored[:2], 'little') == _ANCHOR_TAG
            and int.from_bytes(stored[12:16], 'little') == _ANCHOR)
