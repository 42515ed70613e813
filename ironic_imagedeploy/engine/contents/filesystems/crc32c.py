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

"""The checksum CRC-32C (Castagnoli), of metadata and of names.

Python's own crc32 has another polynomial. A superblock has 4 KiB at most, so
a table is fast enough.
"""


def _entry(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (0x82f63b78 if byte & 1 else 0)
    return byte


_TABLE = tuple(_entry(byte) for byte in range(256))


def update(content: bytes, crc: int = 0xffffffff) -> int:
    """The checksum before its last inversion.

    :param crc: of what comes before, not inverted either.
    """
    for byte in content:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xff]
    return crc


def checksum(content: bytes) -> int:
    """The checksum as usual, with its last inversion."""
    return update(content) ^ 0xffffffff
