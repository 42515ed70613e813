#!/usr/bin/env python3
#
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

from ironic_imagedeploy.engine import arrays


class MembersTest(unittest.TestCase):
    """An array, by its directory in sysfs."""

    def setUp(self) -> None:
        super().setUp()
        self.array = pathlib.Path(self.enterContext(
            tempfile.TemporaryDirectory()))
        for name, state in (('sda1', 'in_sync'), ('cciss!c0d0p2', 'faulty'),
                            ('nvme0n1', 'faulty,want_replacement')):
            folder = self.array / 'md' / f'dev-{name}'
            folder.mkdir(parents=True)
            (folder / 'state').write_text(f'{state}\n')
        (self.array / 'md/array_state').write_text('active\n')

    def test_members(self) -> None:
        found = arrays.members(self.array)
        self.assertEqual(
            [('/dev/cciss/c0d0p2', True), ('/dev/nvme0n1', True),
             ('/dev/sda1', False)],
            [(member.path, member.has_failed) for member in found])
        self.assertEqual(self.array / 'md/dev-sda1', found[-1].attributes)

    def test_a_disk(self) -> None:
        self.assertEqual([], arrays.members(self.array / 'md'))
