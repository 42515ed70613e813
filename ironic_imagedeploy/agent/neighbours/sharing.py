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

"""Sharing of an image with neighbours while it is written.

All of it may fail without harm: then the image comes from its server alone,
and nobody gets it from here.
"""

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import ssl
import typing

from oslo_log import log

from ironic_python_agent import config  # noqa: F401 (before utils)
from ironic_python_agent.extensions import base
from ironic_python_agent import utils

from ironic_imagedeploy.agent.neighbours import gate
from ironic_imagedeploy.agent.neighbours import neighbourhood
from ironic_imagedeploy.agent.neighbours import server as servers
from ironic_imagedeploy.agent.neighbours import store as stores
from ironic_imagedeploy.contract import neighbours as contract
from ironic_imagedeploy import engine

LOG = log.getLogger(__name__)

MIB = 1 << 20
#: Of the free memory, one part of so many keeps chunks for neighbours.
_SHARE = 2
#: Bytes of it that are enough when the chunks are on the disk, too: those
#: who follow closely need not wait for the disk.
_WITH_DISK = 256 * MIB
#: Times that a peer may fetch the image: once, and again after a failure.
_TIMES = 3
#: Bytes at both ends of a disk that may be held until it is proven.
_HELD = MIB + 4096


class Sharing:
    """Sharing of an image with nobody; others share with somebody.

    :ivar written: called with the index of a chunk that is on the disk.
    """

    written: Callable[[int], None] | None = None

    def disk(self, inspection: engine.Inspection, target: engine.Target
             ) -> contextlib.AbstractContextManager[None]:
        """Give chunks of the disk, too, inside of the block.

        That needs an image whose file is the disk, byte by byte.
        """
        return contextlib.nullcontext()

    def report(self) -> dict[str, typing.Any]:
        """Keys of the report of a write."""
        return {}


class NeighbourSharing(Sharing):
    """Sharing of an image with neighbours, who give and get chunks.

    :param neighbours: as the order names them.
    :param source: the image, which asks neighbours first from now on.
    :param memory: bytes of chunks that are kept for neighbours.
    """

    def __init__(self, neighbours: contract.Neighbours,
                 source: engine.ChunkedSource, memory: int) -> None:
        self.store = stores.ChunkStore(source.manifest, memory=memory)
        self.written = self._on_disk
        self._manifest = source.manifest
        self._gate = gate.Gate(
            gate.Limits(), most=neighbours.max_served,
            most_of_one=_TIMES * source.size)
        self._neighbours = neighbours
        self._neighbourhood = neighbourhood.Neighbourhood(
            neighbours.peers, manifest=source.manifest)
        self._server: servers.ChunkServer | None = None
        source.ask_first(self._neighbourhood.suppliers, self._verified)

    def start(self, host: str, context: ssl.SSLContext) -> int:
        """Ask neighbours for chunks, and give them ours.

        :param host: address to listen on.
        :param context: with the certificate of this node.
        :returns: the port.
        :raises OSError: when the port cannot be had.
        """
        self._neighbourhood.start()
        server = servers.ChunkServer(
            self.store, context, ticket_key=self._neighbours.ticket_key,
            seconds=self._neighbours.seconds, gate=self._gate)
        port = server.start(host, self._neighbours.port)
        self._server = server
        return port

    def stop(self) -> None:
        """Leave the neighbours alone; all connections are closed then."""
        self._neighbourhood.close()
        if self._server is not None:
            self._server.stop()

    def disk(self, inspection: engine.Inspection, target: engine.Target
             ) -> contextlib.AbstractContextManager[None]:
        if (str(inspection.format), inspection.virtual_size) != (
                'raw', self._manifest.size):
            return contextlib.nullcontext()
        manifest = self._manifest
        ends = {0, 1, manifest.count - 2, manifest.count - 1}
        held = frozenset(
            index for index in ends & set(range(manifest.count))
            if manifest.bounds(index)[0] < _HELD
            or manifest.bounds(index)[1] > manifest.size - _HELD)
        return self.store.disk(target.read, memory=_WITH_DISK, held=held)

    def report(self) -> dict[str, typing.Any]:
        return {'served': self._gate.total}

    def _on_disk(self, index: int) -> None:
        """Learn of a chunk that is written, or was there before."""
        self._neighbourhood.written(index)
        self.store.written(index)

    def _verified(self, index: int, view: memoryview) -> None:
        """Learn of a chunk that is right, by the thread that got it."""
        self._neighbourhood.verified(index, view)
        self.store.verified(index, view)


@contextlib.contextmanager
def sharing(neighbours: contract.Neighbours | None, source: engine.Source
            ) -> Iterator[Sharing]:
    """Share an image until the end of the block, where that is ordered.

    :param source: the image; only one with a manifest is shared.
    """
    where = _own_address() if neighbours else None
    if (neighbours is None or where is None
            or not isinstance(source, engine.ChunkedSource)):
        yield Sharing()
        return
    shared = NeighbourSharing(neighbours, source, min(
        _free_memory() // _SHARE, source.size))
    try:
        port = shared.start(*where)
        LOG.info('Chunks of the image are given to neighbours on port %d',
                 port)
    except OSError as error:
        LOG.warning('No chunks are given to neighbours: %s', error.strerror)
    try:
        yield shared
    finally:
        shared.stop()
        LOG.info('Neighbours got %(served)d bytes of the image',
                 shared.report())


def _own_address() -> tuple[str, ssl.SSLContext] | None:
    """Address that the agent listens on, with its certificate.

    :returns: None when the agent has none, and its API is not secured.
    """
    agent = base.get_extension('standby').agent
    api = getattr(agent, 'api', None)
    certificate = getattr(api, 'tls_cert_file', None)
    key = getattr(api, 'tls_key_file', None)
    if not certificate or not key:
        return None
    context: ssl.SSLContext = utils.create_ssl_context('server')
    try:
        context.load_cert_chain(certfile=certificate, keyfile=key)
    except OSError as error:
        LOG.warning('No neighbours without the certificate of the agent: %s',
                    error.strerror)
        return None
    # Nobody comes back for another session, or begins one anew.
    context.num_tickets = 0
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_TICKET
    return agent.listen_address.hostname, context


def _free_memory() -> int:
    """Bytes that the kernel can give without hardship."""
    with open('/proc/meminfo', encoding='ascii') as lines:
        for line in lines:
            name, _, rest = line.partition(':')
            if name == 'MemAvailable':
                return int(rest.split()[0]) * 1024
    return 0
