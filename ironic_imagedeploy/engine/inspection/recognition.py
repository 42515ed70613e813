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

from collections.abc import Iterator
import dataclasses
import typing

from ironic_imagedeploy.engine.contents import mbr
from ironic_imagedeploy.engine.contents import optical
from ironic_imagedeploy.engine.contents import partitions
from ironic_imagedeploy.engine.contents import read as _read
from ironic_imagedeploy.engine.contents import signatures
from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine import findings
from ironic_imagedeploy.engine import formats
from ironic_imagedeploy.engine.formats import base
from ironic_imagedeploy.engine.formats import compressed_raw
from ironic_imagedeploy.engine.inspection import expectation as _expectation
from ironic_imagedeploy.engine.inspection import oslo_inspector
from ironic_imagedeploy.engine.sources import recorded

Expectation = _expectation.Expectation
Finding = findings.Finding

#: A disk has at least one sector.
_SMALLEST = 512
#: Compression whose decoder comes with an extra.
_IN_EXTRA = 'zstd'
_OPTICAL = ('iso', 'udf')
#: Types of partitions that media list in an MBR: none of them has the file
#: system of an installed system.
_OF_MEDIA = frozenset({'0x00', '0x17', '0x96', '0xcd', '0xef'})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recognition:
    """Kind of the file of an image.

    :ivar format: by signature; None when it is not an image.
    :ivar compression: of the file as a whole.
    :ivar reader: of the format, where there is one.
    :ivar findings: why the file must not be read as that.
    """

    format: str | None = None
    compression: str | None = None
    reader: type[base.MappedImage] | None = None
    findings: tuple[Finding, ...] = ()


def recognise(source: recorded.RecordedSource, expectation: Expectation
              ) -> Recognition:
    """Find the format by signature, and hold it against what is declared.

    :raises SourceError: when the file cannot be read.
    """
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
        return Recognition(findings=(Finding(
            code='format-ambiguous', expected='the signature of one format',
            found=' and '.join(filter(None, [*names, compression]))),))
    if compression:
        return _recognise_compressed(source, compression, expectation)
    return _recognise_disk(head, names, expectation)


def medium(image: base.Image) -> Finding | None:
    """The finding for an installation medium in an image with tables.

    :raises ImageRefused: when the front of the disk cannot be decoded.
    """
    size = image.virtual_size
    read = _within_reach(image.read, size)
    names = _containers(read(0, signatures.HEAD), b'', read, size)
    for name in names:
        if name in _OPTICAL:
            return Finding(
                code='format-unsupported', case='medium',
                expected='the disk of an installed system',
                found=f'{name} in {image.format_name}', data={'format': name})
    return None


def _recognise_compressed(source: recorded.RecordedSource, compression: str,
                          expectation: Expectation) -> Recognition:
    if compression not in compressed_raw.supported():
        return _compressed(compression, compression, compression,
                           case='unpacker' if compression == _IN_EXTRA
                           else 'compressed')
    try:
        image = compressed_raw.CompressedRawImage(
            source, compression, expectation.decompression_memory,
            source.budget)
        head = image.read(0, signatures.HEAD)
        inside = _containers(head, b'', _within_reach(
            image.read, compressed_raw.FRONT), None)
    except exceptions.ImageRefused as refusal:
        return Recognition(compression=compression,
                           findings=refusal.findings)
    if nested := signatures.compressed(head):
        inside.append(nested)
    if inside:
        return _compressed(inside[0], compression,
                           f'{inside[0]} in {compression}',
                           case='medium' if inside[0] in _OPTICAL
                           else 'compressed')
    return dataclasses.replace(_recognise_disk(head, [], expectation),
                               compression=compression)


def _recognise_disk(head: bytes, names: list[str], expectation: Expectation
                    ) -> Recognition:
    """Recognise a file that is not compressed, or what is in one that is.

    :param names: containers that it could be, one at most.
    """
    if len(head) < _SMALLEST and not names:
        return _not_an_image(f'a file of {len(head)} bytes')
    declared = expectation.disk_format
    if not (names or _is_disk(head)) and (other := signatures.other(head)):
        return _not_an_image(f'a {other}')
    name = names[0] if names else 'raw'
    if declared not in (None, name):
        return Recognition(format=name, findings=(Finding(
            code='format-mismatch', expected=f'{declared}, as declared',
            found=name, data={'format': name, 'declared': declared}),))
    reader = formats.find(name)
    unsupported = tuple(_check_support(name, reader, expectation.permitted))
    if name == 'raw' and declared is None and not (
            _is_disk(head) or head[510:512] == mbr.BOOT_SIGNATURE):
        unknown = _not_an_image(
            'no known format, partition table or file system')
        return dataclasses.replace(
            unknown, findings=unsupported + unknown.findings)
    return Recognition(format=name, reader=reader, findings=unsupported)


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
        places = _places(read, head, size)
        found = {(name, offset) for name, offset in found
                 if places.holds_container(name, offset, read)}
    return sorted({name for name, _ in found})


class _Places(typing.NamedTuple):
    """Where a disk has content.

    :ivar parts: first byte and end of partitions, or of a file system.
    :ivar like_medium: partitions are such as media list in an MBR.
    """

    parts: list[tuple[int, int]]
    like_medium: bool = False

    def holds_container(self, name: str, offset: int, read: _read.Read
                        ) -> bool:
        """Whether a signature at a place says what the whole file is.

        In a partition it does not, unless there is a disc, which has all of
        itself in one. Before the partitions a disc is a leftover, or there
        for firmware that boots discs; but some media with an MBR list their
        partitions after the descriptors.
        """
        inside = any(start <= offset < end for start, end in self.parts)
        if name in _OPTICAL and self.parts:
            return (inside or self.like_medium) and optical.is_volume(read)
        return not inside


def _places(read: _read.Read, head: bytes, size: int | None) -> _Places:
    try:
        table = (partitions.read_table(read, size)
                 if partitions.may_have_table(head) else None)
    except exceptions.BadContent:
        return _Places([])
    if table:
        return _Places([(partition.start, partition.end)
                        for partition in table.partitions],
                       _OF_MEDIA.issuperset(partition.type for partition
                                            in table.partitions))
    return _Places([(0, size or 1 << 63)] if signatures.file_system(head)
                   else [])


def _within_reach(read: _read.Read, size: int) -> _read.Read:
    """Reads that give fewer bytes at the end, and none that are too far."""
    def bounded(offset: int, length: int) -> bytes:
        end = min(offset + length, size)
        try:
            return read(offset, end - offset) if offset < end else b''
        except exceptions.SourceNotSeekable:
            return b''
    return bounded


def _check_support(name: str, reader: type[base.MappedImage] | None,
                   permitted: tuple[str, ...]) -> Iterator[Finding]:
    if reader and name in permitted:
        return
    if reader:
        yield Finding(code='format-not-permitted',
                      expected=_either(permitted), found=name,
                      data={'format': name})
    else:
        yield Finding(code='format-unsupported',
                      case='medium' if name in _OPTICAL
                      else name if name == 'luks' else '',
                      expected=_either(permitted), found=name,
                      data={'format': name})


def _compressed(name: str, compression: str, found: str,
                case: str = 'compressed') -> Recognition:
    """A compressed file that is not a raw disk in a known compression."""
    return Recognition(
        format=name, compression=compression, findings=(Finding(
            code='format-unsupported', case=case,
            expected='raw in ' + ' or '.join(compressed_raw.supported()),
            found=found, data={'format': name,
                               'compression': compression}),))


def _is_disk(head: bytes) -> bool:
    """Whether a GPT or a file system certainly starts there."""
    return (signatures.file_system(head) is not None
            or partitions.has_gpt(head))


def _either(names: tuple[str, ...]) -> str:
    return ' or '.join(names) or 'no format at all'


def _not_an_image(found: str) -> Recognition:
    return Recognition(findings=(Finding(
        code='not-an-image', expected='a disk image', found=found),))
