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

"""Looks after the agents that write.

A periodic task of the conductor asks every agent that writes an image of one
of its nodes, and keeps the answers. It holds no node: the record is written
by one statement of SQL that changes nothing when the node is reserved or was
changed meanwhile. A heartbeat, which gives up where a node is reserved, is
never in its way.
"""

from collections.abc import Callable
from collections.abc import Iterator
import concurrent.futures
import threading
import typing

from oslo_db import exception as db_exception
from oslo_db.sqlalchemy import enginefacade
from oslo_log import log
import requests
import sqlalchemy

from ironic.common import context as ironic_context
from ironic.common import metrics_utils
from ironic.common import states
from ironic.conductor import base_manager
from ironic.conductor import periodics
from ironic.conf import CONF
from ironic.db.sqlalchemy import models
from ironic.drivers.modules import agent_client
from ironic import objects

from ironic_imagedeploy.conductor.progress import answers
from ironic_imagedeploy.conductor.progress import notifications
from ironic_imagedeploy.conductor.progress import records
from ironic_imagedeploy.contract import names
from ironic_imagedeploy.contract import progress

LOG = log.getLogger(__name__)
METRICS = metrics_utils.get_metrics_logger(__name__)

#: Agents that are asked at the same time. They live only as long as a round.
_THREADS = 64
#: Seconds that an agent may take to accept a connection, and to answer.
_TIMEOUT = 4.0
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
    def is_ours(self) -> bool:
        """Whether imagedeploy is writing."""
        return (self.deploy_interface == names.DEPLOY_INTERFACE
                and (self.deploy_step or {}).get('step') == names.STEP
                and names.KEY in (self.driver_internal_info or {}))

    @property
    def known(self) -> dict[str, typing.Any]:
        """What the node shows of imagedeploy."""
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
    """One round: ask the agents, keep and announce what they tell."""
    latest = []
    for write, answer in _answers(context, _writes(manager)):
        before = write.progress
        record = _record(before, answer)
        if record and _keep(write, record):
            notifications.progressed(context, write.uuid, before, record)
        latest.append(record or before)
    notifications.measure(latest)


def _writes(manager: base_manager.BaseConductorManager) -> list[Write]:
    """The writes to nodes of this conductor."""
    writes = (Write(*row) for row in manager.iter_nodes(
        fields=Write._fields[3:],
        filters={'provision_state': states.DEPLOYWAIT}))
    return [write for write in writes if write.is_ours]


def _answers(context: ironic_context.RequestContext, writes: list[Write]
             ) -> Iterator[tuple[Write, dict[str, typing.Any] | None]]:
    """What each agent tells, as it comes; None for no answer."""
    if not writes:
        return
    with concurrent.futures.ThreadPoolExecutor(
            min(len(writes), _THREADS)) as pool:
        asked = {pool.submit(_ask, context, write): write
                 for write in writes}
        for future in concurrent.futures.as_completed(asked):
            yield asked.pop(future), future.result()


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
        commands = _Client().get_commands_status(
            node, retry_connection=False, expect_errors=True)
        last = commands[-1] if commands else {}
        return {'status': last.get('command_status'),
                **answers.result(last)}
    except Exception as error:
        # Whatever one of them says, the others are asked too.
        LOG.debug('The agent of node %(node)s does not tell its progress: '
                  '%(error)s', {'node': write.uuid, 'error': error})
        return None


class _Client(agent_client.AgentClient):
    """Waits for seconds where its base waits for a minute."""

    def __init__(self) -> None:
        super().__init__()
        session = _Session()
        session.headers.update(self.session.headers)
        session.adapters.update(self.session.adapters)
        self.session: requests.Session = session


class _Session(requests.Session):
    # No function put in the place of another: such a cycle keeps the memory
    # of TLS until Python's collector comes by, after hundreds of agents.

    def request(self, *args: typing.Any, **options: typing.Any
                ) -> requests.Response:
        return super().request(*args, **{**options, 'timeout': _TIMEOUT})


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
