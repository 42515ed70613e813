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

from ironic.common import exception
from ironic import objects

from ironic_imagedeploy.conductor import inventory
from tests.unit.conductor import base
from tests.unit.contract import inventories


class InventoryTest(base.ConductorTestCase):

    def test_of_the_database(self):
        objects.NodeInventory(
            self.context, node_id=self.node.id,
            inventory_data=inventories.INVENTORY,
            plugin_data=inventories.PLUGIN_DATA).create()
        with self.task() as task:
            self.assertEqual(
                (inventories.CONTROLLER, inventories.NETWORK),
                inventory.devices(task))

    def test_a_node_that_was_not_inspected(self):
        with self.task() as task:
            self.assertEqual((), inventory.devices(task))
            self.config(data_backend='none', group='inventory')
            self.assertEqual((), inventory.devices(task))

    def test_an_inventory_that_cannot_be_read(self):
        error = exception.SwiftOperationError(operation='get', error='gone')
        with (self.task() as task,
              mock.patch.object(inventory, 'LOG', autospec=True) as log,
              mock.patch.object(inventory.inspect_utils,
                                'get_inspection_data', autospec=True,
                                side_effect=error)):
            self.assertEqual((), inventory.devices(task))
        log.warning.assert_called_once_with(
            mock.ANY, {'node': self.node.uuid, 'error': error})
