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

"""What all jobs of the lab begin with: an image, a ramdisk, a cloud."""

from collections.abc import Callable
from collections.abc import Sequence
import pathlib
import sys
from typing import Any

from tests.lab import image
from tests.lab import machine
from tests.lab import network
from tests.lab import ramdisk
from tests.lab import services
from tests.support import commands
from tests.support import progress

#: Name and function of a check
Check = tuple[str, Callable[[], None]]

#: What the config drive calls every deployed system
HOSTNAME = 'named-by-config-drive'

#: Seconds
DEPLOY_TIMEOUT = 1800
_BOOT_TIMEOUT = 600


class Job:
    """The checks of a job, and what they hand to each other."""

    #: Run in the ramdisk beside the agent.
    programs: Sequence[pathlib.Path] = ()
    #: The nodes give each other chunks of their image.
    neighbours = False
    #: More of ironic.conf.
    options = ''
    #: Builds the user image, or finds it in the cache.
    make_image: Callable[[], pathlib.Path] = staticmethod(image.whole_disk)
    #: Runs what is beside the machines.
    kind_of_services = services.Services

    def __init__(self, checkout: pathlib.Path, state: pathlib.Path,
                 deploy_interfaces: Sequence[str],
                 force_raw_images: bool) -> None:
        self._checkout = checkout
        self._state = state
        self._deploy_interfaces = deploy_interfaces
        self._force_raw_images = force_raw_images
        self.services = self.kind_of_services(state)
        self.machines: list[machine.Machine] = []

    @property
    def checks(self) -> list[Check]:
        """All of them, in order."""
        return [
            ('deploy ramdisk with the checkout in it', self.build_ramdisk),
            ('bootable qcow2 image', self.build_image),
            ('Glance, Ironic, BMC and network are up', self.start)]

    def build_ramdisk(self) -> None:
        self._ramdisk = ramdisk.build(self._checkout, self._state,
                                      self.programs)

    def build_image(self) -> None:
        self._image_path = self.make_image()
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
        self._accelerated = machine.virtualization_works(
            self._any_kernel(), self._state / 'kvm-probe.log')
        progress.say('    processor: ' + (
            'KVM' if self._accelerated else 'emulated, KVM boots nothing'))
        network.create(each.tap for each in self.machines)
        for each in self.machines:
            each.create()
        self.services.start_dhcp()
        self.services.start_web()
        self.services.start_glance()
        self.services.start_bmc(self.machines, self._accelerated)
        self.services.start_ironic(self._deploy_interfaces, self._ramdisk,
                                   self._esp, self._force_raw_images,
                                   self.neighbours, self.options)

    def _any_kernel(self) -> pathlib.Path:
        """A kernel that tells whether a virtual machine starts one."""
        return self._ramdisk.kernel

    def show_logs(self, lines: int = 80) -> None:
        """Print the ends of the logs that tell why something failed."""
        logs = self.services.logs
        for path in (logs / 'glance.out', logs / 'glance-api.log',
                     logs / 'web.out', logs / 'bmc.out', logs / 'ironic.out',
                     self.services.conductor_log,
                     *(each.directory / 'qemu.log' for each in self.machines),
                     *(each.console for each in self.machines)):
            if not path.exists() or not path.stat().st_size:
                continue
            print(f'----- end of {path.name} of {path.parent.name}')
            text = [line for line in path.read_text(
                errors='replace').splitlines() if ' DEBUG ' not in line]
            print('\n'.join(text[-lines:]))
        sys.stdout.flush()

    def _new_machine(self, **traits: Any) -> machine.Machine:
        number = len(self.machines) + 1
        name = f'node-{number}'
        new = machine.Machine(name=name, number=number,
                              directory=self._state / name, **traits)
        self.machines.append(new)
        return new


def wait_for_login(hardware: machine.Machine, begin: int = 0,
                   timeout: float = _BOOT_TIMEOUT,
                   name: str = HOSTNAME) -> None:
    """Wait until the deployed system asks who is there, by its name.

    :param begin: bytes of the console that are from earlier
    :param name: of the system
    :param timeout: seconds
    :raises: :class:`commands.TimedOut`
    """
    prompt = f'{name} login:'.encode()
    commands.wait_for('login prompt on the serial port',
                      lambda: prompt in hardware.console.read_bytes()[begin:],
                      timeout=timeout)
    progress.say(f'    {prompt.decode()}')
