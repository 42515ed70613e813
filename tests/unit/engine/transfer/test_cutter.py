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

import random

from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine import extent as _extent
from ironic_imagedeploy.engine.formats import base as formats
from ironic_imagedeploy.engine.transfer import buffers
from ironic_imagedeploy.engine.transfer import cutter
from tests.unit.engine import base
from tests.unit.engine import memory

CHUNK = buffers.CHUNK_SIZE
DATA = _extent.ExtentKind.DATA
COMPRESSED = _extent.ExtentKind.COMPRESSED
ZERO = _extent.ExtentKind.ZERO


class StatedImage(formats.MappedImage):
    """A disk of stated extents."""

    format_name = 'stated'


class CutterTest(base.EngineTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.file = random.Random(5).randbytes(4 * CHUNK + 700)
        self.image = StatedImage(memory.MemorySource(self.file))
        self.pool = buffers.BufferPool()
        self.taken: list[buffers.Chunk] = []
        self.jobs: list[int] = []

    def add(self, length: int, kind: _extent.ExtentKind, offset: int = 0,
            stored: int = 0) -> None:
        self.image.map.append(length, kind, offset, stored)
        self.image.virtual_size = self.image.map.end

    def chunks(self) -> list[buffers.Chunk]:
        """The file in chunks."""
        for position in range(0, len(self.file), CHUNK):
            chunk = self.pool.take(position)
            part = self.file[position:position + CHUNK]
            chunk.memory[:len(part)] = part
            chunk.length = len(part)
            self.taken.append(chunk)
        return self.taken

    def cut(self) -> list[tuple[int, _extent.ExtentKind, bytes]]:
        """Where, of what kind and which bytes the pieces are."""
        one = cutter.Cutter(self.image)
        seen = []
        for chunk in self.chunks():
            for job in one.split(chunk):
                self.jobs.append(len(job.pieces))
                seen.extend((piece.start, piece.extent.kind,
                             bytes(piece.stored)) for piece in job.pieces)
                job.release()
            chunk.release()
        return seen

    def assert_all_free(self) -> None:
        """Every chunk can be taken again at once."""
        for _ in range(buffers.CHUNKS):
            self.pool.take(0)

    def test_data_is_cut_where_a_chunk_ends(self) -> None:
        self.add(100, ZERO)
        self.add(2 * CHUNK, DATA, 300, 2 * CHUNK)
        self.assertEqual(
            [(100, DATA, self.file[300:CHUNK]),
             (100 + CHUNK - 300, DATA, self.file[CHUNK:2 * CHUNK]),
             (100 + 2 * CHUNK - 300, DATA,
              self.file[2 * CHUNK:2 * CHUNK + 300])], self.cut())
        self.assert_all_free()

    def test_compressed_waits_for_its_last_byte(self) -> None:
        self.add(CHUNK, COMPRESSED, CHUNK - 10, 20)
        self.add(CHUNK, COMPRESSED, 2 * CHUNK - 1, CHUNK + 2)
        self.assertEqual(
            [(0, COMPRESSED, self.file[CHUNK - 10:CHUNK + 10]),
             (CHUNK, COMPRESSED, self.file[2 * CHUNK - 1:3 * CHUNK + 1])],
            self.cut())
        self.assert_all_free()

    def test_what_is_zero_is_told_apart(self) -> None:
        self.add(512, ZERO)
        self.add(64, COMPRESSED, 100, 10)
        self.add(300, DATA, 0, 300)
        self.add(CHUNK, ZERO)
        one = cutter.Cutter(self.image)
        self.assertEqual([(0, 512), (876, CHUNK)], [
            (extent.start, extent.length) for extent in one.zeroes()])
        self.assertEqual((364, 512 + CHUNK), (one.data_size, one.zero_size))

    def test_zeroes_have_no_pieces(self) -> None:
        self.add(CHUNK, ZERO)
        self.assertEqual([], self.cut())
        self.assert_all_free()

    def test_pieces_come_in_the_order_of_the_file(self) -> None:
        self.add(512, DATA, 3000, 512)
        self.add(512, DATA, 1000, 512)
        self.add(512, DATA, 2000, 512)
        self.assertEqual([512, 1024, 0], [start for start, *_ in self.cut()])

    def test_the_same_bytes_for_several_places(self) -> None:
        for _ in range(3):
            self.add(64, COMPRESSED, CHUNK - 5, 10)
        self.assertEqual(
            [(start, COMPRESSED, self.file[CHUNK - 5:CHUNK + 5])
             for start in (0, 64, 128)], self.cut())
        self.assert_all_free()

    def test_the_end_of_the_file(self) -> None:
        self.add(700, DATA, 4 * CHUNK, 700)
        self.add(64, COMPRESSED, 4 * CHUNK + 699, 1)
        self.assertEqual(
            [(0, DATA, self.file[-700:]), (700, COMPRESSED,
                                           self.file[-1:])], self.cut())

    def test_any_extents_come_whole(self) -> None:
        dice = random.Random(6)
        for _ in range(300):
            kind = dice.choice((DATA, COMPRESSED))
            length = dice.choice((1, 512, 4096, CHUNK, 2 * CHUNK))
            self.add(length, kind, dice.randrange(len(self.file) - length),
                     length)
        disk = bytearray(self.image.virtual_size)
        for start, _, stored in self.cut():
            disk[start:start + len(stored)] = stored
        wanted = b''.join(
            self.file[extent.source_offset:extent.source_end]
            for extent in self.image.extents())
        self.assert_same(wanted, disk)
        self.assert_all_free()

    def test_a_job_decodes_a_mib(self) -> None:
        for index in range(40):
            self.add(64 << 10, COMPRESSED, index * 1000, 1000)
        self.add(4 << 20, COMPRESSED, 50000, 1000)
        self.add(4 << 20, COMPRESSED, 51000, 1000)
        self.cut()
        self.assertEqual([16, 16, 9, 1], self.jobs)
        self.assert_all_free()

    def test_a_job_has_a_bounded_number_of_pieces(self) -> None:
        for index in range(600):
            self.add(512, DATA, index * 1024, 512)
        self.cut()
        self.assertEqual([256, 256, 88], self.jobs)

    def test_clusters_over_several_chunks(self) -> None:
        for start in (CHUNK - 100, CHUNK - 50, 2 * CHUNK + 7):
            self.add(4 * CHUNK, COMPRESSED, start, 2 * CHUNK)
        self.assertEqual(
            [(index * 4 * CHUNK, COMPRESSED,
              self.file[start:start + 2 * CHUNK])
             for index, start in enumerate(
                (CHUNK - 100, CHUNK - 50, 2 * CHUNK + 7))], self.cut())
        self.assert_all_free()

    def test_only_what_is_compressed_is_decoded(self) -> None:
        self.add(300, COMPRESSED, 10, 3)
        self.add(4, DATA, 13, 4)
        self.add(200, COMPRESSED, 20, 2)
        self.image.decode = (  # type: ignore[method-assign]
            lambda extent, stored: bytes(stored) * 100)
        one = cutter.Cutter(self.image)
        job, = one.split(self.chunks()[0])
        self.assertEqual(
            [self.file[10:13] * 100, self.file[13:17],
             self.file[20:22] * 100], [*one.decode(job.pieces)])

    def test_too_many_clusters_on_the_same_bytes_are_refused(self) -> None:
        for _ in range(5000):
            self.add(64, COMPRESSED, CHUNK - 5, 10)
        with self.assertRaises(exceptions.ImageRefused) as caught:
            self.cut()
        self.assertEqual('corrupt', caught.exception.findings[0].code)
        self.assert_complete(caught.exception)
