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

"""May an image be deployed?

It is decided from the head and the tables of the file, before a byte of a
disk is touched. Everything that was looked at is compared again with the
bytes that are deployed (:mod:`.sources.recorded`).
"""

from collections.abc import Iterator
import contextlib
import dataclasses
import time

from ironic_imagedeploy.engine import budget as _budget
from ironic_imagedeploy.engine.contents import efi_programs
from ironic_imagedeploy.engine.contents import kernels
from ironic_imagedeploy.engine.contents import partitions
from ironic_imagedeploy.engine.contents import read as _read
from ironic_imagedeploy.engine.contents import signatures
from ironic_imagedeploy.engine.contents.system import contents as _contents
from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine import findings
from ironic_imagedeploy.engine import formats
from ironic_imagedeploy.engine.formats import compressed_raw
from ironic_imagedeploy.engine.formats import reader
from ironic_imagedeploy.engine.inspection.checks import boot_file
from ironic_imagedeploy.engine.inspection.checks import checksum
from ironic_imagedeploy.engine.inspection.checks import drivers
from ironic_imagedeploy.engine.inspection.checks import node
from ironic_imagedeploy.engine.inspection.checks import root
from ironic_imagedeploy.engine.inspection.checks import start
from ironic_imagedeploy.engine.inspection.checks import table
from ironic_imagedeploy.engine.inspection.checks import units
from ironic_imagedeploy.engine.inspection import expectation as _expectation
from ironic_imagedeploy.engine.inspection import oslo_inspector
from ironic_imagedeploy.engine.inspection import recognition
from ironic_imagedeploy.engine.inspection import result
from ironic_imagedeploy.engine.sources import base as sources
from ironic_imagedeploy.engine.sources import recorded

Expectation = _expectation.Expectation
Finding = findings.Finding

_UNUSUAL = Finding(
    code='too-complex', case='service', severity=findings.Severity.WARNING,
    expected='as much work as a look takes that no write follows',
    found='more')
#: Seconds that a server may take for a look at the system in an image, which
#: is advice: what was not reached by then is not judged.
_SECONDS = 30.0
#: Bytes that are read at once of a file from its front to its end.
_PIECE = 1 << 20


def inspect(source: sources.Source,
            expectation: Expectation | None = None,
            budget: _budget.Budget | None = None) -> result.Inspection:
    """Judge an image by its head and its tables.

    :param source: the image file.
    :param expectation: what it must be; what is not stated there is taken
        from the source's own metadata.
    :param budget: for the work of the look.
    :raises SourceError: when the file cannot be read.
    """
    expectation = expectation or Expectation()
    expectation = dataclasses.replace(
        expectation,
        disk_format=expectation.disk_format or source.declared_format,
        checksum=expectation.checksum or source.declared_checksum)
    recorded_source = recorded.RecordedSource(source, budget)
    if expectation.image_type in kernels.LARGEST:
        return _inspect_boot_file(recorded_source, expectation,
                                  expectation.image_type)
    look = _Look(recorded_source, expectation)
    look.run()
    return look.result()


def _inspect_boot_file(source: recorded.RecordedSource,
                       expectation: Expectation, kind: str
                       ) -> result.Inspection:
    """Judge a kernel or an initramfs, which no disk is in."""
    head = source.read_at(0, min(signatures.HEAD, source.size))
    file = boot_file.judge(kind, head, source.size, expectation.arch)
    if expectation.contents and not file.findings and (
            kind == kernels.RAMDISK or file.compression):
        file = dataclasses.replace(file, findings=tuple(
            boot_file.check_to_end(kind, _pieces(source), source.budget)))
    return result.Inspection(
        source=source, expectation=expectation, format=file.format,
        compression=file.compression, kernel_version=file.version,
        findings=(*checksum.check(expectation), *file.findings))


def _pieces(source: sources.Source) -> Iterator[bytes]:
    """Bytes of a file, in their sequence."""
    view = memoryview(bytearray(_PIECE))
    with contextlib.closing(source.open_stream()) as stream:
        while count := stream.readinto(view):
            yield bytes(view[:count])


class _Look:
    """A look at an image, step by step, as far as it goes."""

    def __init__(self, source: recorded.RecordedSource,
                 expectation: Expectation) -> None:
        self._source = source
        self._expectation = expectation
        self._findings: list[Finding] = []
        self._recognition = recognition.Recognition()
        self._image: formats.AnyImage | None = None
        self._layout = table.Layout()
        self._programs: efi_programs.Programs | None = None
        self._root = root.Root()
        self._contents: _contents.Contents | None = None

    def run(self) -> None:
        """Take the steps; a refusal ends them."""
        self._findings += checksum.check(self._expectation)
        try:
            self._take_steps()
        except exceptions.ImageRefused as refusal:
            self._findings += refusal.findings
        except exceptions.TooComplex as error:
            self._findings.append(Finding(
                code=error.code, expected=error.expected, found=error.found))

    def _take_steps(self) -> None:
        self._recognition = recognition.recognise(self._source,
                                                  self._expectation)
        self._findings += self._recognition.findings
        if self._recognition.findings:
            return
        image = _open(self._source, self._recognition,
                      self._expectation.decompression_memory)
        too_large = node.too_large(self._expectation, image.virtual_size)
        if too_large and image.has_tables:
            # The header tells the size: no table is read for such a disk.
            self._image = image
            self._findings += (*image.findings, too_large)
            return
        if isinstance(image, reader.Reader):
            image.check_file_size()
        image.read_map()
        self._image = image
        self._findings += image.findings
        if isinstance(image, compressed_raw.CompressedRawImage):
            self._findings += image.look_at_end()
        self._look_inside(image)
        layout = self._layout.table
        finding = node.too_large(self._expectation, image.virtual_size)
        if layout and not finding:
            finding = node.too_large(self._expectation, layout.least_disk,
                                     'table')
        if finding:
            self._findings.append(finding)
        if layout:
            self._findings += self._check_table(image, layout)
        if self._expectation.contents or self._expectation.devices:
            if (self._expectation.contents
                    and self._source.budget.is_unusual):
                self._findings.append(_UNUSUAL)
            self._look_at_system(image)

    def result(self) -> result.Inspection:
        """Put together what was found."""
        return result.Inspection(
            source=self._source, expectation=self._expectation,
            format=self._recognition.format,
            compression=self._recognition.compression, image=self._image,
            table=self._layout.table, file_system=self._layout.file_system,
            efi_programs=(self._programs.architectures if self._programs
                          else None), boot_files=self._root.boot_files,
            has_kernel=self._root.has_kernel, contents=self._contents,
            findings=tuple(self._findings))

    def _look_inside(self, image: formats.AnyImage) -> None:
        """Look at what is on the disk in the image."""
        if image.has_tables and (finding := recognition.medium(image)):
            self._findings.append(finding)
            return
        layout = self._layout = table.read(image)
        self._findings += layout.findings
        if layout.findings:
            return
        if layout.table:
            self._programs = _efi_programs(image, layout.table)
            self._findings += table.flaws(image, layout.table)
        self._findings += oslo_inspector.violations(
            self._front(image), image.format_name,
            has_table=layout.table is not None,
            has_subclusters=image.has_subclusters)
        self._findings += table.check_type(self._expectation, layout)
        if layout.file_system and (
                self._expectation.image_type != _expectation.WHOLE_DISK):
            self._root = root.look(image, layout.file_system,
                                   self._expectation)
            self._findings += self._root.findings

    def _look_at_system(self, image: formats.AnyImage) -> None:
        """Look at the system on the disk, where all of that can be read."""
        layout = self._layout
        if layout.image_type is None or image.known_size is None or (
                not image.source.random_access):
            return
        expected = self._expectation
        self._contents = _contents.read(
            image.read if image.source.local else _in_time(image.read),
            image.known_size, layout.table,
            _budget.Budget(entries=_budget.ENTRIES // 2),
            _contents.Wanted(
                devices=expected.devices, initramfs=expected.initramfs,
                raid=expected.raid_esp is not None,
                only_kernels=not expected.contents))
        self._findings += expected.start_policy.applied(
            self._check_start(self._contents, layout.table))

    def _check_start(self, contents: _contents.Contents,
                     found: partitions.PartitionTable | None
                     ) -> Iterator[Finding]:
        """Hold the system against the machine, and against any machine."""
        expected = self._expectation
        if expected.contents:
            yield from start.check(contents, found)
        yield from node.check_signatures(expected, contents)
        yield from drivers.check(contents, expected.devices)
        yield from drivers.check_modules(contents, expected.kernel_version)
        if found and found.esp and expected.boot_mode != 'bios':
            yield from drivers.check_raid(contents, found.esp.length,
                                          expected.raid_esp)

    def _check_table(self, image: formats.AnyImage,
                     found: partitions.PartitionTable) -> Iterator[Finding]:
        """Hold the partition table against the machine."""
        yield from node.check_table(self._expectation, found, self._programs)
        yield from node.check_arch(self._expectation, found, self._programs)
        yield from units.check(image, found, self._expectation)
        yield from self._expectation.start_policy.applied(
            node.check_secure_boot(self._expectation, self._programs))

    def _front(self, image: formats.AnyImage) -> bytes:
        """The front of the file, or of the disk that it packs."""
        if self._recognition.compression:
            return image.read(0, signatures.HEAD)
        return self._source.read_at(0, min(signatures.HEAD,
                                           self._source.size))


def _in_time(read: _read.Read) -> _read.Read:
    """Access to a disk behind a server, for some seconds."""
    end = time.monotonic() + _SECONDS

    def read_in_time(offset: int, length: int) -> bytes:
        if time.monotonic() > end:
            raise exceptions.TooComplex(
                expected=f'{_SECONDS:g} seconds at most', found='more')
        return read(offset, length)

    return read_in_time


def _open(source: recorded.RecordedSource,
          recognised: recognition.Recognition, memory: int
          ) -> formats.AnyImage:
    """Open the image with its reader.

    :param memory: bytes that decoding it may take.

    :raises ImageRefused: when that must not read it.
    """
    if recognised.compression:
        return compressed_raw.CompressedRawImage(
            source, recognised.compression, memory, source.budget)
    if recognised.reader is None:
        raise TypeError(f'{recognised.format} was accepted without a reader')
    return recognised.reader(source, source.budget)


def _efi_programs(image: formats.AnyImage, layout: partitions.PartitionTable
                  ) -> efi_programs.Programs | None:
    """Programs in the ESPs; None when there is none, or it is not seen."""
    if layout.esps:
        with contextlib.suppress(exceptions.SourceNotSeekable):
            return efi_programs.find(image.read, layout.esps, image.budget)
    return None
