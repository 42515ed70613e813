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
from unittest import mock

from ironic_python_agent.extensions import base
from ironic_python_agent import hardware

from ironic_imagedeploy.agent import extension
from ironic_imagedeploy.agent.kexec import loading
from ironic_imagedeploy.agent.kexec import machine
from tests.support import boot_files
from tests.unit.agent.kexec import machines
from tests.unit.agent.kexec import written
from tests.unit.engine import system_disks

#: In the place of kexec, which would do it to the machine of the tests.
PROGRAM = """#!/bin/sh
echo "$@" >>$PLACE/calls
for argument; do
    case $argument in
        */kernel) cp $argument $PLACE ;;
        --initrd=*) cp ${argument#--initrd=} $PLACE ;;
        --load) echo 1 >$PLACE/sys/kernel/kexec_loaded ;;
        --unload) echo 0 >$PLACE/sys/kernel/kexec_loaded ;;
    esac
done
echo 'said by kexec' >&2
exit $STATUS
"""


class LoadingTestCase(machines.MachineTestCase):
    """A machine with a disk, and something in the place of kexec."""

    def setUp(self):
        self.disk = self.make_disk()
        super().setUp()
        self.enterContext(mock.patch.dict('os.environ', {
            'PATH': f'{self.root}/bin:/usr/bin:/bin', 'STATUS': '0',
            'PLACE': str(self.root)}))
        self.put('bin/kexec', PROGRAM.encode())
        self.put('proc/meminfo', b'MemAvailable: 65536 kB\n')
        self.enterContext(mock.patch.object(loading, '_GRACE', 0.0))

    def make_disk(self):
        folder = pathlib.Path(self.enterContext(
            tempfile.TemporaryDirectory()))
        return str(system_disks.disk(folder, written.parts('debian')))

    @property
    def calls(self):
        return (self.root / 'calls').read_text().splitlines()

    def assert_fails(self, reason, function, *arguments):
        with self.assertRaises(machine.NotPossible) as caught:
            function(*arguments)
        self.assertIn(reason, caught.exception.details)


class LoadTest(LoadingTestCase):

    def test_what_the_menu_says(self):
        self.assertEqual({
            'kernel': '/boot/vmlinuz', 'menu': '/boot/grub/grub.cfg',
            'initramfs': ['/boot/initrd.img']}, loading.load(self.disk))
        call, = self.calls
        self.assertIn('--command-line=root=PARTUUID=', call)
        self.assertIn('earlyprintk=ttyS0,115200', call)
        self.assertEqual(written.KERNEL,
                         (self.root / 'kernel').read_bytes())
        loaded = (self.root / 'initramfs').read_bytes()
        self.assertEqual(boot_files.initramfs(), loaded.rstrip(b'\0').ljust(
            len(boot_files.initramfs()), b'\0'))
        self.assertEqual(0, len(loaded) % 4)

    def test_nothing_is_left_in_the_memory(self):
        place = self.enterContext(tempfile.TemporaryDirectory())
        with mock.patch.object(tempfile, 'tempdir', place):
            loading.load(self.disk)
        self.assertEqual([], os.listdir(place))

    def test_machine_that_cannot(self):
        self.put('proc/sys/kernel/kexec_load_disabled', b'1')
        self.assert_fails('kexec_load_disabled', loading.load, self.disk)

    def test_too_little_memory(self):
        self.put('proc/meminfo', b'MemAvailable: 12 kB\n')
        self.assert_fails('memory of the machine', loading.load, self.disk)

    def test_program_that_fails(self):
        with mock.patch.dict('os.environ', STATUS='1'):
            self.assert_fails('said by kexec', loading.load, self.disk)

    def test_program_that_does_nothing(self):
        self.put('bin/kexec', b'#!/bin/sh\n')
        self.assert_fails('has not been loaded', loading.load, self.disk)


class StartTest(LoadingTestCase):

    def test_nothing_is_loaded(self):
        self.assert_fails('no kernel is loaded', loading.start)

    def test_program_that_returns(self):
        for status, reason in (('0', 'has started nothing'),
                               ('1', 'said by kexec')):
            loading.load(self.disk)
            with mock.patch.dict('os.environ', STATUS=status):
                self.assert_fails(reason, loading.start)
            self.assertEqual(['--exec', '--unload'], self.calls[-2:])
            self.assertFalse(machine.is_loaded())


class ExtensionTest(LoadingTestCase):
    """The commands as the agent executes them."""

    def setUp(self):
        super().setUp()
        self.enterContext(mock.patch.object(
            hardware, 'dispatch_to_managers', autospec=True,
            return_value=self.disk))
        self.enterContext(mock.patch.object(
            hardware, 'dispatch_to_all_managers', autospec=True))
        self.extension = extension.ImageDeployExtension()

    def execute(self, name):
        command = self.extension.execute(name)
        command.join()
        return command.serialize()

    def test_load_and_start(self):
        self.assertEqual('/boot/vmlinuz', self.execute('load_kernel')[
            'command_result']['kernel'])
        hardware.dispatch_to_managers.assert_called_once_with(
            'get_os_install_device')
        answer = self.execute('start_kernel')
        self.assertEqual(base.AgentCommandStatus.FAILED,
                         answer['command_status'])
        hardware.dispatch_to_all_managers.assert_called_once_with('full_sync')

    def test_the_reason_comes_as_details(self):
        self.put('proc/sys/kernel/kexec_load_disabled', b'1')
        error = self.execute('load_kernel')['command_error']
        self.assertIn('kexec_load_disabled', error.details)
