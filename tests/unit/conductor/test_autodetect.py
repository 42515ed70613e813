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

from ironic.common import states
from ironic.drivers.modules import fake

from tests.unit.conductor import base


class AutodetectTest(base.ConductorTestCase):
    """Ironic's own interface autodetect, which asks the others in order."""

    def setUp(self):
        super().setUp()
        self.config(enabled_deploy_interfaces=[
                        'autodetect', 'imagedeploy', 'direct', 'ramdisk'],
                    autodetect_deploy_interfaces=[
                        'ramdisk', 'imagedeploy', 'direct'])
        self.node.deploy_interface = 'autodetect'
        self.node.save()

    def switched_to(self):
        """What the conductor does before whatever it does with a node."""
        with self.task(shared=False) as task:
            task.driver.deploy.switch_interface(task)
            chosen = task.node.deploy_interface
            task.driver.deploy.restore_interface(task)
            self.assertEqual('autodetect', task.node.deploy_interface)
        self.refreshed()
        return chosen

    def test_images_that_it_can_write(self):
        self.use()
        self.assertEqual('imagedeploy', self.switched_to())
        self.use(f'file://{self.qcow2}')
        self.assertEqual('imagedeploy', self.switched_to())
        self.glance.register(self.qcow2)
        self.use(base.IMAGE_ID)
        self.assertEqual('imagedeploy', self.switched_to())

    def test_formats_that_it_does_not_write(self):
        for image_format in ('iso', 'vmdk'):
            self.use(image_disk_format=image_format)
            self.assertEqual('direct', self.switched_to(), image_format)
        self.config(permitted_formats=['raw'], group='imagedeploy')
        self.use()
        self.assertEqual('direct', self.switched_to())

    def test_format_that_was_permitted(self):
        self.config(permitted_formats=['vmdk'], group='imagedeploy')
        self.use(image_disk_format='vmdk')
        self.assertEqual('imagedeploy', self.switched_to())

    def test_containers(self):
        self.use('oci://registry.example.com/image:latest')
        self.assertEqual('direct', self.switched_to())

    def test_nothing_to_write(self):
        # A node that is cleaned, or that boots from a volume.
        self.assertEqual('direct', self.switched_to())

    def test_ramdisks(self):
        self.glance.register(self.qcow2, ironic_ramdisk_deploy=True,
                             boot_iso_id=base.IMAGE_ID)
        self.use(base.IMAGE_ID)
        self.assertEqual('ramdisk', self.switched_to())
        self.use(boot_iso='http://192.0.2.1/boot.iso',
                 ironic_ramdisk_deploy=True)
        self.assertEqual('ramdisk', self.switched_to())

    def test_glance_does_not_answer(self):
        self.use(base.IMAGE_ID)
        self.assertEqual('direct', self.switched_to())

    def test_not_where_it_is_not_listed(self):
        self.config(autodetect_deploy_interfaces=['ramdisk', 'direct'])
        self.use()
        self.assertEqual('direct', self.switched_to())

    def test_all_else_where_it_is_the_last(self):
        self.config(autodetect_deploy_interfaces=['ramdisk', 'imagedeploy'])
        self.use(image_disk_format='iso')
        self.assertEqual('imagedeploy', self.switched_to())


class AutodetectedDeploymentTest(base.ConductorTestCase):

    def setUp(self):
        super().setUp()
        self.config(enabled_deploy_interfaces=[
                        'autodetect', 'imagedeploy', 'direct'],
                    autodetect_deploy_interfaces=['imagedeploy', 'direct'])
        self.config(image_download_source='http', group='agent')
        self.node.deploy_interface = 'autodetect'
        self.node.save()
        self._start_service()
        self.addCleanup(self._stop_service)
        for name in ('set_power_state', 'reboot'):
            patcher = mock.patch.object(fake.FakePower, name, autospec=True)
            self.addCleanup(patcher.stop)
            patcher.start()

    def deploy(self):
        self.service.do_node_deploy(self.context, self.node.uuid)
        return self.refreshed()

    def test_validation_is_ours(self):
        self.use(image_disk_format='raw')
        answer = self.service.validate_driver_interfaces(
            self.context, self.node.uuid)['deploy']
        self.assertIs(False, answer['result'])
        self.assertIn('format-mismatch', answer['reason'])
        self.assertEqual('autodetect', self.refreshed().deploy_interface)

    def test_refusal_is_ours(self):
        self.use(image_disk_format='raw')
        node = self.deploy()
        self.assertEqual(states.DEPLOYFAIL, node.provision_state)
        self.assertIn('format-mismatch', node.last_error)

    def test_a_node_that_boots_the_ramdisk_and_is_undeployed(self):
        self.use()
        node = self.deploy()
        self.assertIsNone(node.last_error)
        self.assertEqual(
            (states.DEPLOYWAIT, 'imagedeploy'),
            (node.provision_state, node.deploy_interface))
        self.assertIn('checksum', node.driver_internal_info['imagedeploy'])
        self.config(automated_clean=False, group='conductor')
        self.service.do_node_tear_down(self.context, node.uuid)
        node = self.refreshed()
        self.assertEqual((states.AVAILABLE, 'autodetect'),
                         (node.provision_state, node.deploy_interface))
