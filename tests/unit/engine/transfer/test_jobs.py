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

import typing
import unittest

from ironic_imagedeploy.engine import extent
from ironic_imagedeploy.engine.transfer import buffers
from ironic_imagedeploy.engine.transfer import jobs

Kind = extent.ExtentKind


class JobTest(unittest.TestCase):

    def is_plain(self, *kinds: extent.ExtentKind) -> bool:
        """Whether a job of such pieces is."""
        chunk = buffers.Chunk(buffers.BufferPool(1), 512)
        return jobs.Job([jobs.Piece(0, extent.Extent(
            0, 512, kind, 0, 512), chunk.memory) for kind in kinds],
            chunk).is_plain

    def test_what_has_to_be_decoded(self) -> None:
        self.assertTrue(self.is_plain(Kind.DATA, Kind.DATA))
        self.assertFalse(self.is_plain(Kind.COMPRESSED))
        self.assertFalse(self.is_plain(Kind.DATA, Kind.COMPRESSED))

    def test_it_holds_its_chunk_until_it_is_released(self) -> None:
        pool = buffers.BufferPool(1, 512)
        chunk = pool.take(0)
        freed: list[bool] = []
        chunk.when_free(lambda: freed.append(True))
        job = jobs.Job.hold([], chunk)
        self.assertIs(chunk, job.chunk)
        chunk.release()
        self.assertEqual([], freed)
        job.release()
        self.assertEqual([True], freed)


class LayoutTest(unittest.TestCase):

    def test_a_file_that_stores_all_of_the_disk_as_it_is(self) -> None:
        class Plain(jobs.Splitter):
            pool = buffers.BufferPool(1, 512)

            def split(self, chunk: buffers.Chunk) -> typing.Iterator[
                    jobs.Job]:
                return iter(())

        layout = Plain()
        self.assertEqual((None, 0), (layout.data_size, layout.zero_size))
        self.assertEqual(([], []), (list(layout.zeroes()),
                                    list(layout.finish())))
        stored = memoryview(b'stored')
        piece = jobs.Piece(0, extent.Extent(0, 6, Kind.DATA, 0, 6), stored)
        self.assertEqual([stored], [*layout.decode([piece])])
        layout.pool.take(0)
        layout.stop()
        self.assertRaises(buffers.Stopped, layout.pool.take, 0)
