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
"""Tracker of the nodes that write: who is told about whom.

The database is all that it knows: the orders of the nodes that write. So
conductors need not agree, and one that starts again has forgotten nothing.
"""

import json
import secrets
import threading
import time
import typing
import urllib.parse

from oslo_db.sqlalchemy import enginefacade
from oslo_log import log
import sqlalchemy

from ironic.common import states
from ironic.conductor import task_manager
from ironic.conf import CONF
from ironic.db.sqlalchemy import models
from ironic import objects

from ironic_imagedeploy.conductor.neighbours import members
from ironic_imagedeploy.contract import names
from ironic_imagedeploy.contract import neighbours
from ironic_imagedeploy.contract import order
from ironic_imagedeploy.contract import progress

LOG = log.getLogger(__name__)

#: Seconds that tickets to a node are good for, and that they must still be
#: good for where one more node gets one: most writes take minutes.
LIFETIME = 2 * 3600
LEAST_LEFT = 3600
#: Nodes that are looked at, the latest first: whoever has one of these as a
#: peer began after it, and is among them.
MOST_MEMBERS = 64
_KEY_BYTES = 32
_EVERYBODY = '*'
_WRITING = (states.DEPLOYING, states.DEPLOYWAIT)
_SESSION = threading.local()
#: Whoever begins is in the database before the next one looks there.
_LOCK = threading.Lock()


def introduce(task: task_manager.TaskManager) -> None:
    """Name neighbours to a node that will write, which becomes one itself.

    No deployment fails here: there is always the conductor.
    """
    node = task.node
    sent = node.driver_internal_info.get(names.KEY) or {}
    try:
        with _LOCK:
            member = _member(task, sent)
            told = (order.beside(sent, member.order, member.to_dict())
                    if member else order.alone(sent))
            if told != sent:
                node.set_driver_internal_info(names.KEY, told)
                node.save()
    except Exception:
        LOG.exception('Node %s gets no neighbours', node.uuid)


def _member(task: task_manager.TaskManager, sent: dict[str, typing.Any]
            ) -> members.Member | None:
    """The node as a neighbour; None when it cannot be one."""
    node, root = task.node, order.root(sent)
    peer = _peer(node) if CONF.imagedeploy.neighbours and root else None
    if root is None or peer is None:
        return None
    scope, now = _scope(node, sent), time.time()
    switches = _switches(task)
    peers = members.chosen(
        [each for each in _running(root, node.uuid) if each.scope == scope
         and LEAST_LEFT <= each.until - now <= LIFETIME], switches,
        CONF.imagedeploy.neighbour_seeds)
    LOG.info('Neighbours of node %(node)s for its image: %(peers)s',
             {'node': node.uuid,
              'peers': ', '.join(each.url for each in peers) or 'none'})
    return members.Member(
        root=root, scope=scope, peer=peer, switches=switches, since=now,
        until=now + LIFETIME, order=neighbours.Neighbours(
            ticket_key=secrets.token_urlsafe(_KEY_BYTES), seconds=LIFETIME,
            peers=peers, port=CONF.imagedeploy.neighbour_port))


def _peer(node: objects.Node) -> neighbours.Peer | None:
    """Address and certificate of the chunks of a node; None without TLS."""
    info = node.driver_internal_info
    version = (info.get(names.VERSIONS) or {}).get(names.HARDWARE_MANAGER)
    parts = urllib.parse.urlsplit(info.get('agent_url') or '')
    if (not version or int(version) < names.NEIGHBOURS_SINCE
            or parts.scheme != 'https' or not parts.hostname):
        return None
    host = f'[{parts.hostname}]' if ':' in parts.hostname else parts.hostname
    try:
        # The agent made it, and gave it with its heartbeat.
        with open(info.get('agent_verify_ca') or '',
                  encoding='ascii') as file:
            certificate = file.read(neighbours.MOST_CERTIFICATE + 1)
    except (OSError, TypeError, ValueError):
        return None
    return neighbours.Peer.from_dict({
        'url': f'https://{host}:{CONF.imagedeploy.neighbour_port}',
        'certificate': certificate})


def _scope(node: objects.Node, sent: dict[str, typing.Any]) -> str:
    """Scope of an image: everybody, or the project that has the node."""
    if order.is_public(sent):
        return _EVERYBODY
    return json.dumps([node.owner, node.lessee])


def _switches(task: task_manager.TaskManager) -> frozenset[str]:
    connections = [port.local_link_connection or {} for port in task.ports]
    return frozenset(str(each['switch_id']).lower() for each in connections
                     if each.get('switch_id'))


def _running(root: str, besides: str) -> list[members.Member]:
    """Nodes of all conductors that write an image now.

    :param root: of the manifest of the image.
    :param besides: UUID of a node that does not count.
    """
    node = models.Node
    info = sqlalchemy.type_coerce(node.driver_internal_info, sqlalchemy.Text)
    query = sqlalchemy.select(node.driver_internal_info).where(
        node.provision_state.in_(_WRITING), node.uuid != besides,
        node.maintenance.is_(False), info.contains(root),
    ).order_by(node.provision_updated_at.desc()).limit(MOST_MEMBERS)
    with enginefacade.reader.using(_SESSION) as session:
        sent = [(told or {}).get(names.KEY) or {}
                for told in session.execute(query).scalars()]
    found = [members.Member.from_dict(*order.membership(each))
             for each in sent if _answers(each)]
    return [each for each in found if each and each.root == root]


def _answers(sent: dict[str, typing.Any]) -> bool:
    """Whether an agent writes, and is not lost."""
    record = progress.ProgressRecord.from_dict(sent.get(names.PROGRESS))
    return record is None or not (
        record.phase == 'boot' or (
            record.stalled and record.stalled.waiting_for == 'agent'))
