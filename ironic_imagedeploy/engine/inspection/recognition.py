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

"""Which format is the file in?

The signatures decide, ours and those of OpenStack's format inspector; what is
declared must agree. Nothing is taken for raw because nothing else matched,
unless it is declared.
"""

from collections.abc import Generator
from collections.abc import Iterator

from ironic_imagedeploy.engine.contents import mbr
from ironic_imagedeploy.engine.contents import optical
from ironic_imagedeploy.engine.contents import partitions
from ironic_imagedeploy.engine.contents import read as _read
from ironic_imagedeploy.engine.contents import signatures
from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine import findings as _findings
from ironic_imagedeploy.engine import formats
from ironic_imagedeploy.engine.formats import compressed_raw
from ironic_imagedeploy.engine.inspection import oslo_inspector
from ironic_imagedeploy.engine.inspection import result as _inspection

Finding = _findings.Finding
Inspection = _inspection.Inspection

#: A disk has at least one sector.
_SMALLEST = 512
_OPTICAL = ('iso', 'udf')
_CONVERT = ('Convert it and upload the result: qemu-img convert -O qcow2 '
            'OLD NEW')


def recognise(inspection: Inspection) -> Iterator[Finding]:
    """Find the format by signature, and hold it against what is declared.

    Sets the format of the inspection; what it gives refuses the image.
    """
    source, expectation = inspection.source, inspection.expectation
    head = source.read_at(0, min(signatures.HEAD, source.size))
    tail = (source.read_at(source.size - signatures.TAIL, signatures.TAIL)
            if source.random_access and source.size >= signatures.TAIL
            else b'')
    names = _containers(
        head, tail, _within_reach(source.read_at, source.size), source.size)
    compression = signatures.compressed(head)
    if compression and _is_disk(head):
        names.append('raw')
    if len(names) + bool(compression) > 1:
        yield Finding(
            code='format-ambiguous',
            message='The file is several formats at once.',
            expected='the signature of one format',
            found=' and '.join(filter(None, [*names, compression])),
            fix='Make the image again from its origin.')
        return
    if compression:
        unpacked = yield from _unpack_head(inspection, compression)
        if unpacked is None:
            return
        head = unpacked
    if len(head) < _SMALLEST and not names:
        yield _not_an_image(f'a file of {len(head)} bytes')
        return
    declared = expectation.disk_format
    if not (names or _is_disk(head)) and (other := signatures.other(head)):
        yield _not_an_image(f'a {other}')
        return
    inspection.format = names[0] if names else 'raw'
    if declared not in (None, inspection.format):
        yield Finding(
            code='format-mismatch',
            message='The file is of another format than declared.',
            expected=f'{declared}, as declared', found=inspection.format,
            fix='Upload it again with its real format: openstack image '
                f'create --disk-format {inspection.format} ...; or state '
                f'image_disk_format={inspection.format} for the node.')
        return
    yield from _check_support(inspection)
    if inspection.format == 'raw' and declared is None and not (
            _is_disk(head) or head[510:512] == mbr.BOOT_SIGNATURE):
        inspection.format = None
        yield _not_an_image('no known format, partition table or file system')


def _containers(head: bytes, tail: bytes, read: _read.Read,
                size: int | None) -> list[str]:
    """Names of the containers of a disk that the file could be.

    What lies inside of a partition, or of a file system, is its content.

    :param read: gives bytes of the file, or of the disk that it packs.
    :param size: bytes of that, where it is known.
    """
    found = {(signature.name, signature.offset + (
        size or 0 if signature.offset < 0 else 0))
        for signature in signatures.images(head, tail)}
    found |= {(name, optical.NAMED_AT if name in _OPTICAL else 0)
              for name in oslo_inspector.formats(head)}
    if any(offset >= _SMALLEST for _, offset in found):
        parts = _parts(read, head, size)
        found = {(name, offset) for name, offset in found
                 if not any(start <= offset < end for start, end in parts)
                 or name in _OPTICAL and optical.is_volume(read)}
    return sorted({name for name, _ in found})


def _parts(read: _read.Read, head: bytes, size: int | None
           ) -> list[tuple[int, int]]:
    """Where a disk has content: first byte and end."""
    name = signatures.file_system(head)
    try:
        table = (None if name in signatures.LIKE_MBR
                 else partitions.read_table(read, size))
    except exceptions.BadContent:
        return []
    if table:
        return [(partition.start, partition.start + partition.length)
                for partition in table.partitions]
    return [(0, size or 1 << 63)] if name else []


def _within_reach(read: _read.Read, size: int) -> _read.Read:
    """Reads that give fewer bytes at the end, and none that are too far."""
    def bounded(offset: int, length: int) -> bytes:
        end = min(offset + length, size)
        try:
            return read(offset, end - offset) if offset < end else b''
        except exceptions.SourceNotSeekable:
            return b''
    return bounded


def _unpack_head(inspection: Inspection, compression: str
                 ) -> Generator[Finding, None, bytes | None]:
    """The front of the disk in a compressed file; None when refused."""
    inspection.compression = compression
    if compression in compressed_raw.supported():
        image = compressed_raw.CompressedRawImage(inspection.source,
                                                  compression)
        head = image.read(0, signatures.HEAD)
        inside = _containers(head, b'', _within_reach(
            image.read, compressed_raw.FRONT), None)
        if nested := signatures.compressed(head):
            inside.append(nested)
        if not inside:
            return head
        found = f'{inside[0]} in {compression}'
        inspection.format = inside[0]
    else:
        inspection.format = found = compression
    yield Finding(
        code='format-unsupported',
        message='Files that are compressed like this cannot be deployed.',
        expected='raw in ' + ' or '.join(compressed_raw.supported()),
        found=found,
        fix='Decompress the file before it is uploaded.')
    return None


def _check_support(inspection: Inspection) -> Iterator[Finding]:
    name, permitted = inspection.format or '', inspection.expectation.permitted
    reader = formats.find(name)
    if reader and name in permitted:
        return
    if reader:
        yield Finding(
            code='format-not-permitted',
            message='The operator does not permit this format.',
            expected=_either(permitted), found=name,
            fix=f'{_CONVERT}; or add {name} to permitted_formats of '
                '[imagedeploy].')
    else:
        yield Finding(
            code='format-unsupported',
            message='Images of this format cannot be deployed.',
            expected=_either(permitted), found=name,
            fix='An installation medium is never written to a disk; use an '
                'image of an installed disk.' if name in _OPTICAL
            else _CONVERT)


def _is_disk(head: bytes) -> bool:
    """Whether a GPT or a file system certainly starts there."""
    return (signatures.file_system(head) is not None
            or partitions.has_gpt(head))


def _either(names: tuple[str, ...]) -> str:
    return ' or '.join(names) or 'no format at all'


def _not_an_image(found: str) -> Finding:
    return Finding(
        code='not-an-image', message='The file is no disk image.',
        expected='a disk image', found=found,
        fix='Check what was uploaded, and its address; declare the format '
            'raw only for a disk byte for byte.')
