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

"""Many simulated machines, and the cables to them."""

from collections.abc import Iterator
import http.server
import json
import logging
import threading
from typing import Any
import urllib.parse

import requests

from tests.support.simulation import agent
from tests.support.simulation import certificate
from tests.support.simulation import clock

LOG = logging.getLogger(__name__)


class Fleet:
    """Machines that are switched on and off as Ironic says.

    The power interface of Ironic is a fake one that only notes the state in
    the node; what it notes is done to the machine here.

    :ivar agents: by the UUID of the node.
    :ivar certificate: of all of them, in PEM.
    """

    def __init__(self, address: str, api: str, *, interval: float = 0.3,
                 threads: int = 16) -> None:
        """Start to answer for the machines.

        :param address: of the host that all of them are on.
        :param api: URL of Ironic's API.
        :param interval: seconds between two looks at the nodes.
        """
        self.agents: dict[str, agent.Agent] = {}
        self._api = api
        self._interval = interval
        self._clock = clock.Clock(threads)
        self._stopped = threading.Event()
        self._certificate = certificate.make(address)
        self.certificate = self._certificate.pem
        self._server = _Server((address, 0), _Requests)
        self._server.fleet = self
        # The handshake is for the thread of the request, not for all.
        self._server.socket = self._certificate.context.wrap_socket(
            self._server.socket, server_side=True,
            do_handshake_on_connect=False)
        self._base = f'https://{address}:{self._server.server_port}'
        self._threads = [
            threading.Thread(target=action, daemon=True)
            for action in (self._server.serve_forever, self._watch)]
        for thread in self._threads:
            thread.start()

    def add(self, identifier: str,
            behaviour: agent.Behaviour) -> agent.Agent:
        """Give a node a machine."""
        added = agent.Agent(identifier, self._api,
                            f'{self._base}/{identifier}',
                            self._certificate.pem, self._clock, behaviour)
        self.agents[identifier] = added
        return added

    def stop(self) -> None:
        """Switch all machines off."""
        self._stopped.set()
        for each in self.agents.values():
            each.power_off()
        self._server.shutdown()
        self._server.server_close()
        self._clock.stop()
        for thread in self._threads:
            thread.join()

    def _watch(self) -> None:
        with requests.Session() as session:
            while not self._stopped.wait(self._interval):
                try:
                    for node in self._nodes(session):
                        self._follow(node)
                except requests.RequestException as error:
                    LOG.info('no look at the nodes: %s', error)

    def _nodes(self, session: requests.Session
               ) -> Iterator[dict[str, Any]]:
        answer = session.get(
            f'{self._api}/v1/nodes', timeout=60, headers=agent.API_VERSION,
            params={'limit': '1000',
                    'fields': 'uuid,provision_state,power_state'})
        answer.raise_for_status()
        yield from answer.json()['nodes']

    def _follow(self, node: dict[str, Any]) -> None:
        machine = self.agents.get(node['uuid'])
        if machine is None:
            return
        if (node['power_state'] != 'power on'
                or node['provision_state'] == 'active'):
            machine.power_off()
        elif node['provision_state'] == 'wait call-back':
            machine.power_on()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024
    fleet: Fleet


class _Requests(http.server.BaseHTTPRequestHandler):
    """The REST API of ironic-python-agent, below the UUID of the node."""

    protocol_version = 'HTTP/1.1'
    server: _Server

    def do_GET(self) -> None:
        machine, path, _ = self._addressed()
        if machine is None:
            return
        if path == '/v1/status':
            self._answer(200, {'started_at': 0,
                               'version': agent.AGENT_VERSION})
        elif path.rstrip('/') == '/v1/commands':
            self._answer(200, {'commands': machine.commands()})
        else:
            self._answer(404, {'faultstring': 'not found'})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get('Content-Length', 0)))
        machine, path, query = self._addressed()
        if machine is None:
            return
        if path.rstrip('/') != '/v1/commands':
            self._answer(404, {'faultstring': 'not found'})
        elif not machine.permits(query.get('agent_token')):
            self._answer(401, {'faultstring': 'invalid agent_token'})
        else:
            order = json.loads(body)
            try:
                self._answer(200, machine.execute(order['name'],
                                                  order['params']))
            except agent.Busy as busy:
                self._answer(409, {'faultstring': 'Agent is busy: executing '
                                                  f'command {busy}'})

    def _addressed(self) -> tuple[agent.Agent | None, str, dict[str, str]]:
        """The machine, when it runs: a stopped one hangs up."""
        url = urllib.parse.urlsplit(self.path)
        _, identifier, path = url.path.split('/', 2)
        machine = self.server.fleet.agents.get(identifier)
        if machine is None or not machine.running:
            self.close_connection = True
            machine = None
        return machine, f'/{path}', dict(urllib.parse.parse_qsl(url.query))

    def _answer(self, status: int, value: Any) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        LOG.debug(format, *args)
