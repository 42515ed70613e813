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


"""Block maps on real disks, beside bmaptool."""

import pathlib
import subprocess

from ironic_imagedeploy.engine import bmap
from tests.functional import base
from tests.support import images

MIB = base.MIB
SIZE = 64 * MIB


class BmapTest(base.FunctionalTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.image = images.make_guest(self.directory / 'guest', SIZE, seed=7,
                                       label='gpt')
        sparse = self.directory / 'sparse'
        subprocess.run(['cp', '--sparse=always', self.image, sparse],
                       check=True)
        self.image = sparse
        self.bmap = self.directory / 'bmap'
        self.bmaptool('create', self.image, '-o', self.bmap)

    def bmaptool(self, *arguments: object) -> None:
        subprocess.run(['bmaptool', *map(str, arguments)], check=True,
                       capture_output=True)

    def filled(self) -> base.Disk:
        """A disk that is full of something else."""
        disk = self.disk(SIZE)
        pathlib.Path(disk.device).write_bytes(b'\x5a' * SIZE)
        return disk

    def test_the_disk_is_that_of_bmaptool_between_its_ends(self) -> None:
        ours, theirs = self.filled(), self.filled()
        self.assert_status(0, self.invoke(
            'write', self.image, ours.device, '--bmap', self.bmap,
            '--read-back', 'full'))
        self.bmaptool('copy', '--bmap', self.bmap, self.image, theirs.device)
        found, expected = (
            pathlib.Path(disk.device).read_bytes() for disk in (ours, theirs))
        self.assertEqual(expected[MIB:-MIB], found[MIB:-MIB])
        # What is not listed of the ends is zero, as it is in the image.
        image = self.image.read_bytes()
        self.assertEqual((image[:MIB], image[-MIB:]),
                         (found[:MIB], found[-MIB:]))

    def test_a_wrong_range_leaves_the_disk_alone(self) -> None:
        disk = self.filled()
        listed = bmap.Bmap.decode(self.bmap.read_bytes()).ranges
        between = [part for part in listed if MIB < part.end <= SIZE - MIB]
        with self.image.open('r+b') as file:
            file.seek(between[-1].end - 1)
            last = file.read(1)[0]
            file.seek(-1, 1)
            file.write(bytes([last ^ 1]))
        outcome = self.invoke('write', self.image, disk.device, '--bmap',
                              self.bmap)
        self.assert_status(6, outcome)
        self.assertIn('the checksum does not match', outcome.stderr)
        self.assertEqual(b'\x5a' * SIZE,
                         pathlib.Path(disk.device).read_bytes())
