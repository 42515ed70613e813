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

import json
import threading
from unittest import mock

from ironic.conductor import utils as conductor_utils
from ironic.drivers.modules import agent
from ironic.drivers import utils as driver_utils

from ironic_imagedeploy.conductor import kexec
from tests.unit.conductor.progress import agents

LOADED = {'kernel': '/boot/vmlinuz', 'menu': '/boot/grub/grub.cfg',
          'initramfs': ['/boot/initrd.img'], 'unknown': 'left out'}
STEPS = [{'interface': 'deploy', 'step': step, 'priority': priority}
         for step, priority in (
             ('write_image', 80), ('prepare_instance_boot', 60),
             ('tear_down_agent', 40), ('switch_to_tenant_network', 30),
             ('boot_instance', 20))]


class KexecTestCase(agents.FollowTestCase):
    """A node whose agent, a real server, loads and starts a kernel."""

    def setUp(self):
        super().setUp()
        self.config(kexec=True, group='imagedeploy')
        self.enterContext(mock.patch.object(kexec, '_PAUSE', 0.01))
        self.node.driver_info = {'imagedeploy_kexec': 'true'}
        self.node.driver_internal_info = {
            **self.node.driver_internal_info, 'imagedeploy': {
                'report': {'format': 'raw'}}, 'deploy_steps': STEPS,
            'deploy_step_index': 2, 'hardware_manager_version': {
                'ImageDeployHardwareManager': '5'}}
        self.node.save()
        self.commands = []
        self.results = {'load_kernel': LOADED, 'start_kernel': None}
        self.errors = {}
        self.leaves = True
        self.agent.behaviour = self.answer

    def answer(self, request):
        """What the agent says to a request."""
        if request.command == 'POST':
            name = json.loads(request.rfile.read(int(
                request.headers['Content-Length'])))['name']
            command = name.removeprefix('imagedeploy.')
            self.commands.append({
                'command_name': command,
                'command_status': 'FAILED' if command in self.errors
                else 'SUCCEEDED', 'command_error': self.errors.get(command),
                'command_result': self.results.get(command)})
            self.send(request, self.commands[-1])
            if command == 'start_kernel' and self.leaves:
                threading.Thread(target=self.leave, daemon=True).start()
        else:
            self.send(request, {'commands': self.commands})

    def send(self, request, body):
        content = json.dumps(body).encode()
        request.send_response(200)
        request.send_header('Content-Length', str(len(content)))
        request.end_headers()
        request.wfile.write(content)

    def leave(self):
        self.agent.shutdown()
        self.agent.server_close()

    def hand_over(self):
        with self.task(shared=False) as task:
            return kexec.hand_over(task)

    @property
    def record(self):
        info = self.refreshed().driver_internal_info['imagedeploy']
        return info.get('handover')

    @property
    def asked(self):
        return [command['command_name'] for command in self.commands]

    def assert_as_always(self, *reason):
        self.assertFalse(self.hand_over())
        self.assertEqual('firmware', self.record['way'])
        for words in reason:
            self.assertIn(words, self.record['reason'])
        self.assertIn('agent_url', self.node.driver_internal_info)
        self.assertFalse(kexec.has_started(self.node))


class HandOverTest(KexecTestCase):

    def test_by_kexec(self):
        self.assertTrue(self.hand_over())
        self.assertEqual(['load_kernel', 'start_kernel'], self.asked)
        self.assertEqual({
            'way': 'kexec', 'kernel': '/boot/vmlinuz',
            'menu': '/boot/grub/grub.cfg',
            'initramfs': ['/boot/initrd.img']}, self.record)
        for key in ('agent_url', 'agent_secret_token'):
            self.assertNotIn(key, self.node.driver_internal_info)
        self.assertTrue(kexec.has_started(self.node))

    def test_the_logs_of_the_ramdisk_come_first(self):
        self.config(deploy_logs_collect='always', group='agent')
        with mock.patch.object(
                driver_utils, 'collect_ramdisk_logs', autospec=True,
                side_effect=lambda *_: self.assertEqual(
                    ['load_kernel'], self.asked)) as collect:
            self.assertTrue(self.hand_over())
        collect.assert_called_once()

    def test_nobody_asks(self):
        for option, flag in ((False, 'true'), (True, None), (True, 'false'),
                             (True, 'something')):
            self.config(kexec=option, group='imagedeploy')
            self.node.driver_info = {'imagedeploy_kexec': flag}
            self.node.save()
            self.assertFalse(self.hand_over())
        self.assertEqual([], self.agent.asked)
        self.assertIsNone(self.record)

    def test_tenants_cannot_ask(self):
        self.node.driver_info = {}
        self.node.instance_info = {**self.node.instance_info,
                                   'imagedeploy_kexec': 'true'}
        self.node.save()
        self.assertFalse(self.hand_over())
        self.assertIsNone(self.record)


class ConditionsTest(KexecTestCase):

    def assert_refused(self, *reason, **fields):
        for name, value in fields.items():
            setattr(self.node, name, value)
        self.node.save()
        self.assert_as_always(*reason)
        self.assertEqual([], self.agent.asked)

    def info(self, **values):
        return {**self.node.driver_internal_info, **values}

    def test_another_network(self):
        self.config(enabled_network_interfaces=['noop', 'flat'])
        self.assert_refused('network interface flat',
                            network_interface='flat')

    def test_secure_boot(self):
        self.assert_refused('boot securely', instance_info={
            'capabilities': {'secure_boot': 'true'}})

    def test_power_that_is_switched_out_of_band(self):
        self.assert_refused('deploy_forces_oob_reboot', driver_info={
            'imagedeploy_kexec': True, 'deploy_forces_oob_reboot': True})

    def test_settings_that_wait_for_the_firmware(self):
        self.assert_refused(
            'bios.apply_configuration', driver_internal_info=self.info(
                deploy_steps=[{'interface': 'bios', 'priority': 90,
                               'step': 'apply_configuration'}, *STEPS],
                deploy_step_index=3))

    def test_steps_that_are_left(self):
        self.assert_refused(
            'found switch_to_tenant_network, mine, boot_instance',
            driver_internal_info=self.info(deploy_steps=[
                *STEPS[:4], {'interface': 'deploy', 'step': 'mine'},
                *STEPS[4:]]))

    def test_ramdisks_that_cannot(self):
        for version in ('4', 'new', None):
            self.assert_refused(
                f'in version {version or "none"}',
                driver_internal_info=self.info(hardware_manager_version={
                    'ImageDeployHardwareManager': version}))

    def test_image_of_another_writer(self):
        self.assert_refused('has not written', driver_internal_info=self.info(
            imagedeploy={'workers': 0}))


class AgentTest(KexecTestCase):

    def test_kernel_that_is_not_loaded(self):
        self.errors['load_kernel'] = {
            'type': 'NotPossible', 'message': 'Deploy step failed',
            'details': 'the machine boots securely'}
        self.assert_as_always('the machine boots securely')
        self.assertEqual(['load_kernel'], self.asked)

    def test_kernel_that_does_not_start(self):
        self.leaves = False
        self.errors['start_kernel'] = {'details': 'no kernel is loaded'}
        self.assert_as_always('no kernel is loaded')

    def test_agent_that_stays(self):
        self.leaves = False
        self.enterContext(mock.patch.object(kexec, '_PATIENCE', 0.3))
        self.assert_as_always('still answers after 0.3 seconds')

    def test_agent_that_does_not_answer(self):
        self.leave()
        self.assert_as_always('does not answer')

    def test_agent_without_the_extension(self):
        def answer(request):
            request.send_response(404)
            request.send_header('Content-Length', '38')
            request.end_headers()
            request.wfile.write(b'{"faultstring": "Extension not found"}')
        self.agent.behaviour = answer
        self.assert_as_always('Extension not found')


class StepsTest(KexecTestCase):
    """The steps of the deploy interface."""

    def steps(self):
        with (self.task(shared=False) as task,
              mock.patch.object(agent, 'soft_power_off', autospec=True
                                ) as power_off,
              mock.patch.object(conductor_utils, 'node_power_action',
                                autospec=True) as power):
            task.driver.deploy.tear_down_agent(task)
            task.driver.deploy.switch_to_tenant_network(task)
            task.driver.deploy.boot_instance(task)
        return power_off.called, power.called

    def test_the_power_stays_on(self):
        self.assertEqual((False, False), self.steps())

    def test_as_always(self):
        self.errors['load_kernel'] = {'details': 'no'}
        self.assertEqual((True, True), self.steps())

    def test_operators_find_the_key(self):
        with self.task() as task:
            self.assertIn('Experimental', task.driver.deploy.get_properties()[
                'imagedeploy_kexec'])
