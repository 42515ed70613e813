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

"""What a former system left at the ends of a disk is found no more."""

import json

from tests.functional import base
from tests.functional import partition_images
from tests.support import commands
from tests.support import disks
from tests.support.faults import table
from tests.support import former
from tests.support import images

MIB = base.MIB
#: The image; btrfs has its second superblock behind it.
SIZE = 16 * MIB
#: Of disks: whole units of all that reckons from the end, and none of them.
DISKS = (128 * MIB, 128 * MIB + (200 << 10) + 512)


def signatures(device: str) -> set[tuple[str, int]]:
    """Kinds and places of all that wipefs knows."""
    said = disks.run('wipefs', '--no-act', '--json', device)
    return {(each['type'], int(each['offset'], 16))
            for each in json.loads(said)['signatures']} if said else set()


def types(device: str) -> list[str]:
    """What udev asks blkid of a disk; nothing when it knows nothing."""
    try:
        said = disks.run('blkid', '-p', '-o', 'export', device)
    except commands.CommandFailed:
        return []
    return [line.partition('=')[2] for line in said.splitlines()
            if line.startswith(('TYPE=', 'PTTYPE='))]


def count(fault: str) -> None:
    """Note a write after which only what it wrote is found."""
    table.add(table.Row('disk', fault, tries=1, survived=1))


class WholeDiskTest(base.FunctionalTestCase):

    def test_at_both_ends(self) -> None:
        raw = images.make_guest(self.directory / 'guest', SIZE, seed=5,
                                label='gpt')
        image = images.convert(raw, self.directory / 'image')
        for kind, leave in former.KINDS.items():
            for size in DISKS:
                with self.subTest(kind, size=size):
                    disk = self.disk(size)
                    leave(disk.device, size)
                    self.assertIn(kind.split()[0], types(disk.device))
                    self.assert_status(0, self.invoke(
                        'write', image, disk.device, '--progress', 'none'))
                    self.assertEqual(['gpt'], types(disk.device))
                    self.assertEqual(
                        {('gpt', 512), ('PMBR', 510)},
                        signatures(disk.device))
                    self.assertIsNone(disks.first_difference(
                        raw, disk.backing, SIZE))
                    count('metadata of a former system')


class PartitionImageTest(partition_images.PartitionImageTestCase):

    def test_at_both_ends(self) -> None:
        self.use(partition_images.debian, disk_label='gpt')
        for kind, leave in former.KINDS.items():
            with self.subTest(kind):
                leave(self.device, self.SIZE)
                self.assertIn(kind.split()[0], types(self.device))
                self.written()
                self.assertEqual(['gpt'], types(self.device))
                self.assertEqual(
                    {('gpt', 512), ('gpt', self.SIZE - 512), ('PMBR', 510)},
                    signatures(self.device))
                self.assertEqual(['ext4'], types(self.partition()))
                self.assertEqual([], types(
                    self.partition('BIOS Boot partition')))
                disks.run('partx', '-d', self.device)
                count('the same, partition image')
