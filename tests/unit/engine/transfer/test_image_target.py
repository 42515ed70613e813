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


import pathlib
import tempfile
import unittest

from ironic_imagedeploy import engine
from tests.support import images

MIB = 1 << 20
SIZE = 4 * MIB


class ImageTargetTest(unittest.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.folder = pathlib.Path(self.enterContext(
            tempfile.TemporaryDirectory()))
        self.guest = images.make_guest(self.folder / 'guest', SIZE, seed=5)
        self.image = images.convert(self.guest, self.folder / 'image.qcow2',
                                    compress=True)

    def target(self, path: pathlib.Path, form: str = 'qcow2'
               ) -> engine.ImageTarget:
        source = self.enterContext(engine.open_source(str(path)))
        return engine.ImageTarget(source, form)

    def compare(self, target: engine.ImageTarget) -> engine.Report:
        with engine.open_source(str(self.guest)) as source:
            return engine.compare(engine.inspect(source), target)

    def test_the_disk_in_it(self) -> None:
        target = self.target(self.image)
        self.assertEqual(SIZE, target.size)
        self.assertEqual(self.guest.read_bytes()[12345:99999],
                         bytes(target.read(12345, 99999 - 12345)))

    def test_beyond_the_disk_in_it(self) -> None:
        with self.assertRaises(engine.exceptions.TargetError) as caught:
            self.target(self.image).read(SIZE - 10, 20)
        self.assertIn('Input/output error', caught.exception.found)
        self.assertIn(f'at byte {SIZE}', caught.exception.expected)

    def test_a_mismatch_tells_where(self) -> None:
        error = self.target(self.image).mismatch(4096, 512)
        self.assertIn('4096 to 4607', error.expected)
        error = self.target(self.image).mismatch(5000, 512)
        self.assertIn('5000 to 5511', error.expected)

    def test_sectors_are_those_that_an_image_was_made_for(self) -> None:
        target = self.target(self.image)
        self.assertEqual((512, False, True), (
            target.sector_size, target.fixed_sectors, target.read_only))

    def test_two_images_of_one_disk(self) -> None:
        self.assertEqual(SIZE, self.compare(self.target(
            self.image)).virtual_size)

    def test_one_byte_differs(self) -> None:
        for offset in (0x3f0, SIZE // 2, SIZE - 1):
            with self.subTest(offset):
                content = bytearray(self.guest.read_bytes())
                content[offset] ^= 1
                other = self.folder / 'other'
                other.write_bytes(content)
                made = images.convert(other, self.folder / 'made.qcow2')
                with self.assertRaises(engine.exceptions.VerificationError
                                       ) as caught:
                    self.compare(self.target(made))
                self.assertIn(str(made), str(caught.exception))

    def test_smaller(self) -> None:
        other = self.folder / 'other'
        other.write_bytes(self.guest.read_bytes()[:-MIB])
        with self.assertRaises(engine.exceptions.TargetTooSmall):
            self.compare(self.target(images.convert(
                other, self.folder / 'made.qcow2')))

    def test_past_its_end(self) -> None:
        with self.assertRaises(engine.exceptions.TargetUnreadable):
            self.target(self.image).read(SIZE - 10, 20)

    def test_an_unknown_format(self) -> None:
        with self.assertRaises(engine.exceptions.TargetUnreadable):
            self.target(self.image, 'floppy')
