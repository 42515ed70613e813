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

from importlib import metadata

from ironic.common import driver_factory
from ironic.drivers import generic
from ironic.drivers.modules import agent
from ironic.drivers.modules import noop

from ironic_imagedeploy.conductor import deploy
from ironic_imagedeploy.conductor import hardware
from tests.unit.conductor import base

STOCK = generic.GenericHardware.supported_deploy_interfaces


class SupportEverywhereTest(base.ConductorTestCase):

    def test_upstream_still_has_the_property(self):
        self.assertIsInstance(STOCK, property)
        self.assertIn(agent.AgentDeploy,
                      STOCK.fget(generic.ManualManagementHardware()))

    def test_every_hardware_type_accepts_it(self):
        hardware.support_everywhere(deploy.ImageDeploy)
        types = [point.load() for point in metadata.entry_points(
            group='ironic.hardware.types')
            if point.value.startswith('ironic.')]
        checked = 0
        for kind in types:
            if issubclass(kind, generic.GenericHardware):
                checked += 1
                self.assertIs(deploy.ImageDeploy,
                              [each for each
                               in kind().supported_deploy_interfaces
                               if each is not noop.NoDeploy][-1], kind)
        self.assertLess(4, checked)

    def test_what_was_supported_keeps_its_order(self):
        before = generic.ManualManagementHardware(
            ).supported_deploy_interfaces
        hardware.support_everywhere(deploy.ImageDeploy)
        after = generic.ManualManagementHardware().supported_deploy_interfaces
        self.assertEqual(before, [each for each in after
                                  if each is not deploy.ImageDeploy])

    def test_once(self):
        hardware.support_everywhere(deploy.ImageDeploy)
        hardware.support_everywhere(deploy.ImageDeploy)
        supported = generic.ManualManagementHardware(
            ).supported_deploy_interfaces
        self.assertEqual(1, supported.count(deploy.ImageDeploy))

    def test_another_class_too(self):
        class Derived(deploy.ImageDeploy):
            pass

        hardware.support_everywhere(deploy.ImageDeploy)
        hardware.support_everywhere(Derived)
        supported = generic.ManualManagementHardware(
            ).supported_deploy_interfaces
        self.assertEqual([deploy.ImageDeploy, Derived],
                         [each for each in supported
                          if issubclass(each, deploy.ImageDeploy)])


class EnabledByConfigurationAloneTest(base.ConductorTestCase):

    def setUp(self):
        super().setUp()
        self.config(enabled_hardware_types=['manual-management', 'ipmi',
                                            'redfish'],
                    enabled_boot_interfaces=['pxe'],
                    enabled_management_interfaces=['noop', 'ipmitool',
                                                   'redfish'],
                    enabled_power_interfaces=['agent', 'ipmitool', 'redfish'],
                    enabled_vendor_interfaces=['no-vendor'],
                    enabled_raid_interfaces=['no-raid'],
                    enabled_bios_interfaces=['no-bios'],
                    enabled_console_interfaces=['no-console'],
                    enabled_firmware_interfaces=['no-firmware'],
                    enabled_inspect_interfaces=['no-inspect'],
                    enabled_rescue_interfaces=['no-rescue'],
                    enabled_network_interfaces=['noop'],
                    enabled_storage_interfaces=['noop'])
        driver_factory.HardwareTypesFactory._extension_manager = None

    def test_a_conductor_offers_it_and_keeps_the_defaults(self):
        # In the order of a conductor's start.
        hardware_types = driver_factory.hardware_types()
        driver_factory.all_interfaces()
        self.assertEqual({'manual-management', 'ipmi', 'redfish'},
                         set(hardware_types))
        for name, kind in hardware_types.items():
            offered = driver_factory.enabled_supported_interfaces(kind)
            self.assertEqual({'direct', 'imagedeploy'}, offered['deploy'],
                             name)
            self.assertEqual('direct', driver_factory.default_interface(
                kind, 'deploy', driver_name=name))
            self.assertIsInstance(
                driver_factory.get_interface(kind, 'deploy', 'imagedeploy'),
                deploy.ImageDeploy)

    def test_a_conductor_that_starts_registers_it(self):
        self.start_conductor()
        registered = self.dbapi.list_hardware_type_interfaces(
            ['manual-management', 'ipmi', 'redfish'])
        self.assertEqual(
            {'manual-management', 'ipmi', 'redfish'},
            {each.hardware_type for each in registered
             if each.interface_name == 'imagedeploy' and not each.default})

    def test_not_enabled_not_offered(self):
        self.config(enabled_deploy_interfaces=['direct'])
        for kind in driver_factory.hardware_types().values():
            offered = driver_factory.enabled_supported_interfaces(kind)
            self.assertEqual({'direct'}, offered['deploy'])
