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

"""Periodic task that forgets the secrets of deployments that were given up.

When a conductor dies, the one that starts in its place, or takes its nodes
over, lets their deployments fail without a word to the deploy interface.
"""

from collections.abc import Callable
import threading

from oslo_db.sqlalchemy import enginefacade
from oslo_log import log
import sqlalchemy

from ironic.common import context as ironic_context
from ironic.common import exception
from ironic.common import states
from ironic.conductor import base_manager
from ironic.conductor import periodics
from ironic.conductor import task_manager
from ironic.db.sqlalchemy import models

from ironic_imagedeploy.conductor import serving
from ironic_imagedeploy.contract import names
from ironic_imagedeploy.contract import order

LOG = log.getLogger(__name__)

#: Seconds between two looks. The first one is when the conductor starts.
_SPACING = 60
#: Where the ramdisk may still need what it was told.
_NEEDED_IN = (states.DEPLOYING, states.DEPLOYWAIT)
_SESSION = threading.local()


def periodic_task() -> Callable[..., None]:
    """The task of a conductor."""

    @periodics.periodic(spacing=_SPACING, run_immediately=True)
    def withdraw_orders(manager: base_manager.BaseConductorManager,
                        context: ironic_context.RequestContext) -> None:
        withdraw(manager, context)

    return withdraw_orders


def withdraw(manager: base_manager.BaseConductorManager,
             context: ironic_context.RequestContext) -> None:
    """Serve nothing to nodes of this conductor that need it no longer."""
    uuids = _ordered()
    if not uuids:
        return
    for uuid, _, _ in manager.iter_nodes(filters={'uuid_in': uuids}):
        try:
            with task_manager.acquire(context, uuid, shared=False,
                                      purpose='withdrawal') as task:
                if task.node.provision_state not in _NEEDED_IN:
                    serving.withdraw(task.node)
        except (exception.NodeLocked, exception.NodeNotFound) as error:
            LOG.debug('The order of node %(node)s is not withdrawn yet: '
                      '%(error)s', {'node': uuid, 'error': error})


def _ordered() -> list[str]:
    """Nodes, of all conductors, with an order that they do not need."""
    node = models.Node
    info = sqlalchemy.type_coerce(node.driver_internal_info, sqlalchemy.Text)
    query = sqlalchemy.select(node.uuid, node.driver_internal_info).where(
        node.provision_state.not_in(_NEEDED_IN),
        sqlalchemy.or_(*(info.contains(f'"{key}"')
                         for key in order.SECRET_KEYS)))
    with enginefacade.reader.using(_SESSION) as session:
        return [uuid for uuid, told in session.execute(query)
                if order.has_secrets((told or {}).get(names.KEY) or {})]
