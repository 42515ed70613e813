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

"""The picture of an image's layout."""

from xml.etree import ElementTree

from ironic_imagedeploy.cmd import svg
from tests.unit.cmd import base

MIB = base.MIB
DATA, COMPRESSED, ZERO = base.DATA, base.COMPRESSED, base.ZERO
_SVG = '{http://www.w3.org/2000/svg}'


class SvgTest(base.LayoutTestCase):
    """Well-formed, self-contained, bounded."""

    def draw(self, *extents, parts=(), name='disk.qcow2'
             ) -> ElementTree.Element:
        self.drawn = svg.draw(self.inspection(*extents, parts=parts), name)
        return ElementTree.fromstring(self.drawn.encode())

    def texts(self, picture: ElementTree.Element) -> list[str]:
        return [text.text or '' for text in picture.iter(f'{_SVG}text')]

    def width(self, picture: ElementTree.Element, kind: str) -> float:
        """Of the columns where this kind is the whole stack."""
        return sum(float(rect.get('width', 0)) for rect in picture.iter(
            f'{_SVG}rect') if rect.get('class') == kind
            and float(rect.get('height', 0)) > 20)

    def test_columns_are_to_scale(self) -> None:
        picture = self.draw((2 * MIB, DATA), (4 * MIB, ZERO),
                            (2 * MIB, COMPRESSED))
        self.assertEqual(svg.COLUMNS / 4, self.width(picture, 'data'))
        self.assertEqual(svg.COLUMNS / 2, self.width(picture, 'zero'))
        self.assertEqual(svg.COLUMNS / 4, self.width(picture, 'packed'))

    def test_title_legend_and_sizes(self) -> None:
        picture = self.draw((MIB, DATA), (3 * MIB, ZERO),
                            parts=[base.part(1, 1, 2, name='root')])
        texts = self.texts(picture)
        self.assertIn('disk.qcow2', texts)
        self.assertIn('data: 1 MiB (25%) in 1 extent', texts)
        self.assertIn('4 MiB', texts)
        self.assertIn('1 root', texts)
        self.assertEqual('Layout of disk.qcow2',
                         picture.findtext(f'{_SVG}title'))

    def test_ends_below_its_last_line(self) -> None:
        for count in (0, 1, 5, 32, 33, 99):
            picture = self.draw((MIB, DATA), parts=[
                base.part(number, number, 1) for number in range(count)])
            lowest = max(float(text.get('y') or 0)
                         for text in picture.iter(f'{_SVG}text'))
            rest = float(picture.get('height') or 0) - lowest
            self.assertTrue(8 <= rest <= 22, (count, rest))

    def test_hostile_names_stay_text(self) -> None:
        name = '</text><script>alert(1)</script>&\x00\x1b\ud800\ufffe]]>'
        picture = self.draw((4 * MIB, DATA), name=name,
                            parts=[base.part(1, 0, 4, name=name)])
        self.assertEqual([], list(picture.iter(f'{_SVG}script')))
        self.assertNotIn('<script', self.drawn)
        self.assertIn('</text><script>alert(1)', ''.join(self.texts(picture)))

    def test_nothing_comes_from_elsewhere(self) -> None:
        self.draw((MIB, DATA), name='http://example.com/disk.qcow2')
        for word in ('href', 'url(', '@import', '<image', '<!DOCTYPE'):
            self.assertNotIn(word, self.drawn)

    def test_size_does_not_grow_with_the_image(self) -> None:
        extents = [(65536, (DATA, ZERO)[index % 2])
                   for index in range(200_000)]
        self.draw(*extents, parts=[base.part(number, number, 1)
                                   for number in range(1, 1000)])
        self.assertLess(len(self.drawn), 250_000)
        self.assertIn('and 967 more partitions', self.drawn)

    def test_tiny_partition_on_a_large_disk_is_seen(self) -> None:
        picture = self.draw((1 << 50, ZERO), parts=[base.part(1, 1, 1)])
        boxes = [rect for rect in picture.iter(f'{_SVG}rect')
                 if (rect.get('class') or '').startswith('part')]
        self.assertEqual(['1'], [box.get('width') for box in boxes])
