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

"""Systems that are started from the ramdisk, by kexec.

A machine with UEFI gets an image of a whole disk, one with BIOS a partition
image. Later starts are the firmware's: each is switched off and on again.
"""

import datetime
import functools
import json
import pathlib
import re

from openstack.baremetal.v1 import node as _node

from tests.lab import cloud
from tests.lab import image
from tests.lab import job
from tests.lab import machine
from tests.support import progress

_RESET = re.compile(r'\[(\S+ \S+)\] "POST /redfish/v1/Systems/(\S+)/Actions/'
                    r'ComputerSystem\.Reset ')
_TIME = '%d/%b/%Y %H:%M:%S'
_FIRMWARE_STARTS = b'BdsDxe: starting'


class KexecJob(job.Job):
    """One machine of each firmware."""

    options = '[imagedeploy]\nkexec = True\n'

    def __init__(self, checkout: pathlib.Path, state: pathlib.Path,
                 force_raw_images: bool) -> None:
        super().__init__(checkout, state, ['imagedeploy'], force_raw_images)
        self._hardware = {mode: self._new_machine(boot_mode=mode)
                          for mode in ('uefi', 'bios')}
        self._nodes: dict[str, _node.Node] = {}

    @property
    def checks(self) -> list[job.Check]:
        """All of them, in order."""
        found: list[job.Check] = [
            *super().checks, ('images uploaded to Glance', self.upload)]
        for mode in self._hardware:
            found += [(name, functools.partial(step, mode))
                      for name, step in (
                (f'{mode} node is active, by kexec', self.deploy),
                (f'{mode} system shows its login prompt', self.boot),
                (f'{mode} machine was not switched', self.not_switched),
                (f'{mode} system starts from its firmware later',
                 self.boot_again))]
        return found

    def build_image(self) -> None:
        super().build_image()
        self._partition_path = image.partition()

    def upload(self) -> None:
        self._cloud = cloud.Cloud()
        self._images = {
            'uefi': self._cloud.upload('debian', self._image_path, 'qcow2'),
            'bios': self._cloud.upload('debian-root', self._partition_path,
                                       'qcow2', img_type='partition')}

    def deploy(self, mode: str) -> None:
        hardware = self._hardware[mode]
        node = self._cloud.enrol(hardware, 'imagedeploy',
                                 driver_info={'imagedeploy_kexec': True})
        layout = {'root_gb': 3} if mode == 'bios' else {}
        node = self._cloud.deploy(node, self._images[mode], job.HOSTNAME,
                                  job.DEPLOY_TIMEOUT, **layout)
        if node.provision_state != 'active':
            raise AssertionError(f'{node.provision_state}: {node.last_error}')
        self._nodes[mode] = node
        record = node.driver_internal_info['imagedeploy']['handover']
        print(json.dumps(record, indent=4), flush=True)
        if record['way'] != 'kexec':
            raise AssertionError(record['reason'])

    def boot(self, mode: str) -> None:
        job.wait_for_login(self._hardware[mode])

    def not_switched(self, mode: str) -> None:
        """Not after the image was written."""
        hardware = self._hardware[mode]
        times = self._nodes[mode].driver_internal_info['imagedeploy'][
            'timeline']
        written = datetime.datetime.fromisoformat(times['written'])
        resets = [when for when in self._resets(hardware)
                  if when > written.astimezone().replace(tzinfo=None)]
        starts = hardware.console.read_bytes().count(_FIRMWARE_STARTS)
        progress.say(f'    written {written}, later resets: {resets}; '
                     f'programs that UEFI started: {starts}')
        if resets or starts != (mode == 'uefi'):
            raise AssertionError('the firmware has started it')

    def boot_again(self, mode: str) -> None:
        hardware, node = self._hardware[mode], self._nodes[mode]
        self._cloud.switch_off(node)
        begin = hardware.console.stat().st_size
        self._cloud.switch_on(node)
        job.wait_for_login(hardware, begin)
        # Two emulated machines would share the processors.
        self._cloud.switch_off(node)

    def _resets(self, hardware: machine.Machine) -> list[datetime.datetime]:
        told = (self.services.logs / 'bmc.out').read_text(errors='replace')
        return [datetime.datetime.strptime(match[1], _TIME)
                for match in _RESET.finditer(told)
                if match[2] == hardware.uuid]
