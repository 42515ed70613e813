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

from unittest import mock

from ironic_python_agent.extensions import base
from ironic_python_agent import hardware

from ironic_imagedeploy.agent import extension
from tests.unit.agent.kexec import loads


class ExtensionTest(loads.LoadingTestCase):
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
