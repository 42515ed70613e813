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

import os
import pathlib
import tempfile
import unittest
from unittest import mock

from ironic_imagedeploy.agent.boot import previous_system
from ironic_imagedeploy import engine
from tests.support import images

MIB = 1 << 20


class DisableTest(unittest.TestCase):

    def setUp(self):
        super().setUp()
        folder = self.enterContext(tempfile.TemporaryDirectory())
        self.path = pathlib.Path(folder, 'disk')
        self.path.write_bytes(os.urandom(8 * MIB))

    def partition(self, label, kind):
        images.partition(
            self.path, label, f'start=2048, size=2048, type={kind}\n'
            'start=4096, size=4096, type=L\n')
        with self.path.open('r+b') as file:
            file.write(images.BOOT_CODE)
        return bytearray(self.path.read_bytes())

    def disable(self, *, keep=True):
        with engine.open_target(str(self.path)) as disk:
            previous_system.disable(disk, keep_partitions=keep)
        return self.path.read_bytes()

    def test_boot_code_and_the_front_of_the_esp(self):
        for label, kind in (('gpt', 'U'), ('dos', 'ef')):
            with self.subTest(label):
                expected = self.partition(label, kind)
                expected[:440] = bytes(440)
                expected[MIB:2 * MIB] = bytes(MIB)
                self.assertEqual(expected, self.disable())

    def test_boot_code_alone_where_there_is_no_esp(self):
        expected = self.partition('dos', 'L')
        expected[:440] = bytes(440)
        self.assertEqual(expected, self.disable())

    def test_all_partitions(self):
        expected = self.partition('gpt', 'L')
        expected[:4 * MIB] = bytes(4 * MIB)
        expected[-MIB:] = bytes(MIB)
        self.assertEqual(expected, self.disable(keep=False))

    def test_a_table_that_cannot_be_used(self):
        expected = self.partition('gpt', 'U')
        expected[512:1024] = expected[-512:] = bytes(512)
        self.path.write_bytes(expected)
        expected[:440] = bytes(440)
        self.assertEqual(expected, self.disable())

    def test_what_firmware_begins_with_comes_first(self):
        self.partition('gpt', 'U')
        steps = []
        with engine.open_target(str(self.path)) as disk:
            for name in ('zero', 'write', 'flush'):
                self.enterContext(mock.patch.object(
                    disk, name, self.noted(steps, name)))
            previous_system.disable(disk, keep_partitions=True)
        self.assertEqual(
            [('zero', MIB, 512), ('write', 0), ('flush',),
             ('zero', MIB, MIB), ('flush',)], steps)

    def noted(self, steps, name):
        return lambda *arguments: steps.append((name, *(
            each for each in arguments if isinstance(each, int))))
