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

from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.formats import compressed_raw
from ironic_imagedeploy.engine.transfer import buffers
from ironic_imagedeploy.engine.transfer import meter
from ironic_imagedeploy.engine.transfer import unpacker
from tests.unit.engine import base
from tests.unit.engine import memory
from tests.unit.engine import transfers

KIB = base.KIB
MIB = base.MIB


class UnpackerTest(base.EngineTestCase):
    """What is given when; the events are in the sequence that they came."""

    def setUp(self) -> None:
        super().setUp()
        self.events: list[tuple[str, int]] = []

    def at_least(self, size: int) -> None:
        self.events.append(('at least', size))

    def final(self, size: int) -> None:
        self.events.append(('final', size))

    def unpack(self, disk: bytes, kept_back: int) -> bytes:
        """The disk, put together from the jobs."""
        file = gzip.compress(disk, 1)
        one = unpacker.Unpacker(
            compressed_raw.CompressedRawImage(
                memory.MemorySource(file), 'gz'),
            self, meter.Meter(), kept_back=kept_back)
        unpacked = bytearray()
        for position in range(0, len(file), buffers.CHUNK_SIZE):
            part = file[position:position + buffers.CHUNK_SIZE]
            chunk = one.pool.take(position)
            chunk.memory[:len(part)] = part
            chunk.length = len(part)
            for job in one.split(chunk):
                self.take(job, unpacked)
            chunk.release()
        for job in one.finish():
            self.take(job, unpacked)
        return bytes(unpacked)

    def take(self, job: unpacker.jobs.Job, unpacked: bytearray) -> None:
        for piece in job.pieces:
            self.assertEqual(len(unpacked), piece.start)
            unpacked += piece.stored
            self.events.append(('given', len(unpacked)))
        job.release()

    def test_the_end_is_kept_back_until_the_size_is_known(self) -> None:
        for size in (6 * MIB, 6 * MIB + 1, 7 * MIB - 1, 20 * MIB):
            for kept_back in (0, 1, MIB, MIB + 4096, 9 * MIB):
                with self.subTest(size=size, kept_back=kept_back):
                    self.events = []
                    disk = transfers.noise(size)
                    self.assert_same(disk, self.unpack(disk, kept_back))
                    at = self.events.index(('final', size))
                    before = [end for event, end in self.events[:at]
                              if event == 'given']
                    # Each MiB that is not among the last bytes is given.
                    self.assertEqual(
                        max(size - kept_back, 0) // MIB * MIB,
                        max(before, default=0))

    def test_the_listener_learns_of_each_mib_before_it_is_given(self) -> None:
        self.unpack(transfers.noise(5 * MIB + 100 * KIB), MIB)
        learned = 0
        for event, size in self.events:
            if event == 'given':
                self.assertLessEqual(size, learned)
            learned = size if event != 'given' else learned
        self.assertEqual(
            [index * MIB for index in range(1, 6)] + [5 * MIB + 100 * KIB],
            [size for event, size in self.events if event != 'given'])

    def test_a_stop_wakes_who_waits_for_a_chunk_of_the_disk(self) -> None:
        file = gzip.compress(bytes(64 * MIB), 1)
        for kept_back in (0, MIB + 4096, 7 * MIB):
            one = unpacker.Unpacker(
                compressed_raw.CompressedRawImage(
                    memory.MemorySource(file), 'gz'),
                self, meter.Meter(), kept_back=kept_back)
            chunk = one.pool.take(0)
            chunk.memory[:len(file)] = file
            chunk.length = len(file)
            one.stop()
            held = []
            with self.assertRaises(buffers.Stopped):
                for job in one.split(chunk):
                    held.append(job)
            # All that there is memory for, beside what is kept back.
            self.assertIn(len(held), (5, 6, 7))
        for _ in range(3):
            one.pool.take(0)
        self.assertRaises(buffers.Stopped, one.pool.take, 0)

    def test_bytes_after_the_end_are_a_warning(self) -> None:
        """Unless the inspection came to the end and said it."""
        for known in (False, True):
            image = compressed_raw.CompressedRawImage(
                memory.MemorySource(gzip.compress(bytes(MIB)) + b'left'),
                'gz')
            if known:
                image.look_at_end()
            with (self.subTest(known=known),
                  self.assertNoLogs(unpacker.LOG) if known
                  else self.assertLogs(unpacker.LOG, 'WARNING') as logged):
                self.finish(image)
            if not known:
                self.assertIn('4 bytes', logged.output[0])
                self.assertIn('memory', logged.output[0])

    def test_nothing_after_the_end_is_no_warning(self) -> None:
        with self.assertNoLogs(unpacker.LOG):
            self.finish(compressed_raw.CompressedRawImage(
                memory.MemorySource(gzip.compress(bytes(MIB))), 'gz'))

    def test_a_disk_that_is_smaller_than_its_front_says(self) -> None:
        image = compressed_raw.CompressedRawImage(
            memory.MemorySource(gzip.compress(bytes(MIB))), 'gz')
        image.state_size(2 * MIB, MIB + 1)
        with self.assertRaises(exceptions.ImageRefused) as caught:
            self.finish(image)
        self.assertEqual('truncated', caught.exception.findings[0].code)
        self.assertNotIn(('final', MIB), self.events)

    def test_a_file_that_is_cut_off(self) -> None:
        image = compressed_raw.CompressedRawImage(memory.MemorySource(
            gzip.compress(bytes(MIB))[:-5]), 'gz')
        with self.assertRaises(exceptions.ImageRefused) as caught:
            self.finish(image)
        self.assertEqual('truncated', caught.exception.findings[0].code)

    def finish(self, image: compressed_raw.CompressedRawImage) -> None:
        """Unpack a file of one chunk."""
        one = unpacker.Unpacker(image, self, meter.Meter(), kept_back=0)
        chunk = one.pool.take(0)
        chunk.length = image.source.size
        chunk.memory[:chunk.length] = image.source.read_at(0, chunk.length)
        for jobs in (one.split(chunk), one.finish()):
            for job in jobs:
                job.release()
