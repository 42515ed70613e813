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

"""Nodes that write one image at once, and what became of them."""

from collections.abc import Callable
import dataclasses
import hashlib
import json
import pathlib
import secrets
import subprocess
import sys
import threading
import typing

from benchmarks.fanout import network
from ironic_imagedeploy.contract import neighbours
from tests.support.simulation import certificate

PORT = 9998
_MIB = 1 << 20
#: Seconds between the end of the transfer and that of the step on a node.
_REST = 2.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Image:
    """The image, and where it is.

    :ivar info: as Ironic describes it to its agent.
    :ivar sha256: of its bytes.
    """

    url: str
    size: int
    manifest: pathlib.Path
    info: dict[str, typing.Any]
    sha256: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """Nodes, and how they are treated.

    :ivar way: ``neighbours``, ``alone`` or ``direct``.
    :ivar rate: bits per second of the link of a node.
    :ivar server_rate: and of that of the server.
    :ivar killed: numbers of nodes that are killed midway.
    :ivar slow: number of a node with a tenth of the speed.
    :ivar liar: number of a node that gives wrong bytes.
    :ivar seeds: nodes that have no neighbours.
    """

    name: str
    way: str
    nodes: int
    rate: float
    server_rate: float
    killed: tuple[int, ...] = ()
    slow: int | None = None
    liar: int | None = None
    seeds: int = 1

    @property
    def sound(self) -> set[int]:
        """Numbers of the nodes that shall be done in time."""
        return set(range(self.nodes)) - {self.slow, *self.killed}


@dataclasses.dataclass(kw_only=True)
class Result:
    """Figures of a case.

    :ivar sent: bytes that the server sent, headers included.
    :ivar nodes: answers of the sound ones by number.
    """

    case: Case
    sent: int
    nodes: dict[int, dict[str, typing.Any]]

    def seconds(self) -> list[float]:
        """Times of the sound nodes, the shortest first."""
        return sorted(self.nodes[each]['seconds']
                      for each in self.case.sound)


def run(case: Case, image: Image, state: pathlib.Path,
        say: Callable[[str], None]) -> Result:
    """Let all nodes of a case write the image."""
    network.set_rate(case.server_rate)
    nodes = [_Node(case, number, image, state) for number
             in range(case.nodes)]
    try:
        named: list[_Node] = []
        for node in nodes:
            node.prepare([each.peer() for each in named[-1:-4:-1]]
                         if len(named) >= case.seeds else [])
            named.append(node)
        for node in nodes:
            node.wait_until_ready()
        say(f'{case.name}: {case.nodes} nodes begin')
        before = network.sent()
        for node in nodes:
            node.go()
        victims = [nodes[each] for each in case.killed]
        midway = threading.Timer(image.size * 8 / case.rate / 2,
                                 _kill, (victims,))
        midway.start()
        # The slow one is not waited for: it takes ten times as long.
        found = {each: nodes[each].result() for each in sorted(case.sound)}
        sent = network.sent() - before
        midway.cancel()
        for each in found:
            nodes[each].check(image.sha256)
        return Result(case=case, sent=sent, nodes=found)
    finally:
        for node in nodes:
            node.end()


def _kill(nodes: list['_Node']) -> None:
    for node in nodes:
        node.kill()


class _Node:
    """A process in a network namespace."""

    def __init__(self, case: Case, number: int, image: Image,
                 state: pathlib.Path) -> None:
        self.number = number
        self._case = case
        self._image = image
        self._address = network.address(number)
        self._target = state / f'target{number}'
        self._target.unlink(missing_ok=True)
        self._key = state / f'node{number}.pem'
        self._pem = certificate.make(self._address, keep=self._key).pem
        self._ticket_key = secrets.token_urlsafe(32)
        self._log = (state / f'node{number}.log').open('w+')
        self._process = subprocess.Popen(
            ['setpriv', '--pdeathsig', 'KILL', 'unshare', '--net',
             sys.executable, '-m', 'benchmarks.fanout.node'], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log)

    def peer(self) -> dict[str, str]:
        """The node as one more node is told of it."""
        return neighbours.Peer(
            url=f'https://{self._address}:{PORT}', certificate=self._pem,
            ticket=neighbours.ticket(self._ticket_key)).to_dict()

    def prepare(self, peers: list[dict[str, str]]) -> None:
        """Tell the node what to do.

        :param peers: those that it may ask for chunks.
        """
        case = self._case
        with self._target.open('wb') as target:
            target.truncate(self._image.size)
        self._tell(json.dumps({
            'way': case.way, 'url': self._image.url,
            'manifest': str(self._image.manifest),
            'image_info': self._image.info, 'target': str(self._target),
            'address': self._address, 'certificate': str(self._key),
            'memory': 64 * _MIB, 'lies': self.number == case.liar,
            'rest': _REST, 'neighbours': {
                'ticket_key': self._ticket_key, 'seconds': 3600,
                'port': PORT, 'peers': peers}}))

    def wait_until_ready(self) -> None:
        """Wait for the node, and plug it into the switch."""
        assert self._process.stdout is not None
        if self._process.stdout.readline() != 'ready\n':
            raise RuntimeError(f'node {self.number}: {self._said()}')
        slow = self.number == self._case.slow
        network.connect(self.number, self._process.pid,
                        self._case.rate / (10 if slow else 1))

    def go(self) -> None:
        """Let it begin."""
        self._tell('go')

    def kill(self) -> None:
        """End it in the middle of its work."""
        self._process.kill()

    def result(self) -> dict[str, typing.Any]:
        """Answer at its end."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f'node {self.number}: {self._said()}')
        said: dict[str, typing.Any] = json.loads(line)
        return said

    def check(self, sha256: str) -> None:
        """Compare the disk with the image."""
        with self._target.open('rb') as target:
            found = hashlib.file_digest(target, 'sha256').hexdigest()
        if found != sha256:
            raise RuntimeError(f'node {self.number} has another image')

    def end(self) -> None:
        """Remove all of it."""
        self._process.kill()
        self._process.wait()
        self._log.close()
        self._target.unlink(missing_ok=True)

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + '\n')
        self._process.stdin.flush()

    def _said(self) -> str:
        self._log.seek(0)
        return self._log.read()[-2000:]
