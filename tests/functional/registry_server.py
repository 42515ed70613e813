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

"""A real registry, with a token service and a blob store beside it.

The registry is Docker's own (Debian: docker-registry). It trusts the tokens
that the service signs, and redirects who asks for a blob to the store. All of
them speak TLS.
"""

import base64
import hashlib
import json
import os
import pathlib
import socket
import subprocess
import time
import typing
import urllib.parse

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric import utils
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization
from cryptography import x509
import requests

from tests.support import registry
from tests.support import web

_PROGRAM = 'docker-registry'
_ISSUER = 'the lab'
_CONFIG = """\
version: 0.1
log: {{level: warn}}
storage:
  filesystem: {{rootdirectory: {storage}}}
http:
  addr: 127.0.0.1:{port}
  tls: {{certificate: {certificate}, key: {certificate}}}
auth:
  token:
    realm: {tokens}token
    service: registry
    issuer: {issuer}
    rootcertbundle: {certificate}
middleware:
  storage:
    - name: redirect
      options: {{baseurl: {store}}}
"""


class _TokenExchange(web.Exchange):
    """A request for a token."""

    server: '_Tokens'

    def do_GET(self) -> None:
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        login = self.headers.get('Authorization')
        self.server.seen.append(login)
        if login != self.server.login:
            self.refuse(401)
            return
        _, name, _ = query['scope'][0].split(':')
        body = json.dumps({'token': self.server.token(name, 'pull')}).encode()
        self.start(200, {'Content-Length': str(len(body))})
        self.wfile.write(body)


class _StoreExchange(web.Exchange):
    """A request for a blob, by its path in the registry's storage."""

    server: '_Store'

    def do_GET(self) -> None:
        self.server.seen.append(self.headers.get('Authorization'))
        super().do_GET()

    def find(self, path: str) -> pathlib.Path:
        return self.server.directory / urllib.parse.unquote(path).lstrip('/')


class _Store(web.Server):

    def __init__(self, *arguments: typing.Any, **options: typing.Any) -> None:
        super().__init__(*arguments, **options)
        self.RequestHandlerClass = _StoreExchange
        self.seen: list[str | None] = []


class _Tokens(web.Server):
    """Signs tokens for those that have the login.

    :ivar login: the header that is wanted.
    """

    def __init__(self, directory: pathlib.Path, login: str | None,
                 **options: typing.Any) -> None:
        super().__init__(directory, **options)
        self.RequestHandlerClass = _TokenExchange
        self.login = login
        self.seen: list[str | None] = []
        pem = (directory / 'certificate.pem').read_bytes()
        self._key = typing.cast(
            ec.EllipticCurvePrivateKey,
            serialization.load_pem_private_key(pem, None))
        self._chain = [base64.b64encode(x509.load_pem_x509_certificate(
            pem).public_bytes(serialization.Encoding.DER)).decode()]

    def token(self, name: str, *actions: str) -> str:
        """A token for a repository (JWT, ES256)."""
        now = int(time.time())
        parts = [_encoded(json.dumps(part).encode()) for part in (
            {'typ': 'JWT', 'alg': 'ES256', 'x5c': self._chain},
            {'iss': _ISSUER, 'aud': 'registry', 'sub': 'somebody',
             'iat': now, 'nbf': now - 60, 'exp': now + 300, 'jti': 'one',
             'access': [{'type': 'repository', 'name': name,
                         'actions': list(actions)}]})]
        signature = self._key.sign('.'.join(parts).encode(),
                                   ec.ECDSA(hashes.SHA256()))
        numbers = b''.join(number.to_bytes(32) for number in (
            utils.decode_dss_signature(signature)))
        return '.'.join((*parts, _encoded(numbers)))


class RegistryServer:
    """The three servers, until they are stopped.

    :param directory: for their files.
    :param login: that the token service wants; None for everybody's.
    :ivar host: host and port of the registry.
    :ivar certificate: that all of them have.
    :ivar store: to which the registry redirects.
    """

    def __init__(self, directory: pathlib.Path,
                 login: tuple[str, str] | None = None) -> None:
        context = web.self_signed(directory)
        self.certificate = str(directory / 'certificate.pem')
        self._storage = directory / 'storage'
        self._storage.mkdir()
        self.tokens = _Tokens(directory, registry.basic(*login)
                              if login else None, context=context)
        self.store = _Store(self._storage, context=context)
        with socket.socket() as free:
            free.bind(('127.0.0.1', 0))
            port = free.getsockname()[1]
        self.host = f'127.0.0.1:{port}'
        config = directory / 'registry.yml'
        config.write_text(_CONFIG.format(
            storage=self._storage, port=port, certificate=self.certificate,
            tokens=self.tokens.url(''), issuer=_ISSUER,
            store=self.store.url('')))
        self._log = (directory / 'registry.log').open('wb')
        self._process = subprocess.Popen(
            [_PROGRAM, 'serve', str(config)], stdout=self._log,
            stderr=subprocess.STDOUT, cwd=directory,
            env={'PATH': os.environ['PATH'],
                 'OTEL_TRACES_EXPORTER': 'none'})
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End all of them."""
        self._process.terminate()
        self._process.wait(30)
        self._log.close()
        self.tokens.stop()
        self.store.stop()

    def push(self, name: str, content: bytes, tag: str, **manifest: typing.Any
             ) -> str:
        """Push a file, as oras does.

        :returns: the digest of its manifest.
        """
        for blob in (content, b'{}'):
            self._push_blob(name, blob)
        body = json.dumps({
            'schemaVersion': 2, 'mediaType': registry.MANIFEST,
            'config': registry.EMPTY, 'layers': [{
                'mediaType': 'application/octet-stream',
                'digest': registry.digest_of(content), 'size': len(content),
                'annotations': {'org.opencontainers.image.title': name}}],
            **manifest}).encode()
        return self.push_manifest(name, tag, body, registry.MANIFEST)

    def push_manifest(self, name: str, tag: str, body: bytes,
                      media_type: str) -> str:
        """Push a manifest or an index.

        :returns: its digest.
        """
        self._send('PUT', name, f'manifests/{tag}', data=body,
                   headers={'Content-Type': media_type})
        return registry.digest_of(body)

    def stored(self, content: bytes) -> pathlib.Path:
        """The file in which it keeps a blob."""
        digest = hashlib.sha256(content).hexdigest()
        return (self._storage / 'docker/registry/v2/blobs/sha256'
                / digest[:2] / digest / 'data')

    def _push_blob(self, name: str, content: bytes) -> None:
        where = self._send('POST', name, 'blobs/uploads/').headers['Location']
        mark = '&' if '?' in where else '?'
        self._send('PUT', name, '', url=f'{where}{mark}digest='
                   + registry.digest_of(content), data=content)

    def _send(self, method: str, name: str, path: str, *, url: str = '',
              headers: dict[str, str] | None = None, **options: typing.Any
              ) -> requests.Response:
        token = self.tokens.token(name, 'pull', 'push')
        answer = requests.request(
            method, url or f'https://{self.host}/v2/{name}/{path}',
            verify=self.certificate, timeout=60, headers={
                'Authorization': f'Bearer {token}', **(headers or {})},
            **options)
        if answer.status_code >= 300:
            raise AssertionError(f'{method} {path}: {answer.status_code} '
                                 f'{answer.text}')
        return answer

    def _wait(self) -> None:
        end = time.monotonic() + 30
        while time.monotonic() < end and self._process.poll() is None:
            try:
                requests.get(f'https://{self.host}/v2/', timeout=5,
                             verify=self.certificate)
                return
            except requests.ConnectionError:
                time.sleep(0.1)
        raise AssertionError('the registry does not answer: '
                             + pathlib.Path(self._log.name).read_text())


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b'=').decode()
