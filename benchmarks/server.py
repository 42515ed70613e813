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


"""The web server from which all fetch."""

import http.client
import pathlib
import socket
import subprocess
import time
import types

_NGINX = '''
pid {state}/nginx.pid;
error_log {state}/nginx-error.log;
worker_processes auto;
user root;
events {{ }}
http {{
    log_format bytes '$body_bytes_sent';
    access_log {state}/nginx-access.log bytes;
    client_body_temp_path {state}/nginx-body;
    proxy_temp_path {state}/nginx-proxy;
    fastcgi_temp_path {state}/nginx-fastcgi;
    uwsgi_temp_path {state}/nginx-uwsgi;
    scgi_temp_path {state}/nginx-scgi;
    sendfile on;
    tcp_nopush on;
    server {{
        listen {address}:{port};
        root {root};
    }}
}}
'''


class WebServer:
    """nginx on an address of this machine."""

    def __init__(self, state: pathlib.Path, root: pathlib.Path,
                 address: str = '127.0.0.1') -> None:
        self._address = address
        with socket.socket() as free:
            free.bind((address, 0))
            self.port = free.getsockname()[1]
        self._root = root
        self._log = state / 'nginx-access.log'
        configuration = state / 'nginx.conf'
        configuration.write_text(_NGINX.format(
            state=state, address=address, port=self.port, root=root))
        self._process = subprocess.Popen(
            ['setpriv', '--pdeathsig', 'TERM', 'nginx', '-p', state,
             '-c', configuration, '-g', 'daemon off;'],
            stdin=subprocess.DEVNULL)
        self._wait()

    def __enter__(self) -> 'WebServer':
        return self

    def __exit__(self, kind: type[BaseException] | None,
                 error: BaseException | None,
                 trace: types.TracebackType | None) -> None:
        self._process.terminate()
        self._process.wait()

    def url(self, path: pathlib.Path) -> str:
        """Where a file is."""
        return (f'http://{self._address}:{self.port}/'
                f'{path.relative_to(self._root)}')

    @property
    def sent(self) -> int:
        """Bytes of bodies until now."""
        return sum(map(int, self._log.read_text().split()))

    @property
    def requests(self) -> int:
        """Answers until now."""
        return len(self._log.read_text().split())

    def _wait(self) -> None:
        for _ in range(100):
            try:
                connection = http.client.HTTPConnection(
                    self._address, self.port, timeout=1)
                connection.request('HEAD', '/')
                connection.getresponse().close()
                return
            except OSError:
                if self._process.poll() is not None:
                    break
                time.sleep(0.05)
        raise RuntimeError('nginx does not answer')
