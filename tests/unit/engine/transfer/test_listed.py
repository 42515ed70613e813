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


import dataclasses
import gzip
import hashlib
import pathlib
import unittest

from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import bmap
from ironic_imagedeploy.engine import checksum
from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.transfer import listed as transfer_listed
from tests.support import images
from tests.unit.engine import memory
from tests.unit.engine import recording
from tests.unit.engine import transfers

MIB = 1 << 20
SIZE = 8 * MIB
OLD = bytes([recording.OLD])


def listed(content: bytes, *ranges: tuple[int, int]) -> bmap.Bmap:
    """Block map of a disk; start and end in bytes."""
    return bmap.Bmap(len(content), 4096, tuple(
        bmap.Range(start, end, checksum.Checksum(
            'sha256', hashlib.sha256(content[start:end]).hexdigest()))
        for start, end in ranges))


class TransferListedTest(transfers.TransferTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.content = transfers.noise(SIZE)
        self.map = listed(
            self.content, (0, 8192), (2 * MIB, 2 * MIB + 4096),
            (3 * MIB - 4096, 5 * MIB + 4096), (SIZE - 4096, SIZE))
        self.target = recording.RecordingTarget(SIZE)

    def transfer(self, content: bytes | None = None, **arguments: object
                 ) -> engine.Report:
        return engine.transfer_listed(
            self.raw(content=content or self.content), self.target,
            arguments.pop('bmap', self.map), **arguments)

    def expected(self) -> bytes:
        """The disk: what is not listed stays, but in its ends."""
        disk = bytearray(OLD * SIZE)
        disk[:MIB] = disk[-MIB:] = bytes(MIB)
        for part in self.map.ranges:
            disk[part.start:part.end] = self.content[part.start:part.end]
        return bytes(disk)

    def test_what_is_not_listed_stays(self) -> None:
        for read_back in ('none', 'full'):
            report = self.transfer(read_back=read_back)
            self.assertEqual(self.expected(), bytes(self.target.disk))
            self.assertEqual('bmap', report.verified_by)
            self.assertEqual(self.map.listed_size,
                             report.bytes_written + report.bytes_zeroed)

    def test_a_compressed_disk(self) -> None:
        self.transfer(gzip.compress(self.content, 1))
        self.assertEqual(self.expected(), bytes(self.target.disk))

    def test_zeroes_that_are_listed_are_zeroed(self) -> None:
        self.content = self.content[:3 * MIB] + bytes(MIB) + (
            self.content[4 * MIB:])
        self.map = listed(self.content, (3 * MIB, 4 * MIB))
        self.transfer()
        self.assertEqual(self.expected(), bytes(self.target.disk))

    def test_nothing_is_written_before_all_is_proven(self) -> None:
        for part in self.map.ranges:
            damaged = bytearray(self.content)
            damaged[part.end - 1] ^= 1
            for content in (bytes(damaged), gzip.compress(damaged, 1)):
                with (self.subTest(part=part),
                      self.assertRaisesRegex(
                          exceptions.ChecksumMismatch,
                          f'bytes {part.start} to {part.end - 1}')):
                    self.transfer(content)
                self.assertEqual(OLD * SIZE, bytes(self.target.disk))

    def test_what_is_not_listed_may_be_anything(self) -> None:
        other = bytearray(self.content)
        other[2 * MIB + 5000] ^= 1
        self.transfer(bytes(other))
        self.assertEqual(self.expected(), bytes(self.target.disk))

    def test_the_map_of_another_disk(self) -> None:
        for size in (SIZE - 1, SIZE + 1):
            with self.assertRaisesRegex(exceptions.InvalidBmap,
                                        f'a disk of {SIZE} bytes'):
                self.transfer(bmap=dataclasses.replace(
                    self.map, size=size, ranges=self.map.ranges[:2]))
        self.assertEqual(OLD * SIZE, bytes(self.target.disk))

    def test_a_file_that_changes_after_it_was_proven(self) -> None:
        inspection = self.raw(content=self.content)
        source = inspection.source
        opened = source.open_stream
        streams = []

        def open_stream() -> object:
            streams.append(opened())
            if len(streams) == 2:
                return memory.MemorySource(bytes(SIZE)).open_stream()
            return streams[-1]
        source.open_stream = open_stream
        with self.assertRaises((exceptions.ChecksumMismatch,
                                exceptions.SourceChanged)):
            engine.transfer_listed(inspection, self.target, self.map)
        self.assertEqual(2, len(streams))
        self.assertFalse(any(self.target.disk[:MIB]))
        self.assertFalse(any(self.target.disk[-MIB:]))

    def test_a_map_without_checksums_proves_nothing(self) -> None:
        self.map = dataclasses.replace(self.map, ranges=tuple(
            bmap.Range(part.start, part.end) for part in self.map.ranges))
        report = self.transfer()
        self.assertIsNone(report.verified_by)
        self.assertFalse(report.checksum.verified)
        self.assertEqual(self.expected(), bytes(self.target.disk))

    def test_the_checksum_of_the_file_is_verified_too(self) -> None:
        value = hashlib.sha512(self.content).hexdigest()
        for stated, error in ((value, None), (
                '0' * 128, exceptions.ChecksumMismatch)):
            inspection = engine.inspect(
                memory.MemorySource(self.content), engine.Expectation(
                    disk_format='raw',
                    checksum=checksum.Checksum('sha512', stated)))
            if error:
                self.target = recording.RecordingTarget(SIZE)
                self.assertRaises(error, engine.transfer_listed, inspection,
                                  self.target, self.map)
                self.assertEqual(OLD * SIZE, bytes(self.target.disk))
            else:
                report = engine.transfer_listed(inspection, self.target,
                                                self.map)
                self.assertEqual(('file', True), (
                    report.verified_by, report.checksum.verified))

    def test_an_image_with_a_map_of_its_own(self) -> None:
        guest = pathlib.Path(self.save('guest', self.content))
        vmdk = self.enterContext(engine.open_source(str(images.convert(
            guest, self.directory / 'disk.vmdk', form='vmdk'))))
        for inspection, name in (
                (self.qcow2(), 'qcow2'),
                (engine.inspect(vmdk, engine.Expectation(
                    permitted=('vmdk',))), 'vmdk')):
            with self.assertRaisesRegex(exceptions.InvalidBmap, name):
                engine.transfer_listed(inspection, self.target, self.map)


class ProvingSinkTest(unittest.TestCase):
    """The disk comes in its sequence, and zeroes may come in large ranges."""

    def setUp(self) -> None:
        super().setUp()
        self.content = transfers.noise(5 * MIB)
        self.content = (self.content[:MIB] + bytes(5 * MIB // 2)
                        + self.content[7 * MIB // 2:])
        self.passed: list[tuple[int, bytes]] = []

    def write(self, start: int, view: memoryview) -> None:
        self.passed.append((start, bytes(view)))

    def sink(self, *ranges: tuple[int, int], **others: object
             ) -> transfer_listed._ProvingSink:
        return transfer_listed._ProvingSink(
            'image', dataclasses.replace(listed(self.content, *ranges),
                                         **others), self)

    def send(self, sink: transfer_listed._ProvingSink) -> None:
        """All of the disk."""
        view = memoryview(self.content)
        sink.write(0, view[:MIB])
        sink.zero(MIB, 5 * MIB // 2)
        sink.write(7 * MIB // 2, view[7 * MIB // 2:])
        sink.finish()

    def test_all_is_passed_on(self) -> None:
        self.send(self.sink((0, 5 * MIB)))
        self.assertEqual(
            [(0, MIB), (MIB, MIB), (2 * MIB, MIB), (3 * MIB, MIB // 2),
             (7 * MIB // 2, 3 * MIB // 2)],
            [(start, len(piece)) for start, piece in self.passed])
        self.assertEqual(self.content,
                         b''.join(piece for _, piece in self.passed))

    def test_nobody_need_get_it(self) -> None:
        sink = transfer_listed._ProvingSink(
            'image', listed(self.content, (MIB, 3 * MIB)))
        self.send(sink)

    def test_a_range_that_is_wrong_is_not_passed_on(self) -> None:
        sink = self.sink((MIB, 2 * MIB), (7 * MIB // 2, 4 * MIB))
        self.content = self.content[:4 * MIB - 1] + b'x' * (MIB + 1)
        with self.assertRaisesRegex(
                exceptions.ChecksumMismatch,
                f'image, bytes {7 * MIB // 2} to {4 * MIB - 1}'):
            self.send(sink)
        self.assertEqual(7 * MIB // 2, sum(
            len(piece) for _, piece in self.passed))

    def test_what_comes_out_of_its_sequence(self) -> None:
        sink = self.sink((0, 5 * MIB))
        for start in (1, 5):
            self.assertRaises(RuntimeError, sink.write, start,
                              memoryview(b'x'))
        sink.write(0, memoryview(self.content)[:5])
        self.assertRaises(RuntimeError, sink.write, 4, memoryview(b'x'))

    def test_less_or_more_than_the_whole_disk(self) -> None:
        for size in (5 * MIB - 1, 5 * MIB + 1):
            with self.assertRaises(exceptions.InvalidBmap) as caught:
                self.send(self.sink((0, 4 * MIB), size=size))
            self.assertEqual(
                (f'that of a disk of {5 * MIB} bytes',
                 f'that of one of {size} bytes'),
                (caught.exception.expected, caught.exception.found))
