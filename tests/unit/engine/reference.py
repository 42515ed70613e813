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

"""The slow copier: the oracle of the fast one.

One thread, one extent after the other in the order of the disk, and zlib
itself for the decoding.
"""

import struct
import sys
import zlib

from ironic_imagedeploy.engine import extent as _extent
from ironic_imagedeploy.engine.formats import base
from ironic_imagedeploy.engine.sources import base as sources

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Kind = _extent.ExtentKind


def copy(image: base.Image, source: sources.Source) -> bytearray:
    """The disk that is in an image."""
    disk = bytearray()
    for extent in image.extents():
        if extent.start != len(disk):
            raise AssertionError(f'{extent} does not follow {len(disk)}')
        if extent.kind is Kind.ZERO:
            disk += bytes(extent.length)
            continue
        stored = source.read_at(extent.source_offset, extent.source_length)
        if extent.kind is Kind.COMPRESSED:
            stored = _decoded(stored, source)[:extent.length]
        if len(stored) != extent.length:
            raise AssertionError(f'{extent} holds {len(stored)} bytes')
        disk += stored
    if len(disk) != image.virtual_size:
        raise AssertionError(f'{image.virtual_size} != {len(disk)}')
    return disk


def _decoded(stored: bytes, source: sources.Source) -> bytes:
    """One cluster of a qcow2."""
    head = source.read_at(0, 112)
    version, = struct.unpack_from('>I', head, 4)
    cluster_size = 1 << struct.unpack_from('>I', head, 20)[0]
    header_length, = struct.unpack_from('>I', head, 100)
    if version == 2 or header_length <= 104 or head[104] == 0:
        return zlib.decompressobj(-15).decompress(stored, cluster_size)
    cluster = b''
    while len(cluster) < cluster_size:
        decoder = zstd.ZstdDecompressor()
        cluster += decoder.decompress(stored)
        stored = decoder.unused_data
    return cluster
