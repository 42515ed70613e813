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

from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine import findings
from ironic_imagedeploy.engine import formats
from ironic_imagedeploy.engine.formats import qcow2
from ironic_imagedeploy.engine.formats import raw
from ironic_imagedeploy.engine.formats import reader
from tests.unit.engine import base
from tests.unit.engine import memory
from tests.unit.engine import qcow2_builder


class FindTest(base.EngineTestCase):

    def test_readers_are_found_by_name(self) -> None:
        self.assertIs(raw.RawImage, formats.find('raw'))
        self.assertIs(qcow2.Qcow2Image, formats.find('qcow2'))

    def test_there_is_none_for_others(self) -> None:
        for name in ('iso', 'gz', 'QCOW2', ''):
            self.assertIsNone(formats.find(name))


class ImageTest(base.EngineTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.image = raw.RawImage(memory.MemorySource(bytes(1000)))
        self.image.read_map()

    def refusal(self, error: exceptions.ImageRefused) -> findings.Finding:
        finding, = error.findings
        self.assert_complete(finding)
        self.assertTrue(finding.message)
        self.assertIs(findings.Severity.ERROR, finding.severity)
        return finding

    def test_a_damaged_file(self) -> None:
        finding = self.refusal(self.image.corrupt('that', 'this'))
        self.assertEqual(('corrupt', 'this', 'that'), (
            finding.code, finding.expected, finding.found))

    def test_what_lies_inside_of_the_file(self) -> None:
        self.image.check_inside('the table', 0, 1000)
        self.image.check_inside('the table', 999, 1)

    def test_what_does_not(self) -> None:
        for offset, length in ((0, 1001), (1000, 1), (1 << 63, 8)):
            with self.assertRaises(exceptions.ImageRefused) as caught:
                self.image.check_inside('the table', offset, length)
            finding = self.refusal(caught.exception)
            self.assertEqual('truncated', finding.code)
            self.assertIn('the table', finding.expected)
            self.assertIn('1000', finding.found)

    def test_a_warning_does_not_refuse(self) -> None:
        self.image.warn('dirty', expected='this', found='that')
        finding, = self.image.findings
        self.assertEqual(('dirty', findings.Severity.WARNING),
                         (finding.code, finding.severity))

    def test_a_format_without_compression_decodes_nothing(self) -> None:
        extent = next(self.image.extents())
        self.assertRaises(NotImplementedError, self.image.decode, extent,
                          b'')

    def test_zeroes_are_cut_at_the_end_of_the_disk(self) -> None:
        self.image.virtual_size = 1500
        self.image.append_zero(10000)
        self.image.append_zero(10000)
        self.assertEqual(1500, self.image.map.end)


class FileSizeTest(base.EngineTestCase):

    def test_far_larger_than_its_disk(self) -> None:
        source = memory.MemorySource(qcow2_builder.Builder(base.MIB).build())
        image = qcow2.Qcow2Image(source)
        source.size = 16 * base.MIB + (1 << 40)
        image.check_file_size()
        source.size += 1
        with self.assertRaises(exceptions.ImageRefused) as caught:
            image.check_file_size()
        self.assertIn('far larger than its disk', str(caught.exception))
        self.assertIn(f'found a file of {source.size} bytes',
                      str(caught.exception))

    def test_a_raw_disk_is_as_large_as_its_file(self) -> None:
        source = memory.MemorySource(bytes(512))
        source.size = 1 << 60
        raw.RawImage(source).check_file_size()


class NeighboursTest(base.EngineTestCase):

    def gathered(self, *offsets: int, size: int = 512
                 ) -> list[tuple[int, int]]:
        return list(reader.neighbours(offsets, size))

    def test_tables_that_follow_each_other(self) -> None:
        self.assertEqual([(1024, 3)], self.gathered(1024, 1536, 2048))

    def test_tables_that_do_not(self) -> None:
        self.assertEqual([(1024, 1), (2048, 1), (1536, 1)],
                         self.gathered(1024, 2048, 1536))

    def test_absent_ones(self) -> None:
        self.assertEqual([(0, 2), (1024, 1), (0, 1), (1536, 1)],
                         self.gathered(0, 0, 1024, 0, 1536))
        self.assertEqual([(512, 1), (0, 3)], self.gathered(512, 0, 0, 0))

    def test_none(self) -> None:
        self.assertEqual([], self.gathered())

    def test_no_run_is_larger_than_4_mib(self) -> None:
        size = 1 << 20
        self.assertEqual(
            [(size, 4), (5 * size, 4), (9 * size, 1)],
            self.gathered(*(size * index for index in range(1, 10)),
                          size=size))
        self.assertEqual(
            [(8 * size, 1), (16 * size, 1)],
            self.gathered(8 * size, 16 * size, size=8 * size))
