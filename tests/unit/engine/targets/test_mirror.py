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

from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.targets import mirror
from tests.unit.engine import base

MIB = base.MIB


class PlacesTest(base.EngineTestCase):
    """Members of an array, by its directory in sysfs."""

    def setUp(self) -> None:
        super().setUp()
        self.array = self.directory / 'block/md0'
        self.put('md0/md/level', 'raid1')
        for name, offset in (('sda1', 2048), ('cciss!c0d0p2', 4096)):
            self.put(f'md0/md/dev-{name}/state', 'in_sync')
            self.put(f'md0/md/dev-{name}/offset', str(offset))
        self.put('md0/md0p2/partition', '2')
        self.put('md0/md0p2/start', '2064')

    def put(self, path: str, text: str) -> None:
        file = self.directory / 'block' / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f'{text}\n')

    def places(self, device: pathlib.Path) -> list[tuple[str, int]]:
        # By number a device is a link.
        link = self.directory / f'number-{device.name}'
        link.symlink_to(device)
        return list(mirror.places(link))

    def test_an_array(self) -> None:
        self.assertEqual([('/dev/cciss/c0d0p2', 2 * MIB), ('/dev/sda1', MIB)],
                         self.places(self.array))

    def test_a_partition(self) -> None:
        self.assertEqual(
            [('/dev/cciss/c0d0p2', 3 * MIB + 8192),
             ('/dev/sda1', 2 * MIB + 8192)],
            self.places(self.array / 'md0p2'))

    def test_a_member_that_failed(self) -> None:
        self.put('md0/md/dev-sda1/state', 'faulty,want_replacement')
        self.assertEqual([('/dev/cciss/c0d0p2', 2 * MIB)],
                         self.places(self.array))

    def test_no_mirror(self) -> None:
        self.put('md0/md/level', 'raid5')
        self.assertEqual([], self.places(self.array))
        self.assertEqual([], self.places(self.directory / 'none'))


class MemberTest(base.EngineTestCase):

    def test_one_that_is_gone(self) -> None:
        with self.assertRaises(exceptions.TargetError) as caught:
            mirror.Member(f'{self.directory}/none', 0, MIB, 512)
        self.assert_complete(caught.exception)
        self.assertIn('opening at byte 0', caught.exception.expected)

    def test_bytes_are_those_of_the_mirror(self) -> None:
        path = self.directory / 'member'
        path.write_bytes(bytes(4096) + b'a' * 4096 + b'b' * 4096)
        member = mirror.Member(str(path), 4096, 8192, 512)
        self.addCleanup(member.close)
        self.assertEqual(b'a' * 512, bytes(member.read(0, 512)))
        self.assertEqual(b'ab', bytes(member.read(4095, 2)))
        self.assertEqual(b'bb', bytes(member.read(4096, 2)))
        self.assertEqual((str(path), 8192, 512, 512), (
            member.path, member.size, member.sector_size, member.alignment))
        self.assertEqual((member,), member.copies)
