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
import shutil
import string
import sys

import requests

from tests.lab import bmc
from tests.lab import machine
from tests.lab import network
from tests.lab import ramdisk
from tests.support import commands

GLANCE_URL = f'http://{network.ADDRESS}:9292'
IRONIC_URL = f'http://{network.ADDRESS}:6385'
BMC_URL = f'http://{network.ADDRESS}:{bmc.PORT}'
WEB_PORT = 8080

_FILES = pathlib.Path(__file__).parent / 'files'

_BIN = pathlib.Path(sys.executable).parent


class Services:
    """Everything that runs beside the machines, in one directory."""

    def __init__(self, state: pathlib.Path,
                 address: str = network.ADDRESS) -> None:
        self.state = state
        self.address = address
        self.logs = state / 'log'
        self.logs.mkdir()
        self._running: list[commands.Service] = []

    def start_dhcp(self) -> None:
        """Give the machines addresses."""
        self._start('dnsmasq', [
            'dnsmasq', '--keep-in-foreground', '--conf-file=/dev/null',
            '--port=0', '--log-facility=-', '--log-dhcp',
            f'--interface={network.BRIDGE}', '--bind-interfaces',
            f'--dhcp-range={network.DHCP_RANGE}', '--user=root',
            '--pid-file=', f'--dhcp-leasefile={self.state / "leases"}'])

    def start_web(self) -> None:
        """Serve what the conductor puts beside itself for the machines."""
        self._http_root.mkdir(exist_ok=True)
        self._gunicorn('web', 'tests.lab.web:application', WEB_PORT,
                       {'LAB_HTTP_ROOT': str(self._http_root)})

    def start_glance(self) -> None:
        """Start the image service, with an empty store."""
        home = self.state / 'glance'
        for name in ('images', 'staging', 'tasks', 'locks'):
            (home / name).mkdir(parents=True)
        shutil.copy(_FILES / 'glance-policy.yaml', home / 'policy.yaml')
        configuration = self._configure('glance-api.conf', home,
                                        glance=home)
        commands.run(_BIN / 'glance-manage', '--config-file', configuration,
                     'db_sync', timeout=120)
        # glance-api refuses to run alone; it is a WSGI application.
        service = self._gunicorn(
            'glance', 'glance.wsgi.api:application', 9292,
            {'OS_GLANCE_CONFIG_DIR': str(home)})
        service.wait_until(
            lambda: _answers(f'http://{self.address}:9292/versions'), 90)

    def start_bmc(self, machines: Sequence[machine.Machine],
                  accelerated: bool) -> None:
        """Start the Redfish service of these machines, off as yet."""
        home = self.state / 'bmc'
        home.mkdir()
        configuration = home / 'bmc.json'
        configuration.write_text(
            bmc.configuration(machines, network.ADDRESS, accelerated, home))
        service = self._start('bmc', [sys.executable, '-m', 'tests.lab.bmc',
                                      str(configuration)])
        service.wait_until(lambda: _answers(f'{BMC_URL}/redfish/v1/'), 30)

    def start_ironic(self, deploy_interfaces: Iterable[str],
                     boot: ramdisk.Ramdisk, esp: pathlib.Path,
                     force_raw_images: bool) -> None:
        """Start Ironic's API and conductor in one process.

        :param force_raw_images: Ironic's option of this name
        """
        home = self.state / 'ironic'
        for name in ('certificates', 'images', 'locks', 'master_images',
                     'tftp/master_images', 'tmp'):
            (home / name).mkdir(parents=True)
        paths = {path.parent for path in (boot.kernel, boot.initramfs, esp)}
        configuration = self._configure(
            'ironic.conf', home, ironic=home, http=self._http_root, esp=esp,
            kernel=boot.kernel, ramdisk=boot.initramfs,
            allowed_paths=','.join(sorted(map(str, paths))),
            deploy_interfaces=','.join(
                dict.fromkeys(('direct', *deploy_interfaces))),
            force_raw_images=force_raw_images)
        commands.run(_BIN / 'ironic-dbsync', '--config-file', configuration,
                     'create_schema', timeout=120)
        service = self._start('ironic', [
            str(_BIN / 'ironic'), '--config-file', str(configuration)])
        service.wait_until(self._conductor_is_up, 120)

    def stop(self) -> None:
        """Stop all of them, the last one first."""
        while self._running:
            self._running.pop().stop()

    @property
    def conductor_log(self) -> pathlib.Path:
        """What Ironic logs."""
        return self.logs / 'ironic.log'

    @property
    def _http_root(self) -> pathlib.Path:
        return self.state / 'http'

    @staticmethod
    def _conductor_is_up() -> bool:
        if not _answers(f'{IRONIC_URL}/v1/'):
            return False
        drivers = requests.get(
            f'{IRONIC_URL}/v1/drivers', timeout=10,
            headers={'X-OpenStack-Ironic-API-Version': '1.82'})
        return drivers.ok and bool(drivers.json()['drivers'])

    def _configure(self, name: str, home: pathlib.Path,
                   **values: object) -> pathlib.Path:
        text = string.Template((_FILES / name).read_text()).substitute(
            values, address=self.address, logs=self.logs,
            prefix=sys.prefix)
        path = home / name
        path.write_text(text)
        return path

    def _start(self, name: str, command: Sequence[str],
               env: dict[str, str] | None = None) -> commands.Service:
        service = commands.Service(name, command, self.logs / f'{name}.out',
                                   env)
        self._running.append(service)
        return service

    def _gunicorn(self, name: str, application: str, port: int,
                  env: dict[str, str]) -> commands.Service:
        return self._start(name, [
            str(_BIN / 'gunicorn'), '--bind', f'{self.address}:{port}',
            '--worker-class', 'gthread', '--workers', '1', '--threads', '8',
            '--timeout', '600', '--access-logfile', '-', application], env)


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=10).status_code < 400
    except requests.RequestException:
        return False
