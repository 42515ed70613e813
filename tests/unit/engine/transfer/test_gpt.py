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

MIB = 1 << 20


class ContainerTest(unittest.TestCase):
    """Files that are no disk, and have no GPT to repair."""

    def repair(self, content: bytes) -> bool:
        path = pathlib.Path(self.enterContext(
            tempfile.TemporaryDirectory()), 'disk')
        path.write_bytes(content)
        with engine.open_target(str(path)) as target:
            return engine.repair_gpt(target)

    def assert_refused(self, content: bytes, name: str) -> None:
        with self.assertRaises(engine.exceptions.TargetError) as caught:
            self.repair(content)
        self.assertEqual(f'a file of the format {name}',
                         caught.exception.found)

    def test_told_by_its_first_bytes(self) -> None:
        self.assert_refused(b'QFI\xfb\0\0\0\3' + bytes(MIB), 'qcow2')

    def test_told_by_its_last_bytes(self) -> None:
        for size in (MIB, MIB + 512, 3 * MIB + 512):
            self.assert_refused(bytes(size) + b'conectix' + bytes(504), 'vhd')

    def test_a_disk_without_a_gpt(self) -> None:
        self.assertFalse(self.repair(bytes(MIB)))
