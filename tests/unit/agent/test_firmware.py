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

from ironic_imagedeploy.agent import firmware

VARIABLES = 'sys/firmware/efi/efivars'
SECURE_BOOT = f'{VARIABLES}/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c'


class BootsSecurelyTest(unittest.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.root = pathlib.Path(self.enterContext(
            tempfile.TemporaryDirectory()))

    def put(self, name: str, content: bytes) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def test_bios(self) -> None:
        self.assertIs(False, firmware.boots_securely(self.root))

    def test_state(self) -> None:
        for value, secure in ((b'\0', False), (b'\1', True)):
            self.put(SECURE_BOOT, b'\6\0\0\0' + value)
            self.assertIs(secure, firmware.boots_securely(self.root))

    def test_variables_that_cannot_be_read(self) -> None:
        (self.root / SECURE_BOOT).mkdir(parents=True)
        self.assertIsNone(firmware.boots_securely(self.root))
        (self.root / SECURE_BOOT).rmdir()
        (self.root / VARIABLES).rmdir()
        self.put(VARIABLES, b'')
        self.assertIsNone(firmware.boots_securely(self.root))

    def test_a_variable_without_a_value(self) -> None:
        """Nothing unsigned is taken for permitted."""
        self.put(SECURE_BOOT, b'\6\0\0\0')
        self.assertIs(True, firmware.boots_securely(self.root))

    def test_firmware_that_knows_nothing_of_it(self) -> None:
        self.put(f'{VARIABLES}/BootOrder-x', b'x')
        self.assertIs(False, firmware.boots_securely(self.root))

    def test_variables_that_are_not_mounted(self) -> None:
        (self.root / 'sys/firmware/efi').mkdir(parents=True)
        self.assertIsNone(firmware.boots_securely(self.root))
        (self.root / VARIABLES).mkdir()
        self.assertIsNone(firmware.boots_securely(self.root))
