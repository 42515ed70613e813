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

"""Services that every site has: Glance, and a web server."""

from collections.abc import Sequence
import pathlib
import shutil
import string
import sys

import requests

from tests.support import commands

BIN = pathlib.Path(sys.executable).parent
GLANCE_PORT = 9292
WEB_PORT = 8080

_FILES = pathlib.Path(__file__).parent / 'files'


class Services:
    """Programs that run on one address, with their state in one directory."""

    def __init__(self, state: pathlib.Path, address: str) -> None:
        self.state = state
        self.address = address
        self.logs = state / 'log'
        self.logs.mkdir()
        self._running: list[commands.Service] = []

    def start_web(self) -> None:
        """Serve what the conductor puts beside itself for the machines."""
        self.http_root.mkdir(exist_ok=True)
        self.gunicorn('web', 'tests.support.file_server:application',
                      WEB_PORT, {'FILE_SERVER_ROOT': str(self.http_root)})

    def start_glance(self) -> None:
        """Start the image service, with an empty store."""
        home = self.state / 'glance'
        for name in ('images', 'staging', 'tasks', 'locks'):
            (home / name).mkdir(parents=True)
        shutil.copy(_FILES / 'glance-policy.yaml', home / 'policy.yaml')
        configuration = self.configure(_FILES / 'glance-api.conf', home,
                                       glance=home)
        commands.run(BIN / 'glance-manage', '--config-file', configuration,
                     'db_sync', timeout=120)
        # glance-api refuses to run alone; it is a WSGI application.
        service = self.gunicorn(
            'glance', 'glance.wsgi.api:application', GLANCE_PORT,
            {'OS_GLANCE_CONFIG_DIR': str(home)})
        service.wait_until(
            lambda: answers(f'http://{self.address}:{GLANCE_PORT}/versions'),
            90)

    def stop(self) -> None:
        """Stop all of them, the last one first."""
        while self._running:
            self._running.pop().stop()

    @property
    def http_root(self) -> pathlib.Path:
        """Directory that the web server serves."""
        return self.state / 'http'

    def configure(self, template: pathlib.Path, home: pathlib.Path,
                  **values: object) -> pathlib.Path:
        """Configuration file of a service, made from a template.

        :param home: directory of the service
        """
        text = string.Template(template.read_text()).substitute(
            values, address=self.address, logs=self.logs, prefix=sys.prefix)
        path = home / template.name
        path.write_text(text)
        return path

    def run(self, name: str, command: Sequence[str],
            env: dict[str, str] | None = None) -> commands.Service:
        """Start a program that runs until all are stopped."""
        service = commands.Service(name, command, self.logs / f'{name}.out',
                                   env)
        self._running.append(service)
        return service

    def gunicorn(self, name: str, application: str, port: int,
                 env: dict[str, str]) -> commands.Service:
        """Start a WSGI application."""
        return self.run(name, [
            str(BIN / 'gunicorn'), '--bind', f'{self.address}:{port}',
            '--worker-class', 'gthread', '--workers', '1', '--threads', '8',
            '--timeout', '600', '--access-logfile', '-', application], env)


def answers(url: str) -> bool:
    """Whether a web server has something there."""
    try:
        return requests.get(url, timeout=10).status_code < 400
    except requests.RequestException:
        return False
