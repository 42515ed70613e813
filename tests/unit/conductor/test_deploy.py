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

import hashlib
from unittest import mock

from ironic.common import exception
from ironic.common import states
from ironic.conductor import deployments
from ironic.conductor import utils as conductor_utils
from ironic.drivers.modules import agent
from ironic.drivers.modules import agent_client
from ironic.drivers.modules import fake
from ironic import objects

from ironic_imagedeploy.conductor import deploy
from tests.unit.conductor import base
from tests.unit.engine import system_disks
from tests.unit.engine import systems

OURS = {'generic_hardware_manager': '1.2', 'ImageDeployHardwareManager': '5'}
STOCK = {'generic_hardware_manager': '1.2'}


class StepsTest(base.ConductorTestCase):

    def test_those_of_direct_and_one_more(self):
        def steps(interface):
            return {(step['priority'], step['step'])
                    for step in interface.deploy_steps}

        self.assertEqual(
            steps(agent.AgentDeploy()) | {(85, 'check_agent')},
            steps(deploy.ImageDeploy()))

    def test_the_agent_is_checked_between_boot_and_write(self):
        self.use()
        with self.task() as task:
            names = [step['step'] for step in sorted(
                task.driver.deploy.get_deploy_steps(task),
                key=lambda step: -step['priority'])]
        self.assertEqual(['deploy', 'check_agent', 'write_image'], names[:3])

    def test_write_image_is_that_of_direct(self):
        self.assertIs(agent.AgentDeploy.write_image,
                      deploy.ImageDeploy.write_image)


class ValidateTest(base.ConductorTestCase):

    def test_good_image(self):
        self.use()
        result = self.service.validate_driver_interfaces(
            self.context, self.node.uuid)['deploy']
        self.assertEqual({'result': True}, result)

    def test_file_with_its_image_type(self):
        """Without, Ironic 39 asks the path for the answer of a server."""
        self.config(file_url_allowed_paths=[str(self.web)], group='conductor')
        self.use(f'file://{self.qcow2}', image_type='whole-disk')
        result = self.service.validate_driver_interfaces(
            self.context, self.node.uuid)['deploy']
        self.assertEqual({'result': True}, result)

    def test_reason_of_a_refusal(self):
        self.use(image_disk_format='raw')
        result = self.service.validate_driver_interfaces(
            self.context, self.node.uuid)['deploy']
        self.assertFalse(result['result'])
        for word in ('format-mismatch', 'Expected raw', 'found qcow2',
                     'image_disk_format=qcow2'):
            self.assertIn(word, result['reason'])

    def test_what_direct_validates_is_validated_first(self):
        self.use(image_type='floppy')
        with self.task() as task:
            error = self.assertRaises(exception.InvalidParameterValue,
                                      task.driver.deploy.validate, task)
        self.assertIn('Invalid image_type "floppy"', str(error))
        self.assertEqual([], self.server.requests)

    def test_only_head_and_tables_are_read(self):
        self.use()
        with self.task() as task:
            task.driver.deploy.validate(task)
        self.assertTrue(self.server.requests)
        self.assertTrue(all(self.server.requests))

    def test_start_of_a_deployment_waits_for_no_image_server(self):
        self.use()
        with self.task(shared=False) as task:
            task.driver.deploy.validate(task)
        self.assertEqual([], self.server.requests)

    def test_nothing_to_write(self):
        self.use(image_disk_format='raw')
        with self.task() as task, mock.patch.object(
                task.driver.storage, 'should_write_image',
                autospec=True, return_value=False):
            task.driver.deploy.validate(task)
        self.assertEqual([], self.server.requests)


class DeploymentTest(base.ConductorTestCase):
    """From Ironic's method to the point where the ramdisk boots."""

    def setUp(self):
        super().setUp()
        self._start_service()
        self.addCleanup(self._stop_service)
        self.config(image_download_source='http', group='agent')
        self.set_power = self.patched(fake.FakePower, 'set_power_state')
        self.reboot = self.patched(fake.FakePower, 'reboot')

    def patched(self, owner, name):
        patcher = mock.patch.object(owner, name, autospec=True)
        self.addCleanup(patcher.stop)
        return patcher.start()

    def deploy(self):
        self.service.do_node_deploy(self.context, self.node.uuid)
        return self.refreshed()

    def test_refusal_is_in_last_error_and_the_node_untouched(self):
        self.glance.register(self.qcow2, disk_format='raw')
        self.use(base.IMAGE_ID)
        node = self.deploy()
        self.assertEqual(states.DEPLOYFAIL, node.provision_state)
        self.assertIn('glance:' + base.IMAGE_ID, node.last_error)
        self.assertIn('format-mismatch', node.last_error)
        self.assertIn('Expected raw, as declared, found qcow2.',
                      node.last_error)
        self.assertIn('openstack image create --disk-format qcow2',
                      node.last_error)
        history = objects.NodeHistory.list_by_node_id(self.context, node.id)
        self.assertEqual(node.last_error, history[-1].event)
        self.set_power.assert_not_called()
        self.reboot.assert_not_called()
        self.assertEqual(states.POWER_OFF, node.power_state)

    def test_unreachable_image(self):
        (self.web / 'disk.qcow2').unlink()
        self.use()
        node = self.deploy()
        self.assertEqual(states.DEPLOYFAIL, node.provision_state)
        self.assertIn('image-not-found: The image was not found',
                      node.last_error)
        self.set_power.assert_not_called()

    def test_node_boots_the_ramdisk_with_its_order(self):
        self.config(read_back='full', permitted_formats=['qcow2'],
                    group='imagedeploy')
        self.glance.register(self.qcow2)
        self.use(base.IMAGE_ID)
        self.node.set_driver_internal_info('imagedeploy', {'report': 'old'})
        self.node.set_driver_internal_info('hardware_manager_version', OURS)
        self.node.save()
        node = self.deploy()
        self.assertIsNone(node.last_error)
        self.assertEqual(states.DEPLOYWAIT, node.provision_state)
        self.reboot.assert_called_once()
        self.assertEqual(
            {'version': 1, 'permitted_formats': ['qcow2'],
             'read_back': 'full',
             'insecure_checksums_permitted': False, 'workers': 0,
             'decompression_memory': 128, 'minimum_speed': 0,
             'verify': 'chunks', 'start_findings': 'warn',
             'start_findings_raised': [], 'start_findings_muted': [],
             'start_judged': True, 'own_boot_loader': True,
             'checksum_is_ours': False, 'disk_format': 'qcow2',
             'checksum': 'sha512:' + hashlib.sha512(self.image).hexdigest(),
             'timeline': {'begun': mock.ANY, 'accepted': mock.ANY,
                          'power-on': mock.ANY, 'ramdisk': mock.ANY},
             'public': True, 'manifest': {
                 'url': f'{self.http_url}/agent_images/{node.uuid}-manifest',
                 'root': mock.ANY, 'size': mock.ANY}},
            node.driver_internal_info['imagedeploy'])
        self.assertNotIn('hardware_manager_version',
                         node.driver_internal_info)
        self.assertEqual(f'{self.http_url}/agent_images/{node.uuid}',
                         node.instance_info['image_url'])

    def test_what_is_odd_about_the_image_is_in_the_history(self):
        folder = self.directory / 'made'
        folder.mkdir()
        self.glance.register(system_disks.disk(folder, systems.changed(
            systems.debian(), {'root/.bash_history': b'ls\n'})),
            disk_format='raw', imagedeploy_start_findings_raised='no-login')
        self.use(base.IMAGE_ID)
        node = self.deploy()
        self.assertIsNone(node.last_error)
        events = [each.event for each in objects.NodeHistory.list_by_node_id(
            self.context, node.id)]
        self.assertIn('imagedeploy warns: traces-left: Traces of another '
                      'machine are in the image. Expected none, found '
                      '/root/.bash_history. Remove them; virt-sysprep does.',
                      events)
        order = node.driver_internal_info['imagedeploy']
        self.assertEqual((True, ['no-login']), (
            order['start_judged'], order['start_findings_raised']))

    def test_larger_than_memory(self):
        self.glance.register(self.qcow2)
        self.use(base.IMAGE_ID)
        self.node.properties = {**self.node.properties, 'memory_mb': 0}
        self.node.save()
        node = self.deploy()
        self.assertIsNone(node.last_error)


class CleanUpTest(base.ConductorTestCase):

    def fail(self, **state):
        """Fail, with a boot interface like redfish-virtual-media."""
        self.use()
        self.node.update({'power_state': states.POWER_ON, **state})
        self.node.save()
        with (self.task(shared=False) as task,
              mock.patch.object(
                  task.driver.boot, 'clean_up_ramdisk', autospec=True,
                  side_effect=lambda task: conductor_utils.node_power_action(
                      task, states.POWER_OFF))):
            conductor_utils.deploying_error_handler(
                task, 'for the log', 'the reason')
        return self.refreshed()

    def test_the_reason_outlives_the_power(self):
        for state in (states.DEPLOYING, states.DEPLOYWAIT):
            node = self.fail(provision_state=state,
                             target_provision_state=states.ACTIVE)
            self.assertEqual(states.DEPLOYFAIL, node.provision_state)
            self.assertEqual(states.POWER_OFF, node.power_state)
            self.assertEqual('the reason', node.last_error)

    def aborted(self):
        """Abort, with a boot interface that leaves the power alone."""
        self.use()
        self.node.update({'power_state': states.POWER_ON,
                          'provision_state': states.DEPLOYWAIT,
                          'target_provision_state': states.ACTIVE})
        self.node.save()
        with (self.task(shared=False) as task,
              mock.patch.object(task.driver.boot, 'clean_up_ramdisk',
                                autospec=True)):
            task.process_event('abort')
            deployments.do_node_deploy_abort(task)
        return self.refreshed()

    def test_an_abort_ends_the_ramdisk(self):
        node = self.aborted()
        self.assertEqual((states.DEPLOYFAIL, states.POWER_OFF),
                         (node.provision_state, node.power_state))
        self.assertIn('aborted', node.last_error)

    def test_an_abort_leaves_the_power_on_where_failures_do(self):
        self.config(power_off_after_deploy_failure=False, group='deploy')
        self.assertEqual(states.POWER_ON, self.aborted().power_state)

    def test_an_undeploy_forgets_it(self):
        self.use()
        self.node.update({'provision_state': states.DELETING,
                          'last_error': 'of an earlier deployment'})
        self.node.save()
        with self.task(shared=False) as task:
            conductor_utils.node_power_action(task, states.POWER_OFF)
            task.driver.deploy.clean_up(task)
        self.assertIsNone(self.refreshed().last_error)


class CheckAgentTest(base.ConductorTestCase):

    def setUp(self):
        super().setUp()
        self.use()

    def check(self, versions, told=None):
        if versions is not None:
            self.node.set_driver_internal_info('hardware_manager_version',
                                               versions)
        self.node.save()
        answer = {'command_result': {'deploy_steps': {},
                                     'hardware_manager_version': told}}
        with (self.task(shared=False) as task,
              mock.patch.object(agent_client.AgentClient, 'get_deploy_steps',
                                autospec=True, return_value=answer)):
            task.driver.deploy.check_agent(task)

    def test_ours(self):
        self.check(OURS)

    def test_stock(self):
        error = self.assertRaises(exception.InstanceDeployFailure,
                                  self.check, STOCK)
        self.assertIn('expected the hardware manager '
                      'ImageDeployHardwareManager, found '
                      'generic_hardware_manager', str(error))

    def test_stock_where_that_is_allowed(self):
        self.config(require_agent=False, group='imagedeploy')
        self.check(STOCK)

    def test_asks_when_it_was_not_told(self):
        self.check(None, told=OURS)
        self.assertRaises(exception.InstanceDeployFailure, self.check, {},
                          told=STOCK)

    def test_failure_comes_before_write_image(self):
        self.node.set_driver_internal_info('hardware_manager_version', STOCK)
        self.node.provision_state = states.DEPLOYING
        self.node.target_provision_state = states.ACTIVE
        self.node.save()
        with (self.task(shared=False) as task,
              mock.patch.object(agent_client.AgentClient,
                                'execute_deploy_step',
                                autospec=True) as execute):
            after_boot = sorted(task.driver.deploy.get_deploy_steps(task),
                                key=lambda step: -step['priority'])[1:]
            task.node.set_driver_internal_info('deploy_steps', after_boot)
            deployments.do_next_deploy_step(task, 0)
        node = self.refreshed()
        self.assertEqual(states.DEPLOYFAIL, node.provision_state)
        self.assertIn('check_agent', node.last_error)
        self.assertIn('does not carry the agent side', node.last_error)
        execute.assert_not_called()


class SupportsDeployTest(base.ConductorTestCase):

    def supports(self):
        with self.task() as task:
            return task.driver.deploy.supports_deploy(task)

    def test_images_that_it_can_write(self):
        for image_format in ('raw', 'gpt', 'qcow2', None):
            self.use(image_disk_format=image_format)
            self.assertTrue(self.supports(), image_format)
        self.use(f'file://{self.qcow2}')
        self.assertTrue(self.supports())

    def test_images_of_glance(self):
        self.glance.register(self.qcow2)
        self.use(base.IMAGE_ID)
        self.assertTrue(self.supports())
        self.glance.register(self.qcow2, disk_format='iso')
        self.assertFalse(self.supports())

    def test_formats_that_are_not_permitted(self):
        self.use(image_disk_format='vmdk')
        self.assertFalse(self.supports())

    def test_no_image(self):
        self.assertFalse(self.supports())

    def test_partition_images(self):
        self.use()
        for whole_disk, supported in ((False, True), (None, False)):
            self.node.driver_internal_info = {
                'is_whole_disk_image': whole_disk}
            self.node.save()
            self.assertEqual(supported, self.supports())

    def test_containers(self):
        self.use('oci://registry.example.com/image:latest')
        self.assertFalse(self.supports())

    def test_an_image_that_glance_does_not_have(self):
        self.use(base.IMAGE_ID)
        self.assertFalse(self.supports())
