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

"""What is found on a disk, by an image whose extents are known."""

from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine import extent as _extent
from ironic_imagedeploy.engine.formats import base as formats
from ironic_imagedeploy.engine.transfer import disk_reuse
from ironic_imagedeploy.engine.transfer import held_ends
from ironic_imagedeploy.engine.transfer import meter
from tests.unit.engine import base
from tests.unit.engine import manifests
from tests.unit.engine import memory
from tests.unit.engine import recording
from tests.unit.engine import transfers

MIB = base.MIB
COMPRESSED = _extent.ExtentKind.COMPRESSED
DATA = _extent.ExtentKind.DATA
ZERO = _extent.ExtentKind.ZERO
HALF = MIB // 2


class FindTest(base.EngineTestCase):
    """A disk of eight chunks, one of which is zero."""

    def setUp(self) -> None:
        super().setUp()
        self.disk = bytearray(transfers.noise(8 * MIB))
        self.disk[3 * MIB:4 * MIB] = bytes(MIB)
        self.file = transfers.noise(6 * MIB)
        self.image = formats.MappedImage(memory.MemorySource(self.file))
        for length, kind, offset, stored in (
                (MIB, COMPRESSED, 0, HALF),
                # It begins in one chunk and ends in the next one.
                (MIB, COMPRESSED, HALF, HALF + 4096),
                (MIB, DATA, 2 * MIB, MIB), (MIB, ZERO, 0, 0),
                (2 * MIB, DATA, 7 * HALF, 2 * MIB),
                (2 * MIB, COMPRESSED, 11 * HALF, HALF)):
            self.image.map.append(length, kind, offset, stored)
        self.image.virtual_size = 8 * MIB
        self.target = recording.RecordingTarget(8 * MIB)
        self.target.disk[:] = self.disk

    def find(self, disk: bytes | None = None) -> disk_reuse.Found:
        return disk_reuse.find(
            self.image, manifests.built(self.file),
            manifests.built(bytes(disk or self.disk)), self.target,
            held_ends.HeldEnds(8 * MIB), meter.Meter(), workers=1)

    def test_all_but_the_ends_and_zeroes(self) -> None:
        found = self.find()
        self.assertEqual(({1, 2, 4, 5, 6}, MIB),
                         (found.there, found.disk_size))
        # Those of which all that begins in them is there.
        self.assertEqual({2, 3, 4}, found.chunks)

    def test_one_bit(self) -> None:
        self.target.disk[6 * MIB - 1] ^= 1
        found = self.find()
        self.assertEqual(({1, 2, 4, 6}, {2, 3}), (found.there, found.chunks))

    def test_another_disk(self) -> None:
        self.target.disk[:] = transfers.noise(8 * MIB)[::-1]
        found = self.find()
        self.assertEqual((set(), set()), (found.there, found.chunks))

    def test_ranges_that_are_there(self) -> None:
        found = self.find()
        for start, end, is_there in (
                (MIB, 2 * MIB, True), (MIB, 3 * MIB, True),
                (MIB, 3 * MIB + 1, False), (2 * MIB + 5, 2 * MIB + 6, True),
                (MIB - 1, MIB + 1, False), (MIB - 1, MIB, False),
                (4 * MIB - 1, 5 * MIB, False), (4 * MIB, 7 * MIB, True),
                (7 * MIB, 8 * MIB, False)):
            with self.subTest(start=start, end=end):
                self.assertIs(is_there, found.has(start, end))

    def test_the_manifest_of_another_disk(self) -> None:
        for size in (8 * MIB - 1, 8 * MIB + 1):
            with self.assertRaises(exceptions.InvalidManifest) as caught:
                self.find(bytes(size))
            self.assert_complete(caught.exception)
            self.assertEqual(f'that of {size} bytes', caught.exception.found)
        self.assertEqual([], self.target.log)
