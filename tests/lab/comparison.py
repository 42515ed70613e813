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

"""The same image onto the same machine, once with each deploy interface."""

from collections.abc import Sequence
import dataclasses
import functools
import os
import pathlib
import time

from openstack.baremetal.v1 import node as _node

from tests.lab import cloud
from tests.lab import figures
from tests.lab import job
from tests.support import commands
from tests.support import progress


class Comparison(job.Job):
    """Deployments that differ in the deploy interface only."""

    programs = (pathlib.Path(__file__).parent / 'files/sampler',)

    def __init__(self, checkout: pathlib.Path, state: pathlib.Path,
                 deploy_interfaces: Sequence[str],
                 force_raw_images: bool) -> None:
        super().__init__(checkout, state, deploy_interfaces,
                         force_raw_images)
        self._machine = self._new_machine(sampled=True)
        self.deployments: list[figures.Deployment] = []

    @property
    def checks(self) -> list[job.Check]:
        """All of them, in order."""
        return [
            *super().checks,
            ('node enrolled and available', self.enrol),
            *((f'deployed with {each}', functools.partial(self.deploy, each))
              for each in self._deploy_interfaces),
            ('all deployed systems booted', self.all_booted),
        ]

    def text(self) -> str:
        """The figures as a table, under a line of what they are about."""
        processor = 'KVM' if self._accelerated else 'emulated'
        return '\n'.join([
            f'qcow2 of {figures.mebibytes(self._image_size)} from Glance, '
            f'force_raw_images = {self._force_raw_images}, '
            f'processor: {processor}', '',
            figures.table(self.deployments)])

    def to_dict(self) -> dict[str, object]:
        """The figures as plain values: seconds and bytes."""
        return {
            'image_size': self._image_size,
            'force_raw_images': self._force_raw_images,
            'accelerated': self._accelerated,
            'deployments': [dataclasses.asdict(each)
                            for each in self.deployments]}

    def enrol(self) -> None:
        self._cloud = cloud.Cloud()
        self._node = self._cloud.enrol(self._machine,
                                       self._deploy_interfaces[0])

    def deploy(self, deploy_interface: str) -> None:
        self._machine.blank()
        self._cloud.use(self._node, deploy_interface)
        # An image of its own, or the conductor would have it in its cache
        # for the second one.
        image = self._cloud.upload(
            f'debian-{len(self.deployments) + 1}', self._image_path, 'qcow2')
        self._image_size = image.size
        logged = self.services.conductor_log.stat().st_size
        started = time.monotonic()
        node = self._cloud.deploy(self._node, image, job.HOSTNAME,
                                  job.DEPLOY_TIMEOUT)
        seconds = time.monotonic() - started
        load = os.getloadavg()[1]
        with self.services.conductor_log.open('rb') as log:
            log.seek(logged)
            conversion = figures.conversion(
                log.read().decode(errors='replace'))
        self.deployments.append(figures.Deployment(
            deploy_interface=deploy_interface,
            sent_as=node.instance_info.get('image_disk_format'),
            conversion=conversion, write_step=self._write_step(),
            seconds=round(seconds, 1), load=round(load, 1),
            result=self._result(node)))
        self._cloud.undeploy(self._node)

    def all_booted(self) -> None:
        results = {each.deploy_interface: each.result
                   for each in self.deployments}
        if set(results.values()) != {'booted'}:
            raise AssertionError(results)

    def _write_step(self) -> figures.WriteStep | None:
        try:
            return figures.write_step(
                self._machine.console.read_text(errors='replace'),
                self._machine.samples.read_text(errors='replace'))
        except figures.NotRecorded as exc:
            progress.say(f'    {exc}')
            return None

    def _result(self, node: _node.Node) -> str:
        if node.provision_state != 'active':
            progress.say(f'    {node.last_error}')
            return str(node.provision_state)
        try:
            job.wait_for_login(self._machine)
        except commands.TimedOut:
            return 'active, does not boot'
        return 'booted'
