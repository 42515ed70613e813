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

from ironic_imagedeploy.engine import extent as _extent
from ironic_imagedeploy.engine.formats import raw
from tests.unit.engine import base
from tests.unit.engine import memory
from tests.unit.engine import transfers

Extent = _extent.Extent


class RawImageTest(base.EngineTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.content = transfers.noise(10000)
        self.source = memory.MemorySource(self.content)
        self.image = raw.RawImage(self.source)
        self.image.read_map()

    def test_the_file_is_the_disk(self) -> None:
        extents = [Extent(0, 10000, _extent.ExtentKind.DATA, 0, 10000)]
        self.assertEqual(10000, self.image.virtual_size)
        self.assertEqual(extents, list(self.image.extents()))
        self.assertEqual(extents, list(self.image.by_source()))
        self.assertEqual([], self.image.findings)

    def test_read(self) -> None:
        for offset, length in ((0, 512), (100, 7), (9000, 1000)):
            self.assertEqual(self.content[offset:offset + length],
                             self.image.read(offset, length))

    def test_read_ends_where_the_disk_does(self) -> None:
        self.assertEqual(self.content[9990:], self.image.read(9990, 512))
        self.assertEqual(b'', self.image.read(10000, 512))
        self.assertEqual(b'', self.image.read(1 << 70, 512))

    def test_an_empty_file(self) -> None:
        image = raw.RawImage(memory.MemorySource(b''))
        image.read_map()
        self.assertEqual(([], b''), (list(image.extents()),
                                     image.read(0, 512)))

    def test_making_it_reads_nothing(self) -> None:
        self.assertEqual([], self.source.reads)
