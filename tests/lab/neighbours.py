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

"""Machines that are deployed at once, and give each other their image."""

import concurrent.futures
import json
import pathlib
from typing import Any

from tests.lab import cloud
from tests.lab import job
from tests.lab import network
from tests.support import commands
from tests.support import progress

#: Of the network from the conductor to all machines together, bits a second:
#: the machines boot at different speeds, and shall write at the same time.
_RATE = 6_000_000


class NeighboursJob(job.Job):
    """Some nodes with the same image, and a conductor that is slow."""

    neighbours = True

    def __init__(self, checkout: pathlib.Path, state: pathlib.Path,
                 count: int, force_raw_images: bool) -> None:
        """Prepare it.

        :param count: of the machines.
        """
        super().__init__(checkout, state, ['imagedeploy'], force_raw_images)
        for _ in range(count):
            self._new_machine(memory_mib=2048)

    @property
    def checks(self) -> list[job.Check]:
        """All of them, in order."""
        return [
            *super().checks,
            ('nodes enrolled and available', self.enrol),
            ('all nodes are active', self.deploy),
            ('each says who served it', self.report),
            ('the conductor served less than each its own', self.spared),
            ('no secret is left in the nodes', self.forgotten),
            ('all systems show their login prompts', self.boot)]

    def enrol(self) -> None:
        self._cloud = cloud.Cloud()
        self._image = self._cloud.upload('debian', self._image_path, 'qcow2')
        self._nodes = [self._cloud.enrol(each, 'imagedeploy')
                       for each in self.machines]

    def deploy(self) -> None:
        # From the bridge's own address, not from one machine to another.
        commands.run('tc', 'qdisc', 'add', 'dev', network.BRIDGE, 'root',
                     'tbf', 'rate', f'{_RATE}bit', 'burst', '64kb',
                     'latency', '400ms')
        with concurrent.futures.ThreadPoolExecutor(
                len(self._nodes)) as pool:
            self._nodes = list(pool.map(
                lambda node: self._cloud.deploy(
                    node, self._image, job.HOSTNAME, job.DEPLOY_TIMEOUT),
                self._nodes))
        failed = [f'{node.name}: {node.provision_state}: {node.last_error}'
                  for node in self._nodes if node.provision_state != 'active']
        if failed:
            raise AssertionError('; '.join(failed))

    def report(self) -> None:
        for node, report in self._reports():
            print(json.dumps(report, indent=4), flush=True)
            served = ', '.join(
                f'{each["bytes"] / 1e6:.1f} MB from {each["name"]}'
                for each in report['sources'])
            progress.say(f'    {node}: {served}; {report["seconds"]:.0f} s')
        wrong = [node for node, report in self._reports()
                 if report['verified_by'] != 'chunks' or any(
                     each['bad_chunks'] for each in report['sources'])]
        if wrong:
            raise AssertionError(f'not by good chunks alone: {wrong}')

    def spared(self) -> None:
        sent = sum(each['bytes'] for _, report in self._reports()
                   for each in report['sources']
                   if f'//{network.ADDRESS}:' in each['name'])
        needed = sum(each['bytes'] for _, report in self._reports()
                     for each in report['sources'])
        progress.say(f'    {sent / 1e6:.1f} MB of {needed / 1e6:.1f} MB came '
                     'from the conductor')
        if sent > 0.75 * needed:
            raise AssertionError('the neighbours were of little use')

    def forgotten(self) -> None:
        for node in self._nodes:
            left = json.dumps(node.driver_internal_info.get('imagedeploy'))
            found = [word for word in ('ticket', 'CERTIFICATE', 'member',
                                       '-manifest') if word in left]
            if found:
                raise AssertionError(f'{node.name} still has {found}')

    def boot(self) -> None:
        for each in self.machines:
            job.wait_for_login(each)

    def _reports(self) -> list[tuple[str, dict[str, Any]]]:
        """Names of the nodes, and what they reported."""
        return [(node.name, node.driver_internal_info['imagedeploy'][
            'report']) for node in self._nodes]
