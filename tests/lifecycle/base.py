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

"""One Ironic for all tests, and two nodes for each: direct and ours."""

import atexit
from collections.abc import Callable
import concurrent.futures
import contextlib
import dataclasses
import functools
import os
import pathlib
import tempfile
from typing import Any
import unittest

from tests.support import commands
from tests.support.simulation import agent
from tests.support.simulation import fleet
from tests.support.simulation import image
from tests.support.simulation import site

INTERFACES = ('direct', 'imagedeploy')
_MIB = 1 << 20
#: Nodes that are made until one is of a given conductor.
_ATTEMPTS = 64


class Cloud:
    """A site of two conductors, machines, and an image in Glance."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        state = pathlib.Path(
            os.environ.get('LIFECYCLE_STATE') or stack.enter_context(
                tempfile.TemporaryDirectory(prefix='imagedeploy.')))
        file = image.make(state / 'image.qcow2', 16 * _MIB, 4 * _MIB)
        self.site = stack.enter_context(site.running(
            site.Site(state, conductors=2,
                      log_levels=('ironic.conductor.manager=DEBUG',))))
        self.fleet = fleet.Fleet(self.site.address, self.site.url)
        stack.callback(self.fleet.stop)
        self.api = self.site.api
        self.image: str = self.api.upload('image', file, 'qcow2')['id']
        self.partition_image: str = self.api.upload(
            'partition-image', image.make_partition(state / 'root.qcow2'),
            'qcow2', img_type='partition')['id']


@functools.cache
def cloud() -> Cloud:
    """The one of this run."""
    stack = contextlib.ExitStack()
    atexit.register(stack.close)
    with contextlib.ExitStack() as unless_started:
        unless_started.callback(stack.close)
        started = Cloud(stack)
        unless_started.pop_all()
    return started


@dataclasses.dataclass(frozen=True)
class Pair:
    """What became of a node with direct, and of one with imagedeploy."""

    direct: 'Subject'
    ours: 'Subject'

    def each(self, action: Callable[['Subject'], Any]) -> None:
        """Do the same with both, at the same time."""
        with concurrent.futures.ThreadPoolExecutor() as pool:
            list(pool.map(action, (self.direct, self.ours)))


class Subject:
    """A node and its machine."""

    def __init__(self, interface: str, behaviour: agent.Behaviour,
                 identifier: str) -> None:
        self.interface = interface
        self.api = cloud().api
        self.uuid = identifier
        self.machine = cloud().fleet.add(self.uuid, behaviour)

    @classmethod
    def enrol(cls, interface: str, behaviour: agent.Behaviour,
              **fields: object) -> 'Subject':
        """A new one, available."""
        return cls(interface, behaviour, cloud().api.enrol(
            deploy_interface=interface, **fields))

    def node(self) -> dict[str, Any]:
        """As Ironic shows it."""
        return self.api.node(self.uuid)

    def order(self, target: str = 'active', /, **fields: object) -> None:
        """Ask for a deployment of the image."""
        self.api.set(self.uuid, instance_info={
            'image_source': cloud().image, **fields})
        self.api.provision(self.uuid, target)

    def wait(self, *states: str, timeout: float = 60) -> dict[str, Any]:
        """The node in one of these provision states."""
        return self.api.wait(self.uuid, states, timeout)

    def deploy(self, /, **fields: object) -> None:
        """Bring it to ``active``, its machine to the instance."""
        self.order(**fields)
        self.settle('active')

    def settle(self, state: str, timeout: float = 60) -> None:
        """Wait for the state, and a good one for the end of the ramdisk."""
        self.wait(state, *(() if state == 'deploy failed'
                           else ('deploy failed',)), timeout=timeout)
        found = self.node()
        if found['provision_state'] != state:
            raise AssertionError(f'{self.interface}: {found["last_error"]}')
        if state != 'deploy failed':
            self.wait_for_end()

    def wait_for_end(self) -> None:
        """Wait until the ramdisk is off, which follows what Ironic notes."""
        commands.wait_for('end of the ramdisk',
                          lambda: not self.machine.running, timeout=20,
                          interval=0.1)

    def write(self) -> None:
        """Deploy, until the machine writes; it does not end by itself."""
        self.machine.held = True
        self.order()
        self.wait_for_write()

    def wait_for_write(self) -> None:
        """Wait until the machine writes, and Ironic waits for that."""
        try:
            commands.wait_for(
                f'write by {self.interface}',
                lambda: self.machine.busy and bool(self.machine.writes),
                timeout=60, interval=0.1)
        except commands.TimedOut as error:
            node = self.node()
            raise AssertionError(
                f'{error}: {node["provision_state"]}, asked '
                f'{self.machine.asked}, {self.machine.errors}, '
                f'{node["last_error"]}') from None
        self.wait('wait call-back')

    def conductor(self) -> str:
        """Address of the conductor that looks after it."""
        value: str = self.node()['conductor']
        return value

    def trace(self) -> dict[str, Any]:
        """All that must be the same for both interfaces."""
        node = self.node()
        internal = set(node['driver_internal_info']) - {'imagedeploy'}
        return {
            **{name: node[name] for name in (
                'provision_state', 'target_provision_state', 'power_state',
                'maintenance', 'fault', 'deploy_step', 'clean_step',
                'reservation', 'instance_uuid', 'boot_mode')},
            'last_error': self._anonymous(node['last_error'] or ''),
            'instance_info': set(node['instance_info']),
            'driver_internal_info': internal,
            'asked': self.machine.asked, 'boots': self.machine.boots,
            'writes': len(self.machine.writes),
            'files': sorted({file.removesuffix('-manifest')
                             for file in self._files()})}

    def _files(self) -> list[str]:
        """What conductors that run keep for the node.

        One that ended with the deployment leaves its links: where that to
        the image is, that to our manifest may be.
        """
        site = cloud().site
        roots = [path for each in site.conductors if each.processes()
                 for path in (site.state / 'http' / each.name, each.home)]
        return [self._anonymous(str(path.relative_to(root)))
                for root in roots for path in root.rglob(f'*{self.uuid}*')]

    def _anonymous(self, text: str) -> str:
        return text.replace(self.uuid, 'NODE').replace(
            'conductor-1', 'conductor').replace('conductor-2', 'conductor')


class LifeCycleTestCase(unittest.TestCase):
    """Compares what becomes of two nodes that share a fate."""

    maxDiff = None

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cloud()

    def pair(self, behaviour: agent.Behaviour | None = None,
             **fields: object) -> Pair:
        """A new node for each of the interfaces."""
        with concurrent.futures.ThreadPoolExecutor() as pool:
            made = Pair(*pool.map(
                lambda interface: Subject.enrol(
                    interface, behaviour or agent.Behaviour(), **fields),
                INTERFACES))
        self.addCleanup(made.each, remove)
        return made

    def together(self, conductor: str,
                 behaviour: agent.Behaviour | None = None) -> Pair:
        """A pair that this conductor looks after."""
        return Pair(*(self._at(conductor, interface,
                               behaviour or agent.Behaviour())
                      for interface in INTERFACES))

    def _at(self, conductor: str, interface: str,
            behaviour: agent.Behaviour) -> Subject:
        """A node of that conductor, which is up to its UUID."""
        api = cloud().api
        for _ in range(_ATTEMPTS):
            identifier = api.create(deploy_interface=interface)
            if api.node(identifier)['conductor'] == conductor:
                api.make_available(identifier)
                subject = Subject(interface, behaviour, identifier)
                self.addCleanup(remove, subject)
                return subject
            api.ironic('DELETE', f'nodes/{identifier}')
        raise AssertionError(f'{conductor} gets no nodes')

    def assert_alike(self, pair: Pair) -> None:
        """Whether both nodes ended in the same way, and were asked the same.

        Beside what ``driver_internal_info['imagedeploy']`` has, nothing of
        ours stays behind.
        """
        ours = pair.ours.trace()
        self.assertEqual(pair.direct.trace(), ours)
        self.assertEqual([], pair.direct.machine.errors)
        self.assertEqual([], pair.ours.machine.errors)


def remove(subject: Subject) -> None:
    """Let no node of an ended test take the time of the next one."""
    subject.machine.power_off()
    api = subject.api
    with contextlib.suppress(Exception):
        api.ironic('PUT', f'nodes/{subject.uuid}/maintenance', {})
        api.ironic('DELETE', f'nodes/{subject.uuid}')
