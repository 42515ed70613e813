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
import shutil

from tests.functional import base
from tests.support import disks
from tests.support import images

MIB = base.MIB
SIZE = 16 * MIB
#: What programs rely on; there may be more.
KEYS = {'verdict', 'format', 'declared_format', 'image_type', 'virtual_size',
        'stored_size', 'partition_table', 'boot_modes', 'sector_size',
        'findings'}
ESP = 'start=64, size=8192, type=uefi\n'


class RefusalTestCase(base.FunctionalTestCase):
    """A guest of 16 MiB and an image of it."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.shared = disks.make_directory()
        cls.addClassCleanup(shutil.rmtree, cls.shared)
        cls.guest = images.make_guest(cls.shared / 'guest', SIZE, seed=9)
        cls.good = images.convert(cls.guest, cls.shared / 'good')

    def setUp(self) -> None:
        super().setUp()
        self.image = self.directory / 'image'

    def patch(self, offset: int, content: bytes) -> None:
        """Make the image a good one with other bytes at an offset."""
        shutil.copy(self.good, self.image)
        with self.image.open('r+b') as file:
            file.seek(offset)
            file.write(content)

    def assert_refused(self, code: str, *options: str | int,
                       image: pathlib.Path | None = None) -> None:
        """All commands refuse the image for that reason."""
        image = image or self.image
        outcome = self.invoke('check', image, '--json', *options)
        self.assert_status(4, outcome)
        self.assertEqual('', outcome.stderr)
        answer = outcome.json
        self.assertLessEqual(KEYS, set(answer))
        self.assertEqual('refuse', answer['verdict'])
        finding, = [finding for finding in answer['findings']
                    if finding['severity'] == 'error']
        self.assertEqual(code, finding['code'], finding)
        for key in ('expected', 'found', 'message', 'fix'):
            self.assertTrue(finding[key])
        self.assert_all_told(finding, *options, image=image)
        disk = self.disk(SIZE + 2 * MIB)
        outcome = self.invoke('write', image, disk.device, *options)
        self.assert_status(4, outcome)
        self.assert_one_sentence(outcome, code)
        self.assert_untouched(disk)
        target = self.directory / 'new'
        self.assert_status(4, self.invoke('write', image, target, *options))
        self.assertFalse(target.exists())

    def assert_all_told(self, finding: dict[str, str], *options: str | int,
                        image: pathlib.Path) -> None:
        """The text of ``check`` says what its JSON says."""
        outcome = self.invoke('check', image, *options)
        self.assert_status(4, outcome)
        self.assertIn('refused', outcome.stdout.splitlines()[0])
        for key in ('code', 'expected', 'found', 'fix'):
            self.assertIn(finding[key], outcome.stdout)
