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

"""Where an image's data lie, in text and JSON."""

import json

from ironic_imagedeploy.cmd import disk_map
from tests.unit.cmd import base

MIB = base.MIB
DATA, COMPRESSED, ZERO = base.DATA, base.COMPRESSED, base.ZERO


class LayoutTest(base.LayoutTestCase):
    """The sums are those of the extents."""

    def test_extents_across_columns_are_divided(self) -> None:
        sums = disk_map.Layout(self.inspection(
            (3 * MIB, DATA), (2 * MIB, ZERO), (3 * MIB, COMPRESSED)),
            columns=4)
        self.assertEqual(
            [disk_map.Usage(data=2 * MIB), disk_map.Usage(data=MIB, zero=MIB),
             disk_map.Usage(compressed=MIB, zero=MIB),
             disk_map.Usage(compressed=2 * MIB)], sums.columns)

    def test_partitions_between_columns(self) -> None:
        sums = disk_map.Layout(self.inspection(
            (3 * MIB, DATA), (5 * MIB, ZERO),
            parts=[base.part(1, 1, 3), base.part(2, 4, 4)]), columns=2)
        self.assertEqual(disk_map.Usage(data=2 * MIB, zero=MIB),
                         sums.usage(MIB, 4 * MIB))
        self.assertEqual(disk_map.Usage(zero=4 * MIB),
                         sums.usage(4 * MIB, 8 * MIB))

    def test_partition_that_ends_after_the_disk(self) -> None:
        sums = disk_map.Layout(self.inspection(
            (2 * MIB, DATA), parts=[base.part(1, 1, 9)]), columns=2)
        self.assertEqual(disk_map.Usage(data=MIB), sums.usage(MIB, 10 * MIB))

    def test_disk_smaller_than_the_picture(self) -> None:
        sums = disk_map.Layout(self.inspection((3, DATA), (2, ZERO)),
                               columns=960)
        self.assertEqual(3, sum(usage.data for usage in sums.columns))
        self.assertEqual(2, sum(usage.zero for usage in sums.columns))

    def test_every_byte_is_counted_once(self) -> None:
        sums = disk_map.Layout(self.inspection(
            *[(4096 * (1 + index % 7), (DATA, COMPRESSED, ZERO)[index % 3])
              for index in range(10_000)]), columns=97)
        self.assertEqual(sums.virtual_size,
                         sum(usage.total for usage in sums.columns))
        self.assertEqual({DATA: 3334, COMPRESSED: 3333, ZERO: 3333},
                         sums.extents)


class LinesTest(base.LayoutTestCase):
    """The map for a terminal."""

    def lines(self, *extents, parts=(), ascii_only=True, **options
              ) -> list[str]:
        return disk_map.lines(self.inspection(*extents, parts=parts),
                              'disk.qcow2', ascii_only=ascii_only, **options)

    def test_as_wide_as_the_terminal(self) -> None:
        for columns, width in ((100, 100), (40, 40), (5, 40), (999, 240)):
            shown = self.lines((240 * MIB, DATA), columns=columns, parts=[
                base.part(1, 1, 40, name='a name that goes on ' * 20)])
            self.assertIn('D' * width, shown)
            self.assertLessEqual(max(map(len, shown[1:])), max(width, 60))

    def test_a_name_that_is_too_long_is_cut(self) -> None:
        for ascii_only, mark in ((True, '...'), (False, '…')):
            shown = self.lines((MIB, DATA), columns=60, ascii_only=ascii_only,
                               parts=[base.part(1, 1, 1, name='x' * 36)])
            row, = (line for line in shown if 'x' * 5 in line)
            self.assertEqual((60, True), (len(row), row.endswith(mark)))

    def test_picture(self) -> None:
        shown = self.lines((36 * MIB, DATA), (12 * MIB, COMPRESSED),
                           (24 * MIB, ZERO), parts=[base.part(1, 1, 40),
                                                    base.part(2, 48, 24)])
        at = shown.index('D' * 36 + 'C' * 12 + '.' * 24)
        self.assertEqual(' 1' + ' ' * 46 + '2', shown[at - 1])

    def test_column_that_is_partly_stored(self) -> None:
        shown = self.lines((MIB // 4, DATA), (71 * MIB + MIB * 3 // 4, ZERO))
        self.assertIn('d' + '.' * 71, shown)

    def test_shades_where_the_terminal_has_them(self) -> None:
        shown = self.lines((72 * MIB, COMPRESSED), ascii_only=False)
        self.assertIn('▓' * 72, shown)

    def test_share_of_each_partition(self) -> None:
        shown = self.lines((3 * MIB, DATA), (9 * MIB, ZERO), parts=[
            base.part(1, 0, 4, name='root', type='linux')])
        self.assertIn('1    0 B  4 MiB     75%  linux  root', shown)

    def test_hostile_names_are_shown_not_obeyed(self) -> None:
        shown = '\n'.join(self.lines((4 * MIB, DATA), parts=[
            base.part(1, 1, 1, name='\x1b[2Jroot\n')]))
        self.assertIn(r'\x1b[2Jroot\n', shown)
        self.assertNotIn('\x1b', shown)

    def test_many_partitions_fit_on_a_screen(self) -> None:
        shown = self.lines((999 * MIB, DATA), parts=[
            base.part(number, number, 1) for number in range(1, 900)])
        self.assertIn('and 867 more partitions', shown)
        self.assertLess(len(shown), 45)
        self.assertLessEqual(max(map(len, shown)), 72)

    def test_disk_without_partitions(self) -> None:
        shown = self.lines((MIB, ZERO))
        self.assertIn('.' * 72, shown)
        self.assertEqual('.. zero           1 MiB  100%  1 extent', shown[-1])


class JsonTest(base.LayoutTestCase):
    """The map for programs."""

    def test_is_one_object(self) -> None:
        made = json.loads(''.join(disk_map.json_pieces(self.inspection(
            (2 * MIB, DATA), (MIB, ZERO),
            parts=[base.part(1, 1, 1, name='a"\\b')]))))
        self.assertEqual('accept', made['verdict'])
        self.assertEqual(3 * MIB, made['virtual_size'])
        self.assertEqual(
            [{'number': 1, 'start': MIB, 'length': MIB, 'type': '0x83',
              'name': 'a"\\b', 'bootable': False, 'uuid': ''}],
            made['partitions'])
        self.assertEqual(
            [(0, 2 * MIB, 'data'), (2 * MIB, MIB, 'zero')],
            [(extent['start'], extent['length'], extent['kind'])
             for extent in made['extents']])
