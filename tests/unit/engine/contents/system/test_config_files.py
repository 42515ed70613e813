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

import unittest

from ironic_imagedeploy.engine.contents.system import config_files
from tests.unit.engine import base
from tests.unit.engine import system_disks


class LinesTest(unittest.TestCase):

    def test_lines(self) -> None:
        self.assertEqual(['a', 'b # c'], [*config_files.lines(
            '# x\n\n  a\n;y\nb # c\n')])

    def test_assignments(self) -> None:
        self.assertEqual(
            {'A': 'b c', 'D': "e $F", 'G': '', 'H': 'i', 'J': '"'},
            config_files.assignments(
                'A="b c"\nexport D=\'e $F\'\nG=\n H=i\nnot one\nJ="\\""\n'))

    def test_many(self) -> None:
        self.assertLess(len([*config_files.lines('a\n' * 100_000)]), 10_000)


class FolderTest(base.EngineTestCase):

    def test_the_first_folder_counts(self) -> None:
        files = system_disks.files(self.directory, {
            'etc/a.d/1.conf': b'one', 'usr/a.d/1.conf': b'two',
            'usr/a.d/2.conf': b'three', 'usr/a.d/3.txt': b'x'})
        self.assertEqual(
            ['one', 'three'],
            [config_files.read(files, path) for path in config_files.below(
                files, ('etc/a.d', 'none', 'usr/a.d'), '.conf')])
        self.assertEqual('', config_files.read(files, 'none'))

    def test_the_last_of_many_files(self) -> None:
        files = system_disks.files(self.directory, {
            f'etc/a.d/{number:02}.conf': b'' for number in range(40)})
        self.assertEqual(
            [f'etc/a.d/{number:02}.conf' for number in range(8, 40)],
            list(config_files.below(files, ('etc/a.d',), '.conf')))
