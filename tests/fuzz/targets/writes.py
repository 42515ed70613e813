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


"""Writes of images: what is accepted lands on the disk as a slow copier says.

And the journal of a write, which anybody may have left.
"""

import os
import pathlib
import struct
import sys
import tempfile
import zlib

from ironic_imagedeploy import engine
from ironic_imagedeploy.engine.formats import base
from ironic_imagedeploy.engine.transfer import journal
from tests.fuzz import target

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MIB = 1 << 20
#: Bytes of the disk that is written to.
DISK = 8 * MIB
_FORMATS = ('raw', 'qcow2', 'vmdk', 'vdi')
Kind = engine.ExtentKind


def write(disk: target.Disk) -> object:
    """Write an image, when it is accepted, and compare."""
    source = target.DiskSource(disk)
    inspection = engine.inspect(source, engine.Expectation(
        permitted=_FORMATS, disk_size=DISK))
    if inspection.verdict != 'accept':
        return sorted(found.code for found in inspection.findings)
    with tempfile.TemporaryDirectory(dir='/dev/shm') as folder:
        path = pathlib.Path(folder, 'disk')
        size = inspection.virtual_size
        assert size is not None
        with engine.open_target(str(path), create_size=size) as opened:
            report = engine.transfer(inspection, opened)
        written = path.read_bytes()
    image = inspection.accepted()
    expected = copied(image, disk)
    if written != expected:
        raise AssertionError(f'{len(written)} bytes on the disk, of '
                             f'{len(expected)}, and not the same')
    return report.bytes_written, report.bytes_zeroed, zlib.crc32(written)


def copied(image: base.Image, disk: target.Disk) -> bytes:
    """The disk in an image, one extent after the other."""
    whole = bytearray()
    for extent in image.extents():
        if extent.kind is Kind.ZERO:
            whole += bytes(extent.length)
            continue
        stored = disk.read(extent.source_offset, extent.source_length)
        if extent.kind is Kind.COMPRESSED:
            stored = _decoded(image.format_name, disk, stored, extent.length)
        whole += stored[:extent.length]
    return bytes(whole)


def _decoded(name: str, disk: target.Disk, stored: bytes, length: int
             ) -> bytes:
    if name == 'vmdk':
        size, = struct.unpack_from('<I', stored, 8)
        return zlib.decompress(stored[12:12 + size])
    head = disk.read(0, 112)
    cluster = 1 << struct.unpack_from('>I', head, 20)[0]
    version, = struct.unpack_from('>I', head, 4)
    header, = struct.unpack_from('>I', head, 100)
    if version == 2 or header <= 104 or not head[104]:
        return zlib.decompressobj(-15).decompress(stored, cluster)
    whole = b''
    while len(whole) < length:
        decoder = zstd.ZstdDecompressor()
        whole += decoder.decompress(stored)
        stored = decoder.unused_data
    return whole


#: Of the libraries that the copier decodes with.
DECODE_ERRORS = (zlib.error, zstd.ZstdError)
_BINDING = b'b' * 32


def read_journal(text: bytes) -> object:
    """Open a journal that was left, and go on with it."""
    with tempfile.TemporaryDirectory(dir='/dev/shm') as folder:
        path = os.path.join(folder, 'journal')
        pathlib.Path(path).write_bytes(text)
        os.chmod(path, 0o600)
        opened = journal.Journal(path, _BINDING, DISK)
        try:
            entries = list(opened._entries)
            opened.zeroed(0, 512)
        finally:
            opened.close()
    for entry in entries:
        if not 0 <= entry.start < entry.start + entry.length <= DISK:
            raise AssertionError(f'{entry} outside of the disk')
    return len(entries)


_JOURNAL = b'imgjrnl1' + _BINDING + b''.join(
    journal.Entry(start * MIB, MIB, crc).encode()
    for start, crc in ((0, 5), (1, None), (3, 7)))
TARGETS: list[target.Target] = [
    target.DiskTarget(
        'write', ('qcow2', 'qcow2-2', 'qcow2-subclusters', 'qcow2-zstd',
                  'qcow2-snapshot', 'vmdk', 'vmdk-stream', 'vdi', 'gpt'),
        write, errors=(engine.exceptions.ImageDeployError,), examples=60),
    target.TextTarget('journal', [_JOURNAL, _JOURNAL + b'cut'],
                      read_journal),
]
