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

"""A web server that serves files well, until a test tells it not to.

A test sets :attr:`Server.answer` to a function of an :class:`Exchange`; the
exchange sends what it is told, right or wrong.
"""

from collections.abc import Callable
from collections.abc import Mapping
import datetime
import email.utils
import http.server
import ipaddress
import pathlib
import re
import socket
import ssl
import struct
import threading
import typing
import urllib.parse

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization
from cryptography import x509

_CHUNK = 256 << 10
_RANGE = re.compile(r'bytes=(\d+)-(\d*)')


class Exchange(http.server.BaseHTTPRequestHandler):
    """One request and its answer.

    :ivar file: the file that was asked for.
    """

    protocol_version = 'HTTP/1.1'
    # Head and body are two writes, which Nagle would hold 40 ms apart.
    disable_nagle_algorithm = True
    server: 'Server'

    def do_GET(self) -> None:
        self.file = self.find(urllib.parse.urlsplit(self.path).path)
        self.server.requests.append(self.headers.get('Range', ''))
        if not self.file.is_file():
            self.refuse(404)
            return
        try:
            self.server.answer(self)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def find(self, path: str) -> pathlib.Path:
        """Where the file of a path is, if it is there."""
        return self.server.directory / pathlib.Path(path).name

    def serve(self, *, ranges: bool = True, etag: str | None = None,
              content: bytes | None = None,
              headers: Mapping[str, str | None] | None = None,
              stop_after: int | None = None, how: str = 'close') -> None:
        """Answer with the file, or the range of it that was asked for.

        :param ranges: whether to know ranges at all.
        :param etag: instead of the file's own.
        :param content: instead of the file's own bytes.
        :param headers: added to, or None for removed from, the right ones.
        :param stop_after: bytes of the body after which to stop.
        :param how: to stop: ``close``, ``reset`` or ``stall``.
        """
        size = self.file.stat().st_size if content is None else len(content)
        etag = etag or self.etag
        match = _RANGE.fullmatch(self.headers.get('Range', ''))
        partial = bool(ranges and match and self.headers.get(
            'If-Range', etag) in (etag, self.modified))
        first, last = 0, size - 1
        if partial and match:
            first, last = int(match[1]), min(int(match[2] or last), last)
        if first >= max(size, 1 - partial):
            self.refuse(416, {'Content-Range': f'bytes */{size}'})
            return
        right: dict[str, str | None] = {
            'Content-Length': str(last - first + 1), 'ETag': etag,
            'Last-Modified': self.modified}
        if ranges:
            right['Accept-Ranges'] = 'bytes'
        if partial:
            right['Content-Range'] = f'bytes {first}-{last}/{size}'
        self.start(206 if partial else 200, {**right, **(headers or {})})
        self._send(content, first, last + 1, stop_after, how)

    def refuse(self, status: int, headers: Mapping[str, str] | None = None
               ) -> None:
        """Answer with a status and a short page."""
        page = b'<!DOCTYPE html><html><body>Sorry.</body></html>'
        self.start(status, {'Content-Length': str(len(page)),
                            'Content-Type': 'text/html', **(headers or {})})
        self.wfile.write(page)

    def start(self, status: int, headers: Mapping[str, str | None]) -> None:
        """Send the head of an answer."""
        self.send_response(status)
        for name, value in headers.items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()

    @property
    def etag(self) -> str:
        """A strong validator of the file as it is."""
        status = self.file.stat()
        return f'"{status.st_mtime_ns:x}-{status.st_size:x}"'

    @property
    def modified(self) -> str:
        """When the file was changed."""
        return email.utils.formatdate(self.file.stat().st_mtime, usegmt=True)

    def hang_up(self, how: str) -> None:
        """End the connection: ``close``, ``reset``, or ``stall`` it."""
        self.wfile.flush()
        self.close_connection = True
        if how == 'stall':
            self.server.stopping.wait(60)
        elif how == 'reset':
            # Lingering for 0 seconds turns the close into a reset.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                       struct.pack('ii', 1, 0))
            self.connection.close()

    def log_message(self, format: str, *args: typing.Any) -> None:
        """Say nothing: the tests look at the requests instead."""

    def _send(self, content: bytes | None, start: int, end: int,
              stop_after: int | None, how: str) -> None:
        stop = end if stop_after is None else min(end, start + stop_after)
        with self.file.open('rb') as file:
            file.seek(start)
            while start < stop:
                count = min(_CHUNK, stop - start)
                self.wfile.write(file.read(count) if content is None
                                 else content[start:start + count])
                start += count
        if stop < end:
            self.hang_up(how)


Answer = Callable[[Exchange], None]


class Server(http.server.ThreadingHTTPServer):
    """Serves the files of a directory on the loopback interface.

    :ivar answer: what to do with a request for a file.
    :ivar requests: the Range header of each request so far.
    :ivar stopping: set when stalled connections are to end.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, directory: pathlib.Path, *,
                 context: ssl.SSLContext | None = None) -> None:
        super().__init__(('127.0.0.1', 0), Exchange)
        self.directory = directory
        self.answer: Answer = Exchange.serve
        self.requests: list[str] = []
        self.stopping = threading.Event()
        self._scheme = 'https' if context else 'http'
        if context:
            self.socket = context.wrap_socket(self.socket, server_side=True)
        threading.Thread(target=self.serve_forever, args=(0.01,),
                         daemon=True).start()

    def url(self, name: str, *, host: str = '127.0.0.1') -> str:
        """Where a file of the directory is."""
        return f'{self._scheme}://{host}:{self.server_port}/{name}'

    def stop(self) -> None:
        """End it, and the connections that stall."""
        self.stopping.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, request: typing.Any, client_address: typing.Any
                     ) -> None:
        """A client that went away is what these tests are about."""


def self_signed(directory: pathlib.Path) -> ssl.SSLContext:
    """TLS for 127.0.0.1 with a certificate that only its maker trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME,
                                         '127.0.0.1')])
    now = datetime.datetime.now(datetime.UTC)
    certificate = x509.CertificateBuilder(
        issuer_name=name, subject_name=name, public_key=key.public_key(),
        serial_number=x509.random_serial_number(), not_valid_before=now,
        not_valid_after=now + datetime.timedelta(days=1)).add_extension(
        x509.SubjectAlternativeName([x509.IPAddress(
            ipaddress.ip_address('127.0.0.1'))]), critical=False).sign(
        key, hashes.SHA256())
    path = directory / 'certificate.pem'
    path.write_bytes(key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption()) + certificate.public_bytes(
        serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


def nth(number: int, fault: Answer) -> Answer:
    """A fault in one request, counted from 0; the others are served."""
    return in_turn(*[Exchange.serve] * number, fault)


def since(number: int, fault: Answer) -> Answer:
    """A fault in all requests from that one on, counted from 0."""
    return in_turn(*[Exchange.serve] * number, fault, last=fault)


def in_turn(*answers: Answer, last: Answer = Exchange.serve) -> Answer:
    """An answer for each of the first requests, and one for all others."""
    remaining = iter(answers)

    def answer(exchange: Exchange) -> None:
        next(remaining, last)(exchange)

    return answer


def slow_head(exchange: Exchange) -> None:
    """A head that never ends."""
    exchange.wfile.write(b'HTTP/1.1 200 OK\r\nX: ')
    while not exchange.server.stopping.wait(0.05):
        exchange.wfile.write(b'x')


def slow_body(exchange: Exchange) -> None:
    """A body that never ends."""
    exchange.start(200, {'Content-Type': 'application/json',
                         'Content-Length': '1000000'})
    while not exchange.server.stopping.wait(0.05):
        exchange.wfile.write(b' ')


def always_about_to_come(exchange: Exchange) -> None:
    """An answer that never begins."""
    while not exchange.server.stopping.wait(0.02):
        exchange.wfile.write(b'HTTP/1.1 100 Continue\r\n\r\n')


#: Answers that are never silent, and never done.
NEVER_ENDING: tuple[Answer, ...] = (slow_head, slow_body,
                                    always_about_to_come)
