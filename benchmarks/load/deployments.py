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

"""Many nodes that are deployed at once, with one deploy interface."""

from collections.abc import Callable
from collections.abc import Iterable
import concurrent.futures
import dataclasses
import functools
import os
import pathlib
import random
import re
import sys
import threading
import time
from typing import Any

from benchmarks.load import conductor
from benchmarks.load import metrics
from tests.support import commands
from tests.support.simulation import agent
from tests.support.simulation import api
from tests.support.simulation import fleet
from tests.support.simulation import site

_CLIENTS = 8
_GLANCE_FILE = re.compile(
    r'"GET /v2/images/([0-9a-f-]+)/file HTTP/[0-9.]+" 20[06] (\d+)')
_CONVERSION = re.compile(r'Running cmd .*qemu-img convert')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """What is done.

    :ivar nodes: their number.
    :ivar image: file of the image, qcow2.
    :ivar boot_seconds: that a node takes about to boot the ramdisk.
    :ivar write_seconds: that a node takes about to write the image.
    :ivar timeout: seconds after which a node is lost.
    :ivar neighbours: nodes are told of each other.
    """

    nodes: int
    image: pathlib.Path
    boot_seconds: float
    write_seconds: float
    timeout: float
    neighbours: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Result:
    """What one run took. Memory in bytes.

    :ivar downloads: bytes that Glance sent, in sizes of the image.
    :ivar requests: to Glance for the file of the image.
    :ivar inspections: looks of the conductor into the image.
    :ivar conversions: by qemu-img.
    :ivar cpu_per_node: seconds of a processor.
    :ivar memory_before: of the conductor, when no node was deployed.
    :ivar memory_half: when half of the nodes were active.
    :ivar memory_peak: the most.
    :ivar memory_after: when all nodes were deployed.
    :ivar seconds: from the first request to the last ``active``.
    :ivar active: nodes that got there.
    :ivar lost: nodes that did not.
    :ivar errors: the reasons, and what simulated agents met.
    """

    interface: str
    nodes: int
    downloads: float
    requests: int
    inspections: int
    conversions: int
    cpu_per_node: float
    memory_before: int
    memory_half: int
    memory_peak: int
    memory_after: int
    seconds: float
    active: int
    lost: int
    errors: list[str]


class Run:
    """One site, and nodes with one deploy interface."""

    def __init__(self, plan: Plan, interface: str, state: pathlib.Path,
                 say: Callable[[str], None]) -> None:
        self.plan = plan
        self.interface = interface
        self._say = say
        self._metrics = metrics.Metrics()
        self._site = site.Site(
            state, statsd_port=self._metrics.port, options={
                **site.STOCK, 'neighbours': str(plan.neighbours).lower()},
            launcher=[sys.executable, '-m', conductor.__name__])
        os.environ[conductor.PORT] = (
            f'{self._site.address}:{self._metrics.port}')

    def measure(self) -> Result:
        """Start all, deploy all nodes, stop all."""
        with site.running(self._site):
            machines = fleet.Fleet(self._site.address, self._site.url,
                                   interval=2, threads=32)
            try:
                return self._measure(machines)
            finally:
                machines.stop()
                self._metrics.stop()

    def _measure(self, machines: fleet.Fleet) -> Result:
        public = self._site.api
        image = public.upload('image', self.plan.image, 'qcow2')['id']
        self._say(f'{self.interface}: enrolling {self.plan.nodes} nodes')
        nodes = self._enrol()
        for node in nodes:
            machines.add(node, self._behaviour())
        self._warm_up(machines)
        inspections, conversions = self._inspections(), self._conversions()
        watch = _Watch(self._site.conductors[0])
        start = time.monotonic()
        self._say(f'{self.interface}: deploying')

        def deploy(node: str) -> None:
            public.set(node, instance_info={'image_source': image})
            public.provision(node, 'active')
        with watch:
            ordered = threading.Thread(target=_each, args=(deploy, nodes))
            ordered.start()
            found, last = self._wait(set(nodes), watch, start)
            ordered.join()
        active = sum(node['provision_state'] == 'active' for node in found)
        return Result(
            interface=self.interface, nodes=len(nodes),
            downloads=round(sum(sizes := self._sent(image))
                            / self.plan.image.stat().st_size, 2),
            requests=len(sizes),
            inspections=self._inspections() - inspections,
            conversions=self._conversions() - conversions,
            cpu_per_node=round(watch.cpu / len(nodes), 3),
            memory_before=watch.before, memory_half=watch.half,
            memory_peak=watch.peak, memory_after=watch.after,
            seconds=round(last, 1), active=active, lost=len(nodes) - active,
            errors=sorted({node['last_error'] or node['provision_state']
                           for node in found
                           if node['provision_state'] != 'active'}
                          | {error for each in machines.agents.values()
                             for error in each.errors}))

    def _behaviour(self) -> agent.Behaviour:
        return agent.Behaviour(
            boot_seconds=self.plan.boot_seconds * random.uniform(0.8, 1.2),
            write_seconds=self.plan.write_seconds * random.uniform(0.8, 1.2),
            # As ironic-python-agent.
            least_interval=5, whole=False)

    def _enrol(self) -> list[str]:
        """Nodes that are available, whose number Ironic is slow to reach."""
        public = self._site.api
        with concurrent.futures.ThreadPoolExecutor(_CLIENTS) as pool:
            nodes = list(pool.map(
                lambda _: public.create(deploy_interface=self.interface),
                range(self.plan.nodes)))
        for target, reached in (('manage', 'manageable'),
                                ('provide', 'available')):
            _each(functools.partial(_provision, public, target), nodes)
            commands.wait_for(
                f'{reached} nodes', functools.partial(_all_are, public,
                                                     reached),
                timeout=self.plan.timeout)
        return nodes

    def _warm_up(self, machines: fleet.Fleet) -> None:
        """Deploy another image to another node, as a cloud did before.

        While Ironic puts the deploy kernel and ramdisk into its cache, many
        nodes at once get into each other's way, with any deploy interface.
        """
        public = self._site.api
        image = public.upload('other', self.plan.image, 'qcow2')['id']
        node = public.enrol(deploy_interface=self.interface)
        machines.add(node, agent.Behaviour(whole=False))
        public.set(node, instance_info={'image_source': image})
        public.provision(node, 'active')
        public.wait(node, ('active',), timeout=self.plan.timeout)

    def _wait(self, nodes: set[str], watch: '_Watch', start: float
              ) -> tuple[list[dict[str, Any]], float]:
        """The nodes at the end, and when the last one became active."""
        active, last = 0, 0.0
        while True:
            found = [node for node in self._site.api.nodes(
                'uuid,provision_state,last_error') if node['uuid'] in nodes]
            seconds = time.monotonic() - start
            states = [node['provision_state'] for node in found]
            if states.count('active') > active:
                active, last = states.count('active'), seconds
                self._say(f'{self.interface}: {active} active after '
                          f'{seconds:.0f} s')
                watch.see(active * 2 >= len(found))
            if (active + states.count('deploy failed') == len(found)
                    or seconds > self.plan.timeout):
                return found, last
            time.sleep(2)

    def _sent(self, image: str) -> list[int]:
        """Bytes that Glance sent of the image, by request."""
        return [int(size) for found, size in _GLANCE_FILE.findall(
            self._site.glance_log.read_text()) if found == image]

    def _inspections(self) -> int:
        return self._metrics.count(
            'ImageDeploy.inspect', 'images.detect_file_format',
            'images.safety_check_image')

    def _conversions(self) -> int:
        return len(_CONVERSION.findall(
            self._site.conductors[0].log.read_text()))


def _provision(public: api.Api, target: str, node: str) -> None:
    public.provision(node, target)


def _all_are(public: api.Api, state: str) -> bool:
    return all(node['provision_state'] == state
               for node in public.nodes('provision_state'))


def _each(action: Callable[[str], None], nodes: Iterable[str]) -> None:
    with concurrent.futures.ThreadPoolExecutor(_CLIENTS) as pool:
        list(pool.map(action, nodes))


class _Watch:
    """Looks at the conductor once a second."""

    def __init__(self, watched: site.Conductor) -> None:
        self._watched = watched
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)
        first = watched.usage()
        self._cpu = first.cpu
        self.before = self.peak = self.half = self.after = first.memory
        self.cpu = 0.0
        self._half_seen = False

    def see(self, half: bool) -> None:
        """Told how far the nodes are."""
        if half and not self._half_seen:
            self._half_seen, self.half = True, self.after

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *error: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(1):
            usage = self._watched.usage()
            self.cpu = usage.cpu - self._cpu
            self.after = usage.memory
            self.peak = max(self.peak, usage.memory)
