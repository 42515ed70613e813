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

"""Periodic task that looks after the agents that write.

A periodic task of the conductor asks every agent that writes an image of one
of its nodes, and keeps the answers. It holds no node: the record is written
by one statement of SQL that changes nothing when the node is reserved or was
changed meanwhile. A heartbeat, which gives up where a node is reserved, is
never in its way.
"""

from collections.abc import Callable
import functools
import threading
import typing

from oslo_db import exception as db_exception
from oslo_db.sqlalchemy import enginefacade
from oslo_log import log
import sqlalchemy

from ironic.common import context as ironic_context
from ironic.common import metrics_utils
from ironic.common import states
from ironic.conductor import base_manager
from ironic.conductor import periodics
from ironic.conf import CONF
from ironic.db.sqlalchemy import models
from ironic import objects

from ironic_imagedeploy.conductor.progress import answers
from ironic_imagedeploy.conductor.progress import client
from ironic_imagedeploy.conductor.progress import notifications
from ironic_imagedeploy.conductor.progress import records
from ironic_imagedeploy.conductor.progress import rounds
from ironic_imagedeploy.contract import names
from ironic_imagedeploy.contract import progress

LOG = log.getLogger(__name__)
METRICS = metrics_utils.get_metrics_logger(__name__)

_SESSION = threading.local()


class Write(typing.NamedTuple):
    """A node that an image is being written to, as the database has it."""

    uuid: str
    driver: str
    conductor_group: str
    deploy_interface: str | None
    deploy_step: dict[str, typing.Any] | None
    driver_info: dict[str, typing.Any] | None
    driver_internal_info: dict[str, typing.Any] | None

    @property
    def is_ordered(self) -> bool:
        """Whether an image is being written, and there is an order."""
        return ((self.deploy_step or {}).get('step') == names.STEP
                and names.KEY in (self.driver_internal_info or {}))

    @property
    def known(self) -> dict[str, typing.Any]:
        """Order and progress that the node shows."""
        return (self.driver_internal_info or {}).get(names.KEY) or {}

    @property
    def progress(self) -> progress.ProgressRecord | None:
        """The progress that the node shows."""
        return progress.ProgressRecord.from_dict(
            self.known.get(names.PROGRESS))


def periodic_task() -> Callable[..., None]:
    """The task, every [imagedeploy]progress_interval seconds."""
    spacing = CONF.imagedeploy.progress_interval

    @periodics.periodic(spacing=spacing, enabled=spacing > 0)
    def follow_writes(manager: base_manager.BaseConductorManager,
                      context: ironic_context.RequestContext) -> None:
        follow(manager, context)

    return follow_writes


@METRICS.timer('ImageDeploy.follow_writes')
def follow(manager: base_manager.BaseConductorManager,
           context: ironic_context.RequestContext) -> None:
    """Ask all agents that write once; keep and announce their progress."""
    writes = _writes(manager)
    latest = {write.uuid: write.progress for write in writes}
    for write, answer in rounds.ask(
            writes, functools.partial(_ask, context)):
        before = write.progress
        record = _record(before, answer)
        if record and _keep(write, record):
            notifications.progressed(context, write.uuid, before, record)
        latest[write.uuid] = record or before
    notifications.measure(list(latest.values()))


def _writes(manager: base_manager.BaseConductorManager) -> list[Write]:
    """The writes to nodes of this conductor."""
    writes = (Write(*row) for row in manager.iter_nodes(
        fields=Write._fields[3:],
        filters={'provision_state': states.DEPLOYWAIT}))
    ordered = [write for write in writes if write.is_ordered]
    chosen = _chosen_interfaces() if ordered else {}
    return [write for write in ordered if names.is_ours(
        write.deploy_interface, chosen.get(write.uuid))]


def _chosen_interfaces() -> dict[str, dict[str, typing.Any]]:
    """Values of instance_info, by node, that choose an interface.

    Of the others nothing is read: they may hold large config drives.
    """
    node = models.Node
    text = sqlalchemy.type_coerce(node.instance_info, sqlalchemy.Text)
    query = sqlalchemy.select(node.uuid, node.instance_info).where(
        node.provision_state == states.DEPLOYWAIT,
        text.contains('"deploy_interface"'))
    with enginefacade.reader.using(_SESSION) as session:
        return {uuid: info for uuid, info in session.execute(query)}


def _ask(context: ironic_context.RequestContext, write: Write
         ) -> dict[str, typing.Any] | None:
    """Status of the agent's last command, and its progress.

    Not all of its commands: they hold their orders and the steps of the
    ramdisk, which is much where hundreds have answered.
    """
    node = objects.Node(
        context, uuid=write.uuid, driver_info=write.driver_info or {},
        driver_internal_info=write.driver_internal_info)
    try:
        commands = client.Client().get_commands_status(
            node, retry_connection=False, expect_errors=True)
        last = commands[-1] if commands else {}
        return {'status': last.get('command_status'),
                **answers.result(last)}
    except client.TooLong:
        # It is alive: its heartbeat tells the progress.
        LOG.debug('The agent of node %(node)s answers with more than '
                  '%(most)d bytes', {'node': write.uuid,
                                     'most': client.MOST_BYTES})
        return {'status': None}
    except Exception as error:
        # Whatever one of them says, the others are asked too.
        LOG.debug('The agent of node %(node)s does not tell its progress: '
                  '%(error)s', {'node': write.uuid, 'error': error})
        return None


def _record(before: progress.ProgressRecord | None,
            answer: dict[str, typing.Any] | None
            ) -> progress.ProgressRecord | None:
    """The new record; None when there is nothing to keep."""
    patience = CONF.imagedeploy.stall_threshold
    if answer is None:
        return records.silent(before, patience)
    # What has ended is the affair of the heartbeat that tells so.
    if answer['status'] != 'RUNNING':
        return None
    return records.advanced(before, answer.get(names.PROGRESS), patience)


def _keep(write: Write, record: progress.ProgressRecord) -> bool:
    """Write the record, unless somebody else has written to the node.

    :returns: whether it was written.
    """
    node = models.Node
    change = sqlalchemy.update(node).where(
        node.uuid == write.uuid,
        node.reservation.is_(None),
        node.provision_state == states.DEPLOYWAIT,
        node.driver_internal_info == write.driver_internal_info,
    ).values(driver_internal_info={
        **(write.driver_internal_info or {}),
        names.KEY: {**write.known, names.PROGRESS: record.to_dict()},
    }).execution_options(synchronize_session=False)
    try:
        with enginefacade.writer.using(_SESSION) as session:
            return bool(session.execute(change).rowcount)
    except db_exception.DBError as error:
        LOG.warning('The progress of node %(node)s could not be kept: '
                    '%(error)s', {'node': write.uuid, 'error': error})
        return False
