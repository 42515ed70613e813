#!/usr/bin/env python3
#
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


import gzip
import hashlib
import typing

from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.transfer import fit
from ironic_imagedeploy.engine.transfer import held_ends
from ironic_imagedeploy.engine.transfer import meter
from ironic_imagedeploy.engine.transfer import passes
from ironic_imagedeploy.engine.transfer import read_back
from ironic_imagedeploy.engine.transfer import report
from ironic_imagedeploy.engine.transfer import sinks
from tests.unit.engine import base
from tests.unit.engine import manifests
from tests.unit.engine import memory
from tests.unit.engine import qcow2_builder as qcow2
from tests.unit.engine import recording
from tests.unit.engine import transfers

MIB = base.MIB
SIZE = 6 * MIB
#: The chunk in the middle is zero, and the last one is not whole.
NOISE = bytearray(transfers.noise(SIZE - 512))
NOISE[2 * MIB:3 * MIB] = bytes(MIB)
CONTENT = bytes(NOISE)


def _packed() -> tuple[bytes, bytes]:
    """A qcow2 with data between the ends of its disk, and that disk."""
    builder = qcow2.Builder(SIZE, seed=3)
    for start in range(MIB, SIZE - 2 * MIB, builder.cluster_size):
        index = start // builder.cluster_size
        half = builder.dice.randbytes(builder.cluster_size // 2)
        builder.compressed(index, half + bytes(len(half)))
    return bytes(builder.build()), bytes(builder.disk)


PACKED, DISK = _packed()


def checksum(algorithm: str, content: bytes = CONTENT) -> engine.Checksum:
    """The checksum of these bytes."""
    return engine.Checksum(
        algorithm, hashlib.new(algorithm, content).hexdigest())


class PassTestCase(base.EngineTestCase):
    """Passes over files in memory, to a disk that keeps a log."""

    def setUp(self) -> None:
        super().setUp()
        self.told: list[meter.Progress] = []
        self.meter = meter.Meter(self.told.append)
        self.target = recording.RecordingTarget(SIZE)
        self.held = held_ends.HeldEnds()

    def inspect(self, content: bytes = CONTENT,
                expected: engine.Checksum | None = None, *,
                chunked: bool = False, **options: typing.Any
                ) -> engine.Inspection:
        source: engine.Source = memory.MemorySource(content)
        if chunked:
            source = engine.ChunkedSource(manifests.built(content), source,
                                          **options)
        return engine.inspect(source, engine.Expectation(
            checksum=expected, disk_format=None if content[:4] == b'QFI\xfb'
            else 'raw'))

    def prepare(self, inspection: engine.Inspection, **options: typing.Any
                ) -> passes.Pass:
        self.guard = fit.SizeGuard(inspection, self.target, self.held)
        return passes.prepare(inspection, self.guard, self.meter, **options)

    def run_pass(self, copy: passes.Pass) -> None:
        """Run it as a write, without the ends of the disk."""
        copy.enter('write')
        copy.run(sinks.WritingSink(
            self.target, self.held, read_back.WriteLog('none'), self.meter),
            1)

    def prove(self, inspection: engine.Inspection, **options: typing.Any
              ) -> passes.Proof:
        """The proof of a pass that has written all but the ends."""
        copy = self.prepare(inspection, **options)
        self.run_pass(copy)
        self.assert_same(CONTENT[MIB:4 * MIB], self.target.disk[
            MIB:4 * MIB])
        return copy.prove()

    def assert_proof(self, proof: passes.Proof, by: str | None,
                     value: engine.Checksum, verified: bool, *,
                     sources: int = 1) -> None:
        self.assertEqual(
            (by, report.ChecksumReport(
                algorithm=value.algorithm, value=value.value,
                verified=verified), 0),
            (proof.verified_by, proof.checksum, proof.reused))
        self.assertEqual(['memory'] * sources,
                         [each.name for each in proof.sources])


class FileTest(PassTestCase):
    """A file that is known by its checksum, or not at all."""

    def test_nothing_is_known(self) -> None:
        proof = self.prove(self.inspect())
        self.assert_proof(proof, None, checksum('sha256'), False)
        self.assertEqual(len(CONTENT), proof.sources[0].bytes)

    def test_the_checksum_is_known(self) -> None:
        for algorithm in ('md5', 'sha512'):
            value = checksum(algorithm)
            self.assert_proof(self.prove(self.inspect(expected=value)),
                              'file', value, True)

    def test_another_checksum(self) -> None:
        copy = self.prepare(self.inspect(
            expected=checksum('sha512', b'another')))
        self.run_pass(copy)
        with self.assertRaises(exceptions.ChecksumMismatch) as caught:
            copy.prove()
        self.assert_complete(caught.exception)

    def test_an_image_that_is_refused(self) -> None:
        self.assertRaises(exceptions.ImageRefused, self.prepare,
                          self.inspect(b'<!DOCTYPE html>' * 99))

    def test_an_image_that_does_not_fit(self) -> None:
        self.target.size = SIZE - 1024
        self.assertRaises(exceptions.TargetTooSmall, self.prepare,
                          self.inspect())

    def test_the_size_of_the_disk(self) -> None:
        """It is known at once, but for what is compressed as a whole."""
        self.prepare(self.inspect())
        self.assertEqual(len(CONTENT), self.guard.size)
        known = held_ends.HeldEnds(len(CONTENT)).high
        self.assertEqual(known, self.held.high)
        self.held = held_ends.HeldEnds()
        self.prepare(self.inspect(gzip.compress(CONTENT, 1)))
        self.assertEqual(held_ends.HeldEnds().high, self.held.high)

    def test_what_is_told(self) -> None:
        for content, total in (
                (CONTENT, len(CONTENT)),
                (gzip.compress(CONTENT, 1), len(gzip.compress(CONTENT, 1)))):
            self.held = held_ends.HeldEnds()
            self.prepare(self.inspect(content)).enter('compare')
            self.assertEqual(('compare', 0, total), self.told[-1][:3])


class ChunkTest(PassTestCase):
    """A file with a manifest."""

    def test_only_what_the_disk_needs(self) -> None:
        for expected in (None, checksum('sha512')):
            self.meter = meter.Meter()
            proof = self.prove(self.inspect(expected=expected, chunked=True))
            self.assert_proof(proof, 'chunks', checksum('sha512'), True)
            self.assertEqual(len(CONTENT) - MIB, proof.sources[0].bytes)

    def test_all_in_its_sequence(self) -> None:
        proof = self.prove(self.inspect(chunked=True), in_sequence=True)
        self.assert_proof(proof, 'chunks', checksum('sha512'), True)
        self.assertEqual(len(CONTENT), self.meter.read)

    def test_the_file_as_well(self) -> None:
        for expected, options in (
                (checksum('sha512'), {'verify_file': True}),
                (checksum('sha256'), {}),
                (checksum('sha256'), {'in_sequence': True})):
            self.meter = meter.Meter()
            proof = self.prove(self.inspect(expected=expected, chunked=True),
                               **options)
            self.assert_proof(proof, 'both', expected, True)
            self.assertEqual(len(CONTENT), self.meter.read)

    def test_a_file_that_is_compressed_as_a_whole(self) -> None:
        packed = gzip.compress(CONTENT, 1)
        proof = self.prove(self.inspect(packed, chunked=True))
        self.assert_proof(proof, 'chunks', checksum('sha512', packed), True)

    def test_the_manifest_of_another_file(self) -> None:
        other = checksum('sha512', b'another')
        with self.assertRaises(exceptions.InvalidManifest) as caught:
            self.prepare(self.inspect(expected=other, chunked=True))
        self.assert_complete(caught.exception)
        self.assertIn(other.value, caught.exception.expected)
        self.assertIn(checksum('sha512').value, caught.exception.found)

    def test_what_is_told(self) -> None:
        """Of the disk, without its zeroes."""
        copy = self.prepare(self.inspect(chunked=True))
        copy.enter('compare')
        self.assertEqual(('compare', 0, len(CONTENT) - MIB),
                         self.told[-1][:3])


class ResumedTest(PassTestCase):
    """Targets that may hold a part of the image."""

    def setUp(self) -> None:
        super().setUp()
        self.folder = self.directory / 'journals'
        self.target.disk[:len(CONTENT)] = CONTENT
        self.told_written: list[int] = []

    def resume(self, inspection: engine.Inspection, **options: typing.Any
               ) -> passes.Proof:
        copy = self.prepare(inspection, written=self.told_written.append,
                            **options)
        with copy.resumed(self.target, self.held, str(self.folder), 1):
            self.run_pass(copy)
            return copy.prove()

    def kept(self) -> int:
        """How many journals there are."""
        return len([*self.folder.glob('*')])

    def test_a_raw_image(self) -> None:
        proof = self.resume(self.inspect(chunked=True))
        # Not the zeroes, nor the ends: these are in the first and the last
        # two chunks.
        self.assertEqual(2 * MIB, proof.reused)
        self.assertEqual([1, 3], sorted(self.told_written)[:2])
        self.assertEqual(('scan', 0, 0), self.told[0][:3])

    def test_a_new_file(self) -> None:
        """Nothing is looked for where nothing can be."""
        self.target.created = True
        proof = self.resume(self.inspect(chunked=True))
        self.assertEqual(0, proof.reused)
        self.assertEqual([], self.target.of_kind('read'))
        self.assertNotIn('scan', [each.phase for each in self.told])

    def test_a_compressed_image(self) -> None:
        """By a manifest of its disk, where there is one."""
        for options in ({}, {'disk': manifests.built(DISK)}):
            self.held = held_ends.HeldEnds()
            self.target.disk[:] = DISK
            self.told_written.clear()
            proof = self.resume(self.packed(**options))
            self.assertEqual(bool(options), proof.reused > 0)
            self.assert_same(DISK[MIB:4 * MIB], self.target.disk[
                MIB:4 * MIB])

    def test_a_journal_is_kept_until_all_is_well(self) -> None:
        self.interrupted()
        self.assertEqual(1, self.kept())
        self.resume(self.packed())
        self.assertEqual(0, self.kept())

    def test_what_an_earlier_attempt_has_written(self) -> None:
        self.target.disk[:] = DISK
        self.interrupted(MIB, 4 * MIB)
        proof = self.resume(self.packed())
        self.assertEqual(sum(
            extent.source_length for extent
            in self.packed().accepted().extents()), proof.reused)
        self.assertEqual([0, 1], sorted(self.told_written))

    def test_no_journal_is_left_that_is_not_true(self) -> None:
        """Where there is none, as the disk itself tells what it holds."""
        for other in (self.inspect(), self.inspect(chunked=True)):
            self.interrupted()
            with self.prepare(other).resumed(
                    self.target, self.held, str(self.folder), 1) as journal:
                self.assertIsNone(journal)
                self.assertEqual(0, self.kept())

    def test_no_folder(self) -> None:
        for inspection in (self.packed(), self.inspect()):
            with self.prepare(inspection).resumed(
                    self.target, self.held, None, 1) as journal:
                self.assertIsNone(journal)

    def packed(self, **options: typing.Any) -> engine.Inspection:
        """A compressed image of the disk."""
        return self.inspect(PACKED, chunked=True, **options)

    def interrupted(self, *written: int) -> None:
        """An attempt that fails after it has written such a range."""
        copy = self.prepare(self.packed())
        with (self.assertRaises(KeyError), copy.resumed(
                self.target, self.held, str(self.folder), 1) as journal):
            assert journal
            if written:
                start, end = written
                journal.wrote(start, memoryview(DISK)[start:end])
            raise KeyError
