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

"""The services of the lab, in the order in which they need each other."""

from collections.abc import Iterable
from collections.abc import Sequence
import pathlib
import sys

import requests

from tests.lab import bmc
from tests.lab import machine
from tests.lab import network
from tests.lab import ramdisk
from tests.support import commands
from tests.support import services

GLANCE_URL = f'http://{network.ADDRESS}:9292'
IRONIC_URL = f'http://{network.ADDRESS}:6385'
BMC_URL = f'http://{network.ADDRESS}:{bmc.PORT}'

_FILES = pathlib.Path(__file__).parent / 'files'


class Services(services.Services):
    """Everything that runs beside the machines, in one directory.

    :ivar configuration: ironic.conf, once Ironic was started.
    """

    configuration: pathlib.Path

    def __init__(self, state: pathlib.Path) -> None:
        super().__init__(state, network.ADDRESS)

    def start_dhcp(self) -> None:
        """Give the machines addresses."""
        self.run('dnsmasq', [
            'dnsmasq', '--keep-in-foreground', '--conf-file=/dev/null',
            '--port=0', '--log-facility=-', '--log-dhcp',
            f'--interface={network.BRIDGE}', '--bind-interfaces',
            f'--dhcp-range={network.DHCP_RANGE}', '--user=root',
            '--pid-file=', f'--dhcp-leasefile={self.state / "leases"}'])

    def start_bmc(self, machines: Sequence[machine.Machine],
                  accelerated: bool) -> None:
        """Start the Redfish service of these machines, off as yet."""
        home = self.state / 'bmc'
        home.mkdir()
        configuration = home / 'bmc.json'
        configuration.write_text(
            bmc.configuration(machines, network.ADDRESS, accelerated, home))
        service = self.run('bmc', [sys.executable, '-m', 'tests.lab.bmc',
                                   str(configuration)])
        service.wait_until(
            lambda: services.answers(f'{BMC_URL}/redfish/v1/'), 30)

    def start_ironic(self, deploy_interfaces: Iterable[str],
                     boot: ramdisk.Ramdisk, esp: pathlib.Path,
                     force_raw_images: bool, neighbours: bool,
                     options: str) -> None:
        """Start Ironic's API and conductor in one process.

        :param force_raw_images: Ironic's option of this name
        :param neighbours: ours of this name
        :param options: more of ironic.conf
        """
        home = self.state / 'ironic'
        for name in ('certificates', 'images', 'locks', 'master_images',
                     'tftp/master_images', 'tmp'):
            (home / name).mkdir(parents=True)
        paths = {path.parent for path in (boot.kernel, boot.initramfs, esp)}
        self.configuration = self.configure(
            _FILES / 'ironic.conf', home, ironic=home, http=self.http_root,
            esp=esp, kernel=boot.kernel, ramdisk=boot.initramfs,
            allowed_paths=','.join(sorted(map(str, paths))),
            deploy_interfaces=','.join(
                dict.fromkeys(('direct', *deploy_interfaces))),
            force_raw_images=force_raw_images, neighbours=neighbours)
        self._more = home / 'more.conf'
        self._more.write_text(options)
        commands.run(*self.program_of_ironic('ironic-dbsync'), '--config-file',
                     self.configuration, 'create_schema', timeout=120)
        self._run_ironic()

    def restart_ironic(self) -> None:
        """Let Ironic read its configuration again."""
        self._ironic.stop()
        self._run_ironic()

    def _run_ironic(self) -> None:
        self._ironic = self.run('ironic', [
            *self.program_of_ironic('ironic'),
            '--config-file', str(self.configuration),
            '--config-file', str(self._more)])
        self._ironic.wait_until(self._conductor_is_up, 120)

    def program_of_ironic(self, name: str) -> list[str]:
        """The command that runs a program of Ironic."""
        return [str(services.BIN / name)]

    @property
    def conductor_log(self) -> pathlib.Path:
        """What Ironic logs."""
        return self.logs / 'ironic.log'

    @staticmethod
    def _conductor_is_up() -> bool:
        if not services.answers(f'{IRONIC_URL}/v1/'):
            return False
        drivers = requests.get(
            f'{IRONIC_URL}/v1/drivers', timeout=10,
            headers={'X-OpenStack-Ironic-API-Version': '1.82'})
        return drivers.ok and bool(drivers.json()['drivers'])
