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

"""The quick start, line by line, on a fresh machine, to a deployed node."""

from collections.abc import Sequence
import configparser
import functools
import pathlib
import shutil
import time

from tests.lab import agent_builder
from tests.lab import cloud
from tests.lab import fresh_machine
from tests.lab import job
from tests.lab import ramdisk
from tests.lab import services
from tests.support import commands
from tests.support import debian
from tests.support import progress
from tests.support import quickstart

_IMAGE = 'debian-13.qcow2'
_BUILT = 'ironic-python-agent'
_RAMDISK = ramdisk.Ramdisk(fresh_machine.FILES / 'ipa.kernel',
                           fresh_machine.FILES / 'ipa.initramfs')
#: These ask others than the machines of the lab.
_ONLINE = ('apt-get', 'pip', 'tools/release.sh', f'{_BUILT}-builder')
_CLOUDS = f'''clouds:
  lab:
    auth_type: none
    auth:
      endpoint: {services.IRONIC_URL}
    baremetal_endpoint_override: {services.IRONIC_URL}
    image_endpoint_override: {services.GLANCE_URL}
'''


class _Services(services.Services):
    """Ironic is the one of the fresh machine."""

    machine: fresh_machine.FreshMachine

    def program_of_ironic(self, name: str) -> list[str]:
        return self.machine.program_of_ironic(name)


class QuickStartJob(job.Job):
    """Each line of the page is a check."""

    services: _Services
    kind_of_services = _Services
    #: What comes without the package.
    options = '[DEFAULT]\nenabled_hardware_types = redfish\n'

    def __init__(self, checkout: pathlib.Path, state: pathlib.Path,
                 force_raw_images: bool) -> None:
        super().__init__(checkout, state, [], force_raw_images)
        self._hardware = self._new_machine(
            memory_mib=agent_builder.MEMORY_MIB)
        self._remembered = ''
        self._seconds = 0.0

    @property
    def checks(self) -> list[job.Check]:
        """All of them, in order."""
        return [
            ('a fresh Debian has the checkout', self.lay),
            ('bootable qcow2 image', self.build_image),
            *self._followed(quickstart.before_ironic()),
            ('the fresh machine has an Ironic with direct alone',
             self.install_ironic),
            ('Glance, Ironic, BMC and network are up', self.start),
            ('a node is available and has an image', self.enrol),
            *self._followed(quickstart.with_ironic()),
            ('the node is active, deployed with imagedeploy', self.active),
            ('deployed system shows its login prompt', self.boot)]

    def _followed(self, steps: Sequence[
            quickstart.Command | quickstart.Settings]) -> list[job.Check]:
        return [(' '.join(step.text.split()),
                 functools.partial(self.follow, step)) for step in steps]

    def lay(self) -> None:
        self._fresh = fresh_machine.FreshMachine(self._state)
        self.services.machine = self._fresh
        commands.run('git', 'clone', '-q', self._checkout,
                     self._fresh.path(fresh_machine.CHECKOUT))

    def build_image(self) -> None:
        super().build_image()
        shutil.copy(self._image_path,
                    self._fresh.path(fresh_machine.CHECKOUT) / _IMAGE)

    def install_ironic(self) -> None:
        self._fresh.install_ironic()
        # What comes from elsewhere is here before the network is the lab's.
        self._lent = agent_builder.lent(self._state / 'lent')
        folder = self._state / 'kernel'
        version = debian.kernel(folder, self._state / 'package')
        self._kernel = folder / f'boot/vmlinuz-{version}'

    def _any_kernel(self) -> pathlib.Path:
        return self._kernel

    def start(self) -> None:
        self._ramdisk = _RAMDISK
        super().start()
        configuration = self._fresh.path(fresh_machine.CONFIGURATION)
        configuration.parent.mkdir(parents=True, exist_ok=True)
        configuration.symlink_to(self.services.configuration)
        place = self._fresh.path(pathlib.Path('/etc/openstack/clouds.yaml'))
        place.parent.mkdir(exist_ok=True)
        place.write_text(_CLOUDS)

    def enrol(self) -> None:
        self._cloud = cloud.Cloud()
        image = self._cloud.upload('debian', self._image_path, 'qcow2')
        self._node = self._cloud.enrol(self._hardware, 'direct')
        self._cloud.prepare(self._node, image_source=image.id)

    def follow(self, step: quickstart.Command | quickstart.Settings) -> None:
        """Do what a line of the page says."""
        started = time.monotonic()
        if isinstance(step, quickstart.Settings):
            self._configure(step.text)
        elif step.text.startswith('systemctl restart '):
            # There is no systemd in there.
            self.services.restart_ironic()
        else:
            self._enter(step)
        seconds = time.monotonic() - started
        self._seconds += seconds
        progress.say(f'    {seconds:.0f} s, {self._seconds:.0f} s in all')

    def _configure(self, text: str) -> None:
        settings = configparser.ConfigParser(interpolation=None)
        settings.read(self.services.configuration)
        settings.read_string(text)
        with self.services.configuration.open('w') as file:
            settings.write(file)

    def _enter(self, step: quickstart.Command) -> None:
        text = step.text.replace('NODE', self._hardware.name)
        if text.startswith(('. ', 'export ')):
            # The shell of whoever follows the page keeps it.
            self._remembered += f'{text}\n'
            return
        if 'VERSION' in text:
            wheel, = self._fresh.path(
                fresh_machine.CHECKOUT / 'dist').glob('*.whl')
            text = text.replace('VERSION', wheel.name.split('-')[1])
        program = text.split()[0]
        variables: dict[str, str] = {}
        if program == 'apt-get':
            text = f'apt-get update -q\n{text} -q -y'
        if program == f'{_BUILT}-builder':
            variables = self._lent
            text = (f'export ELEMENTS_PATH=$ELEMENTS_PATH:'
                    f'{self._state / "lent/elements"}\n{text} '
                    f'--element {agent_builder.ELEMENT}')
        if program == 'ironic-imagedeploy-status':
            text += ' || test $? -eq 1  # warnings'
        run = (self._fresh.online if program in _ONLINE
               else self._fresh.run)
        said = run(('' if step.root else self._remembered) + text,
                   root=step.root, variables=variables)
        print('\n'.join(said.splitlines()[-40:]), flush=True)
        if program == f'{_BUILT}-builder':
            self._bring()

    def _bring(self) -> None:
        """Bring the ramdisk to the conductor, as the page says."""
        for wanted in (_RAMDISK.kernel, _RAMDISK.initramfs):
            place = self._fresh.path(wanted)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(self._fresh.path(
                fresh_machine.CHECKOUT / f'{_BUILT}{wanted.suffix}'), place)

    def active(self) -> None:
        self._node = self._cloud.get(self._node)
        if (self._node.provision_state, self._node.deploy_interface) != (
                'active', 'imagedeploy'):
            raise AssertionError(
                f'{self._node.provision_state} by '
                f'{self._node.deploy_interface}: {self._node.last_error}')
        page = self._fresh.path(fresh_machine.CHECKOUT / 'node.html')
        if '<svg' not in page.read_text():
            raise AssertionError('the report has no picture')

    def boot(self) -> None:
        job.wait_for_login(self._hardware, name='no-config-drive')
