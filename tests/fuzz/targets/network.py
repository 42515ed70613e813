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


"""What web servers answer. Servers are on the loopback interface only."""

import contextlib
import functools
import re
import socket
import threading

from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.sources import base
from ironic_imagedeploy.engine.sources import http
from tests.fuzz import target

_CONTENT = bytes(range(256)) * 8
_SECONDS = 5.0


class Server:
    """A server that answers every request with the same bytes."""

    def __init__(self) -> None:
        self.answer = b''
        self._listening = socket.create_server(('127.0.0.1', 0))
        self.url = (f'http://127.0.0.1:{self._listening.getsockname()[1]}'
                    '/disk.raw')
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._listening.accept()
            threading.Thread(target=self._answer, args=(connection,),
                             daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.settimeout(_SECONDS)
            asked = b''
            while b'\r\n\r\n' not in asked and (
                    part := connection.recv(65536)):
                asked += part
            connection.sendall(self.answer)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass


@functools.cache
def _server() -> Server:
    return Server()


def read_answer(answer: bytes) -> object:
    """Open an image and read its front, once at an offset, once in order."""
    server = _server()
    server.answer = answer
    with http.HttpSource(server.url, timeout=_SECONDS, retries=0,
                         look_timeout=_SECONDS) as source:
        size = min(source.size, 4096)
        front = source.read_at(0, size)
        stream = source.open_stream()
        try:
            buffer = bytearray(512)
            count = stream.readinto(memoryview(buffer))
        finally:
            stream.close()
        if bytes(buffer[:min(count, size)]) != front[:count]:
            raise AssertionError('two contents of one answer')
        return source.size, source.random_access, front


def read_url(text: bytes) -> object:
    """Take a URL apart, of which no secret may be shown."""
    url = text.decode('utf-8', 'replace')
    shown = base.redact(url)
    host = re.split('[/?#]', url.partition('://')[2], maxsplit=1)[0]
    login = host.rpartition('@')[0]
    if 'SECRET' in login and 'SECRET' in shown and (
            'SECRET' not in url.replace(login, '', 1)):
        raise AssertionError(f'a secret in {shown}')
    return (shown, base.is_web(url), base.origin(url), base.login_in(url),
            base.may_know_secrets(url, of='https://a.example/'))


def _answer(*headers: str, status: str = '206 Partial Content') -> bytes:
    lines = [f'HTTP/1.1 {status}', *headers, '', '']
    return '\r\n'.join(lines).encode() + _CONTENT


_HEADS = (b'\r\n', b'\n', b': ', b'Content-Length: ', b'Content-Range: bytes ',
          b'Content-Encoding: gzip', b'Transfer-Encoding: chunked\r\n',
          b'HTTP/1.1 100 Continue\r\n\r\n', b'Retry-After: ', b'9' * 30,
          b'ETag: "x"', b'Connection: close\r\n', b'0\r\n\r\n', b'*', b'-',
          b'\0', b'\xff', b'HTTP/1.1 200 OK\r\n')


class _WebTarget(target.TextTarget):
    repeats = False


TARGETS: list[target.Target] = [
    _WebTarget('http', [
        _answer('Content-Range: bytes 0-2047/2048', 'Content-Length: 2048',
                'ETag: "x"'),
        _answer('Content-Length: 2048', status='200 OK'),
        _answer('Transfer-Encoding: chunked', 'Content-Length: 9',
                status='200 OK'),
        _answer('Retry-After: 1', 'Content-Length: 0',
                status='503 Service Unavailable')], read_answer,
        words=_HEADS, errors=(exceptions.SourceError,), examples=60),
    target.TextTarget('url', [
        b'https://user:SECRET@example.com:8443/a/b.raw?c=d#e',
        b'http://[2001:db8::1]/x', b'file:///a/b'], read_url,
        words=(b'@', b':', b'/', b'[', b']', b'%', b'?', b'#', b'\\',
               b'SECRET', b'\t', b'\n', b'\xe2\x80\xae', b'99999'),
        errors=(exceptions.SourceError,)),
]
