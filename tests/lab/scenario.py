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

"""The main job: an image from Glance onto the disk of a node that boots it.

Then the same image under a wrong format: refused, and the disk untouched.
"""

from collections.abc import Callable
import hashlib
import json
import pathlib
import sys
import time

from tests.lab import checks
from tests.lab import cloud
from tests.lab import commands
from tests.lab import image
from tests.lab import machine
from tests.lab import network
from tests.lab import progress
from tests.lab import ramdisk
from tests.lab import services

_MIB = 1 << 20

_HOSTNAME = 'named-by-config-drive'

#: Seconds
_DEPLOY_TIMEOUT = 900
_REFUSE_TIMEOUT = 600
_BOOT_TIMEOUT = 300


class MainJob:
    """The checks of the main job, and what they hand to each other."""

    def __init__(self, checkout: pathlib.Path, state: pathlib.Path,
                 deploy_interface: str) -> None:
        self._checkout = checkout
        self._state = state
        self._deploy_interface = deploy_interface
        self.services = services.Services(state)
        self.deployed = machine.Machine(
            name='node-1', number=1, directory=state / 'node-1')
        self.refusing = machine.Machine(
            name='node-2', number=2, directory=state / 'node-2')


    @property
    def checks(self) -> list[tuple[str, Callable[[], None]]]:
        """Name and function of each check, in order."""
        return [
            ('deploy ramdisk with the checkout in it', self.build_ramdisk),
            ('bootable whole-disk qcow2', self.build_image),
            ('Glance, Ironic, BMC and network are up', self.start),
            ('image uploaded to Glance', self.upload),
            ('nodes enrolled and available', self.enrol),
            ('node is active', self.deploy),
            ('deployed system shows its login prompt', self.boot),
            ('report of the deployment', self.report),
            ('image of a wrong disk_format is refused', self.refuse),
            ('disk of the refusing node is untouched', self.untouched),
        ]

    def build_ramdisk(self) -> None:
        self._ramdisk = ramdisk.build(self._checkout, self._state)

    def build_image(self) -> None:
        self._image_path = image.whole_disk()
        bootloader = self._state / 'grub.efi'
        # The file is on every ISO that the conductor makes, and never on a
        # disk: a search for a kernel would find an earlier deployment.
        image.grub(bootloader,
                   'search --no-floppy --file /boot/grub/efiboot.img '
                   '--set=root\nconfigfile ($root)/boot/grub/grub.cfg\n')
        self._esp = self._state / 'esp.img'
        image.esp(self._esp, bootloader)

    def start(self) -> None:
        network.enter()
        machines = (self.deployed, self.refusing)
        accelerated = machine.virtualization_works(
            self._ramdisk.kernel, self._state / 'kvm-probe.log')
        progress.say('    processor: ' + ('KVM' if accelerated
                                          else 'emulated, KVM boots nothing'))
        network.create(each.tap for each in machines)
        for each in machines:
            each.create()
        self._marker = hashlib.shake_256(b'untouched').digest(_MIB)
        with self.refusing.disk.open('r+b') as disk:
            disk.write(self._marker)
        self.services.start_dhcp()
        self.services.start_web()
        self.services.start_glance()
        self.services.start_bmc(machines, accelerated)
        self.services.start_ironic(self._deploy_interface, self._ramdisk,
                                   self._esp)

    def upload(self) -> None:
        self._cloud = cloud.Cloud()
        self._image = self._cloud.upload('debian', self._image_path, 'qcow2')
        progress.say(f'    {self._image.size} bytes, '
                     f'{self._image.hash_algo} {self._image.hash_value}')

    def enrol(self) -> None:
        self._node = self._cloud.enrol(self.deployed, self._deploy_interface)
        self._refusing_node = self._cloud.enrol(self.refusing,
                                                self._deploy_interface)

    def deploy(self) -> None:
        started = time.monotonic()
        self._node = self._cloud.deploy(self._node, self._image, _HOSTNAME,
                                        _DEPLOY_TIMEOUT)
        self._seconds = time.monotonic() - started
        if self._node.provision_state != 'active':
            raise AssertionError(f'{self._node.provision_state}: '
                                 f'{self._node.last_error}')

    def boot(self) -> None:
        prompt = f'{_HOSTNAME} login:'.encode()
        commands.wait_for(
            'login prompt on the serial port',
            lambda: prompt in self.deployed.console.read_bytes(),
            timeout=_BOOT_TIMEOUT)
        progress.say(f'    {prompt.decode()}')

    def report(self) -> None:
        if self._deploy_interface != 'imagedeploy':
            raise checks.Skip(f'{self._deploy_interface} makes none')
        ours = self._node.driver_internal_info['imagedeploy']
        report = ours['report']
        print(json.dumps(report, indent=4), flush=True)
        checksum = report['checksum']
        progress.say(
            f'    {_mb(report["bytes_read"])} read, '
            f'{_mb(report["bytes_written"])} written and '
            f'{_mb(report["bytes_zeroed"])} zeroed in '
            f'{report["seconds"]:.1f} s of {self._seconds:.0f} s; '
            f'{checksum["algorithm"]} verified; '
            f'bottleneck: {report["bottleneck"]}')
        expected = {
            'bytes_read': (report['bytes_read'], self._image.size),
            'algorithm': (checksum['algorithm'], self._image.hash_algo),
            'value': (checksum['value'], self._image.hash_value),
            'verified': (checksum['verified'], True),
            'format': (report['format'], 'qcow2')}
        wrong = {name: pair for name, pair in expected.items()
                 if pair[0] != pair[1]}
        if wrong:
            raise AssertionError(f'report (found, expected): {wrong}')

    def refuse(self) -> None:
        wrong = self._cloud.upload('debian-declared-raw', self._image_path,
                                   'raw')
        node = self._cloud.deploy(self._refusing_node, wrong, _HOSTNAME,
                                  _REFUSE_TIMEOUT)
        if node.provision_state != 'deploy failed':
            raise AssertionError(f'the node is {node.provision_state}')
        progress.say(f'    last_error: {node.last_error}')
        reason = ['not valid']
        if self._deploy_interface == 'imagedeploy':
            reason = ['format-mismatch', 'raw', 'qcow2']
        missing = [word for word in reason if word not in node.last_error]
        if missing:
            raise AssertionError(f'last_error does not say {missing}')

    def untouched(self) -> None:
        with self.refusing.disk.open('rb') as disk:
            if disk.read(_MIB) != self._marker:
                raise AssertionError('the first MiB was overwritten')


def _mb(count: int) -> str:
    return f'{count / 1e6:.1f} MB'


def show_logs(job: MainJob, lines: int = 80) -> None:
    """Print the ends of the logs that tell why something failed."""
    for path in (job.services.logs / 'glance.out',
                 job.services.logs / 'glance-api.log',
                 job.services.logs / 'web.out',
                 job.services.logs / 'bmc.out',
                 job.services.logs / 'ironic.out',
                 job.services.logs / 'ironic.log',
                 job.refusing.directory / 'qemu.log',
                 job.deployed.directory / 'qemu.log',
                 job.refusing.console, job.deployed.console):
        if not path.exists() or not path.stat().st_size:
            continue
        print(f'----- end of {path.name} of {path.parent.name}')
        text = [line for line in path.read_text(
            errors='replace').splitlines() if ' DEBUG ' not in line]
        print('\n'.join(text[-lines:]))
    sys.stdout.flush()
