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

"""A real Ironic and a real Glance on loopback addresses of their own."""

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import dataclasses
import getpass
import os
import pathlib
import random
import signal
import socket
import string
import sys

import requests

from tests.support import commands
from tests.support import services
from tests.support.simulation import agent
from tests.support.simulation import api

_BIN = pathlib.Path(sys.executable).parent
#: Port of the conductors in the template.
_RPC_PORT = 8089
_TEMPLATE = pathlib.Path(__file__).parent / 'files' / 'ironic.conf'
_TICKS = os.sysconf('SC_CLK_TCK')

#: Options of ironic.conf: everything that takes long goes fast.
FAST = {
    'check_interval': '2', 'deploy_callback_timeout': '10',
    'hash_ring_reset_interval': '3', 'heartbeat_interval': '1',
    'heartbeat_timeout': '6', 'ramdisk_heartbeat_timeout': '6',
    'neighbours': 'true', 'progress_interval': '1', 'stall_threshold': '5',
    'sync_local_state_interval': '3'}

#: Ironic's own values, but for what takes minutes without telling anything.
STOCK = {
    'check_interval': '60', 'deploy_callback_timeout': '1800',
    'hash_ring_reset_interval': '15', 'heartbeat_interval': '10',
    'heartbeat_timeout': '60', 'ramdisk_heartbeat_timeout': '300',
    'neighbours': 'false', 'progress_interval': '10', 'stall_threshold': '30',
    'sync_local_state_interval': '180'}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Usage:
    """What a service took of the machine.

    :ivar cpu: seconds of a processor, of all its processes.
    :ivar memory: bytes that are resident.
    """

    cpu: float
    memory: int


class Conductor:
    """One ironic-conductor, with directories and an address of its own."""

    def __init__(self, name: str, address: str, command: list[str],
                 home: pathlib.Path, log: pathlib.Path) -> None:
        self.name = name
        self.address = address
        self.home = home
        self.log = log
        self._command = [*command, '--config-file', str(home / 'more.conf')]
        self._more = home / 'more.conf'
        self._more.touch()
        self._service: commands.Service | None = None

    def start(self) -> None:
        """Start it, if it does not run."""
        if self._service is None:
            self._service = commands.Service(
                self.name, self._command,
                self.log.with_suffix('.out'))

    def wait_until_ready(self) -> None:
        """Wait until the API can ask it."""
        def answers() -> bool:
            with contextlib.suppress(OSError), socket.create_connection(
                    (self.address, _RPC_PORT), timeout=5):
                return True
            return False
        commands.wait_for(f'answer of {self.name}', answers, timeout=60)

    def stop(self) -> None:
        """End it the way an operator does."""
        if self._service is not None:
            service, self._service = self._service, None
            service.stop()

    def configure(self, text: str) -> None:
        """Start it anew, with these options beside the site's.

        :param text: as it stands in a configuration file.
        """
        self.stop()
        self._more.write_text(text)
        self.start()

    def kill(self) -> None:
        """Let it vanish without a word."""
        if self._service is not None:
            for pid in self.processes():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.stop()

    def processes(self) -> list[int]:
        """Its processes, the first one first."""
        if self._service is None:
            return []
        found = [self._service.pid]
        for pid in found:
            found.extend(_children(pid))
        return found

    def usage(self) -> Usage:
        """So far, with that of children that ended; now, for memory."""
        cpu, memory = 0.0, 0
        for pid in self.processes():
            with contextlib.suppress(OSError):
                stat = pathlib.Path(f'/proc/{pid}/stat').read_text()
                fields = stat.rsplit(')', 1)[1].split()
                cpu += sum(map(int, fields[11:15])) / _TICKS
                memory += int(fields[21]) * os.sysconf('SC_PAGE_SIZE')
        return Usage(cpu=cpu, memory=memory)


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in pathlib.Path(f'/proc/{pid}/task').iterdir():
            found += map(int, (task / 'children').read_text().split())
    return found


class Site:
    """All services, as many conductors as are wanted.

    :ivar address: loopback address of all but the other conductors.
    :ivar api: the public APIs.
    :ivar conductors: that may be killed and started again.
    """

    def __init__(self, state: pathlib.Path, *, conductors: int = 1,
                 options: Mapping[str, str] = FAST,
                 launcher: list[str] | None = None,
                 log_levels: Iterable[str] = (),
                 statsd_port: int | None = None) -> None:
        """Prepare, without starting anything.

        :param launcher: the program that conductors are, with the first of
            its arguments, instead of ironic-conductor.
        :param log_levels: of loggers, each as ``name=LEVEL``.
        :param statsd_port: where metrics go.
        """
        # An address for each site: no port of another one is in the way.
        prefix = f'127.{random.randint(1, 250)}.{random.randint(1, 250)}'
        self.address = f'{prefix}.1'
        self.url = f'http://{self.address}:6385'
        self.api = api.Api(self.url, f'http://{self.address}:9292')
        self.state = state
        self._socket = state / 'database.socket'
        self._database_folder = state / 'database'
        self._first = state / 'database.sql'
        self._options = {
            **options, 'metrics': 'statsd' if statsd_port else 'noop',
            'statsd_port': str(statsd_port or 8125),
            'database': f'mysql+pymysql://root@localhost/ironic?unix_socket='
                        f'{self._socket}', 'site': self.address,
            'log_levels': ','.join(
                [*log_levels, 'oslo_concurrency.processutils=DEBUG',
                 'urllib3=WARNING', 'requests=WARNING'])}
        self._services = services.Services(state, self.address)
        self._database: commands.Service | None = None
        self._ironic_api: commands.Service | None = None
        (state / 'http').mkdir()
        for name in ('kernel', 'ramdisk'):
            # Not file://, which Ironic's cache fetches for every node, while
            # the clean-up for another one trips over what it has begun.
            (state / 'http' / name).write_bytes(b'nobody boots this')
        self.conductors = [
            self._conductor(f'conductor-{number}', f'{prefix}.{number}',
                            launcher or [str(_BIN / 'ironic-conductor')])
            for number in range(1, conductors + 1)]

    @property
    def glance_log(self) -> pathlib.Path:
        """Requests to Glance, one each line."""
        return self.state / 'log' / 'glance.out'

    def start(self) -> None:
        """Start all services, and wait until they do their work."""
        configuration = self._configure('api', self.address)
        self._start_web()
        self._make_database()
        self.start_database()
        commands.run(_BIN / 'ironic-dbsync', '--config-file', configuration,
                     'create_schema', timeout=120)
        for conductor in self.conductors:
            conductor.start()
        self._ironic_api = commands.Service(
            'api', [str(_BIN / 'ironic-api'), '--config-file',
                    str(configuration)], self.state / 'log' / 'api.out')
        self._services.start_glance()
        self._ironic_api.wait_until(
            lambda: self.alive() == {each.address
                                     for each in self.conductors}, 120)

    def stop(self) -> None:
        """Stop them all."""
        for conductor in self.conductors:
            conductor.kill()
        if self._ironic_api is not None:
            self._ironic_api.stop()
        self.stop_database()
        self._services.stop()

    def alive(self) -> set[str]:
        """Addresses of the conductors that Ironic believes to be there."""
        try:
            answer = requests.get(f'{self.url}/v1/conductors', timeout=10,
                                  headers=agent.API_VERSION)
        except requests.RequestException:
            return set()
        if not answer.ok:
            return set()
        return {each['hostname'].split(':')[0]
                for each in answer.json()['conductors'] if each['alive']}

    def _make_database(self) -> None:
        """MariaDB: with SQLite conductors do not know of each other."""
        folder = self._database_folder
        commands.run('mariadb-install-db', '--no-defaults',
                     f'--datadir={folder}', f'--user={getpass.getuser()}',
                     '--auth-root-authentication-method=normal',
                     '--skip-test-db', timeout=60)
        self._first.write_text(
            'CREATE DATABASE IF NOT EXISTS ironic CHARACTER SET utf8mb3;\n')

    def start_database(self) -> None:
        """Start it, if it does not run."""
        if self._database is not None:
            return
        self._database = commands.Service('database', [
            'mariadbd', '--no-defaults', f'--datadir={self._database_folder}',
            f'--socket={self._socket}', f'--init-file={self._first}',
            f'--user={getpass.getuser()}', '--skip-networking',
            '--max-connections=500', '--innodb-flush-log-at-trx-commit=0'],
            self.state / 'log' / 'database.out')
        self._database.wait_until(self._socket.exists, 60)

    def stop_database(self) -> None:
        """Stop it, if it runs."""
        if self._database is not None:
            service, self._database = self._database, None
            service.stop()

    def _start_web(self) -> None:
        for conductor in self.conductors:
            (self.state / 'http' / conductor.name).mkdir()
        self._services.start_web()

    def _conductor(self, name: str, address: str,
                   command: list[str]) -> Conductor:
        home = self.state / name
        for folder in ('certificates', 'images', 'locks', 'master_images',
                       'tftp/master_images', 'tmp'):
            (home / folder).mkdir(parents=True)
        configuration = self._configure(name, address)
        return Conductor(
            name, address,
            [*command, '--config-file', str(configuration)], home,
            self.state / 'log' / f'{name}.log')

    def _configure(self, name: str, address: str) -> pathlib.Path:
        home = self.state / name
        home.mkdir(exist_ok=True)
        path = home / 'ironic.conf'
        path.write_text(string.Template(_TEMPLATE.read_text()).substitute(
            self._options, name=name, address=address,
            home=home, logs=self.state / 'log',
            http_root=self.state / 'http' / name))
        return path


@contextlib.contextmanager
def running(site: Site) -> Iterator[Site]:
    """Run a site's services; end them in any case."""
    # No service may reach for a proxy of the world outside.
    for name in ('NO_PROXY', 'no_proxy'):
        os.environ[name] = '127.0.0.0/8'
    try:
        site.start()
        yield site
    finally:
        site.stop()
