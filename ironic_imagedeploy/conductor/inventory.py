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

"""Devices of a node, by the inventory that Ironic has of it."""

from oslo_log import log

from ironic.common import exception
from ironic.conductor import task_manager
from ironic.drivers.modules import inspect_utils

from ironic_imagedeploy.contract import inventory
from ironic_imagedeploy.engine import hardware

LOG = log.getLogger(__name__)


def devices(task: task_manager.TaskManager) -> tuple[hardware.Device, ...]:
    """Controllers of disks and network cards of a node; none when unknown."""
    try:
        data = inspect_utils.get_inspection_data(task.node, task.context)
    except exception.NodeInventoryNotFound:
        return ()
    except exception.IronicException as error:
        # It is good advice: no deployment fails without it.
        LOG.warning('The inventory of node %(node)s cannot be read: '
                    '%(error)s', {'node': task.node.uuid, 'error': error})
        return ()
    return inventory.devices(data.get('inventory'), data.get('plugin_data'))
