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

"""What check says of Glance, beside what a real Glance does."""

from collections.abc import Iterator
import json
import pathlib
import shutil

import requests

from tests.functional import glance
from tests.support import images

#: First CHS of the first entry in an MBR, and its second entry.
_CHS = slice(447, 450)
_SECOND = slice(462, 478)
#: Of Linux, from sector 4096 on, 128 sectors.
_HYBRID = bytes([0, 0, 2, 0, 0x83, 0, 3, 0]) + b'\0\x10\0\0\x80\0\0\0'


class VerdictsTest(glance.GlanceTestCase):

    def codes(self, source: object, *options: str) -> set[str]:
        """Codes of what check finds in an image that it accepts."""
        outcome = self.invoke('check', source, '--json', *options)
        self.assert_status(0, outcome)
        return {finding['code']
                for finding in json.loads(outcome.stdout)['findings']}

    def disks(self) -> Iterator[tuple[str, pathlib.Path, bool]]:
        """Disks, and whether their protective MBR is as UEFI has it."""
        for name, place, content in (
                ('ordinary', slice(0, 0), b''),
                ('another-chs', _CHS, b'\xff\xff\xff'),
                ('hybrid', _SECOND, _HYBRID)):
            path = self.directory / f'{name}.raw'
            shutil.copy(self.guest, path)
            with path.open('r+b') as disk:
                disk.seek(place.start)
                disk.write(content)
            yield name, path, name == 'ordinary'

    def taken(self, path: pathlib.Path, disk_format: str) -> bool:
        """Whether Glance takes a file as an image of a format."""
        try:
            self.put(path, disk_format=disk_format)
        except requests.HTTPError as error:
            self.assertIn(error.response.status_code, (400, 415))
            return False
        return True

    def test_partition_tables_that_glance_refuses(self) -> None:
        for name, path, strict in self.disks():
            with self.subTest(name):
                self.assertEqual(strict, 'refused-by-glance' not in
                                 self.codes(path))
                self.assertEqual(strict, self.taken(path, 'raw'))
                # It does not look into a qcow2.
                packed = images.convert(path, path.with_suffix('.qcow2'))
                self.assertNotIn('refused-by-glance', self.codes(packed))
                self.assertTrue(self.taken(packed, 'qcow2'))

    def test_preferred_stores(self) -> None:
        identifier = self.put(self.image, disk_format='qcow2')
        for query in ('', '?prefer=store1'):
            self.codes(f'glance:{identifier}{query}')
        outcome = self.invoke('check', f'glance:{identifier}?prefer=gone')
        self.assert_status(3, outcome)
        self.assertIn('HTTP status 400 for prefer=gone', outcome.stderr)
        self.assertIn('openstack image stores info', outcome.stderr)
