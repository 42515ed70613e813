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
from unittest import mock

import oslo_messaging as messaging
from oslo_utils import uuidutils

from ironic.common import driver_factory
from ironic.common import exception
from ironic.drivers import base as drivers_base
from ironic.drivers.modules import image_utils
from ironic.drivers.modules.redfish import boot
from ironic.drivers.modules.redfish import utils as redfish_utils
from ironic.drivers import redfish
from ironic import objects

from ironic_imagedeploy.conductor import deploy
from ironic_imagedeploy.conductor import hardware_types
from tests.unit.conductor import base

OWN = {'imagedeploy-redfish': 'redfish', 'imagedeploy-ipmi': 'ipmi'}
BMC = {'redfish_address': 'https://bmc.example.com',
       'redfish_system_id': '/redfish/v1/Systems/1'}


class HardwareTypesTestCase(base.ConductorTestCase):
    """A conductor of which no class of Ironic is extended."""

    def setUp(self):
        super().setUp()
        self.config(enabled_hardware_types=[*OWN, *OWN.values()],
                    enabled_boot_interfaces=['pxe', 'redfish-virtual-media'],
                    enabled_management_interfaces=['ipmitool', 'redfish'],
                    enabled_power_interfaces=['ipmitool', 'redfish'],
                    enabled_vendor_interfaces=['no-vendor'],
                    enabled_raid_interfaces=['no-raid'],
                    enabled_bios_interfaces=['no-bios'],
                    enabled_console_interfaces=['no-console'],
                    enabled_firmware_interfaces=['no-firmware'],
                    enabled_inspect_interfaces=['no-inspect'],
                    enabled_rescue_interfaces=['no-rescue'],
                    enabled_network_interfaces=['noop'],
                    enabled_storage_interfaces=['noop'])
        self.config(extend_hardware_types=False, group='imagedeploy')
        driver_factory.HardwareTypesFactory._extension_manager = None

    def create(self, driver, **fields):
        """As a request to create a node ends in the conductor."""
        return self.service.create_node(self.context, objects.Node(
            self.context, uuid=uuidutils.generate_uuid(), driver=driver,
            **{'driver_info': BMC, **fields}))

    def assert_refused(self, driver, **fields):
        error = self.assertRaises(messaging.ExpectedException, self.create,
                                  driver, **fields)
        self.assertIs(exception.IncompatibleInterface, error.exc_info[0])


class DeployInterfaceTest(HardwareTypesTestCase):

    def test_only_they_accept_it(self):
        for own, stock in OWN.items():
            self.assertIsInstance(
                driver_factory.get_interface(
                    driver_factory.get_hardware_type(own), 'deploy',
                    'imagedeploy'), deploy.ImageDeploy)
            self.assertRaises(
                exception.IncompatibleInterface,
                driver_factory.get_interface,
                driver_factory.get_hardware_type(stock), 'deploy',
                'imagedeploy')

    def test_named_once_beside_extended_hardware_types(self):
        self.config(extend_hardware_types=True, group='imagedeploy')
        for name, kind in driver_factory.hardware_types().items():
            driver_factory.interfaces('deploy')
            self.assertEqual(1, kind.supported_deploy_interfaces.count(
                deploy.ImageDeploy), name)

    def test_default_of_its_nodes_and_of_no_others(self):
        for own, stock in OWN.items():
            self.assertEqual('imagedeploy', self.create(own).deploy_interface)
            self.assertEqual('direct', self.create(stock).deploy_interface)

    def test_default_of_the_operator_comes_first(self):
        self.config(default_deploy_interface='direct')
        for own in OWN:
            self.assertEqual('direct', self.create(own).deploy_interface)

    def test_default_where_no_interface_is_named_in_the_configuration(self):
        self.config(enabled_hardware_types=[*OWN],
                    enabled_deploy_interfaces=[])
        self.assertEqual(['imagedeploy'],
                         [*driver_factory.interfaces('deploy')])

    def test_a_conductor_that_starts_registers_them(self):
        self.start_conductor()
        self.assertEqual(
            {(name, True) for name in OWN},
            {(each.hardware_type, bool(each.default)) for each
             in self.dbapi.list_hardware_type_interfaces(
                 [*OWN, *OWN.values()])
             if each.interface_name == 'imagedeploy'})

    def test_direct_for_a_node_that_asks(self):
        for own in OWN:
            node = self.create(own, deploy_interface='direct')
            self.assertEqual('direct', node.deploy_interface)

    def test_another_hardware_type_refuses_a_node(self):
        self.assert_refused('redfish', deploy_interface='imagedeploy')

    def test_everything_else_is_inherited(self):
        for own, stock in OWN.items():
            offered = [driver_factory.enabled_supported_interfaces(
                driver_factory.get_hardware_type(name))
                for name in (own, stock)]
            for kind in drivers_base.ALL_INTERFACES - {'deploy', 'boot'}:
                self.assertEqual(offered[1][kind], offered[0][kind], kind)

    def test_nodes_of_other_hardware_types_move_over(self):
        node = self.create('redfish')
        node.driver = 'imagedeploy-redfish'
        node.deploy_interface = 'imagedeploy'
        moved = self.service.update_node(self.context, node)
        self.assertEqual('imagedeploy-redfish', moved.driver)


class RedfishTest(HardwareTypesTestCase):

    def setUp(self):
        super().setUp()
        driver_factory.hardware_types()
        self.ca = self.directory / 'ca.pem'
        self.ca.touch()

    def verified_with(self, driver='imagedeploy-redfish', **info):
        node = self.create(driver, driver_info={**BMC, **info})
        return redfish_utils.parse_driver_info(node)['verify_ca']

    def test_the_authorities_of_the_system(self):
        self.assertIs(True, self.verified_with())

    def test_those_of_redfish(self):
        self.config(verify_ca=str(self.ca), group='redfish')
        self.assertEqual(str(self.ca), self.verified_with('redfish'))
        self.assertEqual(str(self.ca), self.verified_with())
        self.assertEqual(str(self.ca),
                         self.verified_with(redfish_verify_ca=True))

    def test_its_own(self):
        self.config(verify_ca='/somewhere/else', group='redfish')
        self.config(verify_ca=str(self.ca), group='imagedeploy-redfish')
        self.assertEqual(str(self.ca), self.verified_with())

    def test_those_of_a_node(self):
        self.config(verify_ca='/somewhere/else', group='redfish')
        self.assertEqual(str(self.ca), self.verified_with(
            redfish_verify_ca=str(self.ca)))
        self.assertIs(False, self.verified_with(redfish_verify_ca=False))

    def test_virtual_media_where_images_can_be_published(self):
        virtual_media = {'driver': 'imagedeploy-redfish',
                         'boot_interface': 'redfish-virtual-media'}
        if not hasattr(drivers_base.BootInterface,
                       'image_publisher_settings'):
            self.assertRaises(exception.UnsupportedDriverExtension,
                              image_utils.ImageHandler, 'imagedeploy-redfish')
            self.assert_refused(**virtual_media)
            return
        source = self.directory / 'boot.iso'
        source.write_bytes(b'boot')
        self.node = self.create(**virtual_media)
        with self.task() as task:
            url = image_utils.ImageHandler(
                task.node.driver, task.driver.boot).publish_image(
                    str(source), 'boot-1.iso')
        self.assertEqual(f'{self.http_url}/redfish/boot-1.iso', url)
        self.assertEqual(
            b'boot', (self.http / 'redfish' / 'boot-1.iso').read_bytes())


class BootInterfacesTest(unittest.TestCase):

    def test_of_ironic_that_publishes_for_its_own_types_only(self):
        """Any other boot interface of redfish is one of this type."""
        with mock.patch.object(hardware_types.base, 'BootInterface', object):
            found = hardware_types.ImageDeployRedfish(
                ).supported_boot_interfaces
        self.assertEqual(
            {boot.RedfishVirtualMediaBoot, boot.RedfishHttpsBoot},
            {*redfish.RedfishHardware().supported_boot_interfaces} - {*found})
