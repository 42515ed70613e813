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
from unittest import mock

from ironic_imagedeploy.agent.kexec import machine
from tests.unit.agent.kexec import machines

SECURE_BOOT = ('sys/firmware/efi/efivars/'
               'SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c')


class CheckTest(machines.MachineTestCase):

    def assert_refused(self, reason):
        with self.assertRaises(machine.NotPossible) as caught:
            machine.check()
        self.assertIn(reason, caught.exception.details)

    def test_machine_that_can(self):
        machine.check()
        self.put('sys/kernel/security/lockdown',
                 b'[none] integrity confidentiality\n')
        self.put(SECURE_BOOT, b'\x06\0\0\0\0')
        machine.check()

    def test_a_kernel_that_has_no_such_switch(self):
        (self.root / 'proc/sys/kernel/kexec_load_disabled').unlink()
        machine.check()
        self.put('proc/sys/kernel/kexec_load_disabled', b'\n')
        machine.check()

    def test_no_program(self):
        (self.root / 'bin/kexec').unlink()
        self.assert_refused('install kexec-tools')

    def test_kernel_that_cannot(self):
        (self.root / 'sys/kernel/kexec_loaded').unlink()
        self.assert_refused('CONFIG_KEXEC')

    def test_kernel_that_must_not(self):
        self.put('proc/sys/kernel/kexec_load_disabled', b'1\n')
        self.assert_refused('kexec_load_disabled')

    def test_lockdown(self):
        self.put('sys/kernel/security/lockdown',
                 b'none [integrity] confidentiality\n')
        self.assert_refused('locked down')

    def test_secure_boot(self):
        self.put(SECURE_BOOT, b'\x06\0\0\0\x01')
        self.assert_refused('boots securely')

    def test_firmware_without_secure_boot(self):
        self.put('sys/firmware/efi/efivars/BootOrder-x', b'x')
        machine.check()

    def test_firmware_that_cannot_be_asked(self):
        (self.root / 'sys/firmware/efi').mkdir(parents=True)
        self.assert_refused('not mounted efivarfs')
        (self.root / 'sys/firmware/efi/efivars').mkdir()
        self.assert_refused('not mounted efivarfs')


class StateTest(machines.MachineTestCase):

    def test_loaded(self):
        self.assertFalse(machine.is_loaded())
        self.put('sys/kernel/kexec_loaded', b'1\n')
        self.assertTrue(machine.is_loaded())

    def test_memory(self):
        self.assertEqual(2 << 20, machine.available_memory())
        self.put('proc/meminfo', b'MemTotal: 9 kB\n')
        self.assertEqual(0, machine.available_memory())

    def test_another_state(self):
        for text in (b'', b'2\n', b'10\n'):
            self.put('sys/kernel/kexec_loaded', text)
            self.assertFalse(machine.is_loaded())

    def test_those_of_this_machine(self):
        with mock.patch.object(machine, '_ROOT', pathlib.Path('/')):
            self.assertLess(16 << 20, machine.available_memory())
