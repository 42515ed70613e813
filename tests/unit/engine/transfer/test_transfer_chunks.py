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


"""Transfers by chunks, before a target that watches."""

import hashlib
import random
import threading
import typing
from unittest import mock

from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine import extent as _extent
from ironic_imagedeploy.engine.sources import kept_chunks
from ironic_imagedeploy.engine.sources import mirrors
from ironic_imagedeploy.engine.transfer import chunk_plan
from tests.support import web
from tests.unit.engine import base
from tests.unit.engine.formats import compressed
from tests.unit.engine.formats import qemu_made
from tests.unit.engine import manifests
from tests.unit.engine import memory
from tests.unit.engine import qcow2_builder as qcow2
from tests.unit.engine import recording
from tests.unit.engine import transfers

KIB = base.KIB
MIB = base.MIB


class FlippingSource(memory.MemorySource):
    """A file that comes with a wrong bit at first, chunk by chunk.

    :param always: index of a chunk that never comes right.
    """

    def __init__(self, content: bytes, always: int = -1) -> None:
        super().__init__(content)
        self.always = always
        self._asked: set[int] = set()
        self._lock = threading.Lock()

    def fill(self, offset: int, view: memoryview, until: int) -> None:
        super().fill(offset, view, until)
        index = offset // MIB
        with self._lock:
            wrong = index == self.always or index not in self._asked
            self._asked.add(index)
        # What is zero by the manifest is cleared, and harmless.
        data = bytes(view).lstrip(b'\0')
        if wrong and data:
            view[len(view) - len(data)] ^= 2


class WatchingTarget(recording.RecordingTarget):
    """A disk that takes bytes of verified chunks only."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.verified: set[int] = set()
        self.extents: list[_extent.Extent] = []

    def write(self, offset: int, view: memoryview) -> None:
        end = offset + len(view)
        for extent in self.extents:
            if extent.start >= end or extent.end <= offset:
                continue
            part, = _extent.clamp([extent], offset, end)
            for index in range(part.source_offset // MIB,
                               -(-part.source_end // MIB)):
                if index not in self.verified:
                    raise AssertionError(f'chunk {index} at {offset}')
        super().write(offset, view)


class ChunksTestCase(transfers.TransferTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.enterContext(mock.patch.multiple(
            chunk_plan, LEAST=MIB, MOST=2 * MIB))
        self.enterContext(mock.patch.object(mirrors, '_PAUSE', 0))

    def watched(self, origin: engine.Source, content: bytes,
                **expectation: typing.Any
                ) -> tuple[engine.Inspection, WatchingTarget]:
        """A look at the file by its chunks, and a disk for it."""
        target = WatchingTarget(64 * MIB)
        source = engine.ChunkedSource(
            manifests.built(content), origin,
            verified=lambda index, view: target.verified.add(index))
        inspection = engine.inspect(source, engine.Expectation(**expectation))
        image = inspection.accepted()
        target.size = inspection.virtual_size or target.size
        del target.disk[target.size:]
        if inspection.compression is None:
            target.extents = [extent for extent in image.extents()
                              if extent.kind is not _extent.ExtentKind.ZERO]
        return inspection, target


class WatchTests:
    """No byte of a chunk reaches the disk before the chunk is verified."""

    def images(self) -> typing.Iterator[tuple[str, bytes, bytes]]:
        """Format, file and disk of several images."""
        raise NotImplementedError

    def assert_watched(self, form: str, file: bytes, disk: bytes) -> None:
        origin = FlippingSource(file)
        inspection, target = self.watched(
            origin, file, disk_format=form, permitted=(form,))
        report = engine.transfer(inspection, target)
        self.assert_same(disk, target.disk[:len(disk)])
        self.assertEqual('chunks', report.verified_by)
        bad, = [source.bad_chunks for source in report.sources]
        manifest = manifests.built(file)
        self.assertEqual(bad, sum(not manifest.is_zero(index)
                                  for index in target.verified))

    def test_right_in_the_second_attempt(self) -> None:
        for form, file, disk in self.images():
            with self.subTest(form=form), self.assertLogs(level='WARNING'):
                self.assert_watched(form, file, disk)

    def test_never_right(self) -> None:
        dice = random.Random(4)
        for form, file, _ in self.images():
            always = dice.randrange(-(-len(file) // MIB))
            origin = memory.MemorySource(file)
            with self.subTest(form=form, always=always):
                inspection, target = self.watched(
                    origin, file, disk_format=form, permitted=(form,))
                inspection.source._source._origin = (  # type: ignore
                    FlippingSource(file, always))
                inspection.source._source._kept = (  # type: ignore
                    kept_chunks.KeptChunks())
                target.verified.discard(always)
                if not any(extent.source_offset // MIB <= always
                           <= (extent.source_end - 1) // MIB
                           for extent in target.extents):
                    continue
                with (self.assertLogs(level='WARNING'),
                      self.assertRaises(
                          exceptions.ChunkMismatch) as caught):
                    engine.transfer(inspection, target)
                self.assertIn('memory', str(caught.exception))
                self.assert_boots_nothing(target)


class WatchTest(WatchTests, ChunksTestCase):
    """Images that are made by hand."""

    def images(self) -> typing.Iterator[tuple[str, bytes, bytes]]:
        size = 6 * MIB + 512
        noise = bytearray(transfers.noise(size))
        noise[2 * MIB + 100:4 * MIB + 9000] = bytes(2 * MIB + 8900)
        yield 'raw', bytes(noise), bytes(noise)
        for kinds, compression in (('d.z', 'zlib'), ('ccdz', 'zlib'),
                                   ('ccdz', 'zstd')):
            for seed in range(3):
                builder = qcow2.fill(qcow2.Builder(
                    size, seed=seed, compression=compression), kinds)
                yield 'qcow2', bytes(builder.build()), bytes(builder.disk)


class WatchQemuMadeTest(WatchTests, ChunksTestCase,
                        qemu_made.QemuMadeTestCase):
    """Images that qemu-img writes."""

    form = 'vmdk'

    def images(self) -> typing.Iterator[tuple[str, bytes, bytes]]:
        guest = bytes(self.disk())
        for form, options in (
                ('vmdk', 'subformat=monolithicSparse'),
                ('vmdk', 'subformat=streamOptimized'), ('vdi', ''),
                ('qcow2', 'cluster_size=2M')):
            self.form = form
            yield form, bytes(self.convert(guest, options)), guest


class OnceTest(ChunksTestCase):

    def test_no_chunk_is_fetched_twice(self) -> None:
        """Clusters lie across the ends of chunks, and those of runs."""
        builder = qcow2.Builder(40 * MIB, seed=5)
        for index in range(builder.clusters):
            builder.compressed(index, qcow2.text(builder.dice, 64 * KIB))
        file = bytes(builder.build())
        for _ in range(4):
            inspection, target = self.watched(
                memory.MemorySource(file), file)
            report = engine.transfer(inspection, target)
            self.assert_same(builder.disk, target.disk)
            # Zeroes are not fetched at all.
            self.assertLessEqual(
                sum(each.bytes for each in report.sources), len(file))


class PackedTest(compressed.PackedTestCase, ChunksTestCase):

    def test_each_compression(self) -> None:
        disk = self.disk(7 * MIB)
        for name, pack in compressed.PACK.items():
            file = pack(disk)
            with self.subTest(name=name), self.assertLogs(level='WARNING'):
                inspection, target = self.watched(
                    FlippingSource(file), file, disk_format='raw')
                report = engine.transfer(inspection, target)
                self.assert_same(disk, target.disk[:len(disk)])
                self.assertEqual('chunks', report.verified_by)
                self.assertEqual({*range(-(-len(file) // MIB))},
                                 target.verified)


class ProofTest(ChunksTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.content = transfers.noise(5 * MIB)
        self.manifest = manifests.built(self.content)
        self.target = recording.RecordingTarget(5 * MIB)

    def inspection(self, checksum: engine.Checksum | None
                   ) -> engine.Inspection:
        return engine.inspect(
            engine.ChunkedSource(self.manifest,
                                 memory.MemorySource(self.content)),
            engine.Expectation(disk_format='raw', checksum=checksum))

    def test_the_file_as_well(self) -> None:
        report = engine.transfer(self.inspection(self.manifest.checksum),
                                 self.target, verify_file=True)
        self.assertEqual('both', report.verified_by)
        self.assertEqual(self.manifest.checksum.value, report.checksum.value)
        self.assert_same(self.content, self.target.disk)

    def test_a_checksum_that_the_manifest_does_not_state(self) -> None:
        """It is computed, since nothing else says that it is right."""
        good = hashlib.sha256(self.content).hexdigest()
        report = engine.transfer(
            self.inspection(engine.Checksum('sha256', good)), self.target)
        self.assertEqual('both', report.verified_by)
        wrong = engine.Checksum('sha256', good[::-1])
        self.assertRaises(exceptions.ChecksumMismatch, engine.transfer,
                          self.inspection(wrong), self.target)
        self.assert_boots_nothing(self.target)

    def test_a_manifest_of_another_image(self) -> None:
        other = manifests.sha512(b'another')
        with self.assertRaises(exceptions.InvalidManifest) as caught:
            engine.transfer(self.inspection(other), self.target)
        self.assert_complete(caught.exception)
        self.assert_untouched(self.target)

    def test_a_manifest_that_belongs_to_other_bytes(self) -> None:
        self.manifest = manifests.built(transfers.noise(5 * MIB)[::-1])
        with (self.assertLogs(level='WARNING'),
              self.assertRaises(exceptions.ChunkMismatch)):
            self.inspection(None)

    def test_no_checksum_at_all(self) -> None:
        report = engine.transfer(self.inspection(None), self.target)
        self.assertEqual('chunks', report.verified_by)
        self.assertTrue(report.checksum.verified)


class ServedTest(ChunksTestCase):
    """A web server that goes wrong during the transfer."""

    def setUp(self) -> None:
        super().setUp()
        self.content = transfers.noise(20 * MIB)
        self.save('image', self.content)
        self.server = web.Server(self.directory)
        self.addCleanup(self.server.stop)
        self.target = recording.RecordingTarget(20 * MIB)

    def transfer(self, **options: typing.Any) -> engine.Report:
        with engine.open_source(self.server.url('image'), retries=2,
                                **options) as origin:
            inspection = engine.inspect(
                engine.ChunkedSource(manifests.built(self.content), origin),
                engine.Expectation(disk_format='raw'))
            inspection.raise_if_refused()
            return engine.transfer(inspection, self.target)

    def assert_written(self, report: engine.Report) -> None:
        self.assert_same(self.content, self.target.disk)
        self.assertEqual(len(self.content), sum(
            source.bytes for source in report.sources))

    def test_connections_that_drop(self) -> None:
        dice = random.Random(1)
        lock = threading.Lock()

        def answer(exchange: web.Exchange) -> None:
            with lock:
                stop = dice.randrange(800 * KIB, 3 * MIB)
                how = dice.choice(('close', 'reset'))
            exchange.serve(stop_after=stop, how=how)

        self.server.answer = answer
        report = self.transfer()
        self.assert_written(report)
        self.assertGreater(report.resumes, 0)

    def test_a_server_that_dies(self) -> None:
        self.server.answer = web.since(4, lambda exchange: exchange.refuse(
            503))
        self.assertRaises(exceptions.SourceUnavailable, self.transfer)
        self.assert_boots_nothing(self.target)

    def test_a_server_that_falls_silent(self) -> None:
        self.server.answer = web.since(3, lambda exchange: exchange.serve(
            stop_after=100 * KIB, how='stall'))
        self.assertRaises(exceptions.SourceTimeout, self.transfer,
                          timeout=0.5)
        self.assert_boots_nothing(self.target)

    def test_a_file_that_is_replaced(self) -> None:
        """Without a checksum the server's own tags tell, as always."""
        self.server.answer = web.since(3, lambda exchange: exchange.serve(
            etag='"new"', content=self.content[::-1]))
        self.assertRaises(exceptions.SourceChanged, self.transfer)
        self.assert_boots_nothing(self.target)

    def test_a_mirror_takes_over(self) -> None:
        other = web.Server(self.directory)
        self.addCleanup(other.stop)
        self.server.answer = web.since(5, lambda exchange: exchange.refuse(
            503))
        report = self.transfer(mirrors=[other.url('image')])
        self.assert_written(report)
        self.assertEqual(2, len(report.sources))

    def test_tls(self) -> None:
        self.server = web.Server(self.directory, context=web.self_signed(
            self.directory))
        self.addCleanup(self.server.stop)
        self.assert_written(self.transfer(
            verify=str(self.directory / 'certificate.pem')))
