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

"""Magic numbers of compressions."""

#: RFC 1952, section 2.3.1: ID1 and ID2; and CM, which is always deflate.
GZIP = b'\x1f\x8b'
GZIP_DEFLATE = GZIP + b'\x08'
#: The .xz File Format, section 2.1.1.1.
XZ = b'\xfd7zXZ\0'
BZIP2 = b'BZh'
#: RFC 8878, section 3.1.1.
ZSTD = b'\x28\xb5\x2f\xfd'
LZIP = b'LZIP'
LZOP = b'\x89LZO\0\r\n\x1a\n'
#: LZ4 Frame Format: a frame, and the legacy frame that Linux unpacks.
LZ4 = b'\x04\x22\x4d\x18'
LZ4_LEGACY = b'\x02\x21\x4c\x18'
#: A frame of zstd or lz4 that holds no data, as pzstd writes before others:
#: 16 little-endian words, and the length of what follows (RFC 8878, 3.1.2).
SKIPPABLE = 0x184d2a50
