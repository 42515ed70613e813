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

"""A registry as the OCI distribution specification has it, to read from.

It is as good or bad as a test tells it to be; tests/functional have the real
one.
"""

import base64
import hashlib
import json
import pathlib
import typing
import urllib.parse

from tests.support import web

INDEX = 'application/vnd.oci.image.index.v1+json'
MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
EMPTY = {'mediaType': 'application/vnd.oci.empty.v1+json', 'size': 2,
         'digest': 'sha256:' + hashlib.sha256(b'{}').hexdigest()}
TOKEN = 'a.token-that.is_secret'


def digest_of(content: bytes) -> str:
    """Digest as registries write it."""
    return f'sha256:{hashlib.sha256(content).hexdigest()}'


def basic(user: str, password: str) -> str:
    """Header of a login (RFC 7617)."""
    return 'Basic ' + base64.b64encode(
        f'{user}:{password}'.encode()).decode()


class Exchange(web.Exchange):
    """A request to the registry, or to its token service."""

    server: 'Registry'

    def do_GET(self) -> None:
        url = urllib.parse.urlsplit(self.path)
        self.server.asked.append((self.command, url.path,
                                  self.headers.get('Authorization')))
        if url.path == '/token':
            self._give_token(urllib.parse.parse_qs(url.query))
        elif not url.path.startswith('/v2/'):
            self.refuse(404)
        elif self.server.challenge and self.headers.get(
                'Authorization') != self.server.authorization:
            self.refuse(401, {'WWW-Authenticate': self.server.challenge})
        else:
            self._give(url.path.removeprefix('/v2/'))

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers['Content-Length']))
        self.server.asked.append((self.command, self.path, None))
        self._give_token(urllib.parse.parse_qs(content.decode()))

    def send(self, content: bytes, media_type: str = 'application/json'
             ) -> None:
        """Answer with a small document."""
        self.start(200, {'Content-Type': media_type,
                         'Content-Length': str(len(content))})
        self.wfile.write(content)

    def _give_token(self, query: dict[str, list[str]]) -> None:
        self.server.token_queries.append(query)
        wanted = self.server.login
        if wanted and self.headers.get('Authorization') != wanted and (
                query.get('refresh_token') != [wanted]):
            self.refuse(401)
            return
        self.send(json.dumps(self.server.token_answer).encode())

    def _give(self, path: str) -> None:
        name, _, rest = path.rpartition('/')
        if not path:
            self.send(b'{}')
        elif name.endswith('/manifests'):
            self._give_manifest(rest)
        elif name.endswith('/blobs'):
            self._give_blob(rest.partition(':')[2])
        elif path.endswith('/tags/list'):
            self.send(json.dumps({'name': 'x', 'tags': [
                each for each in self.server.manifests
                if ':' not in each]}).encode())
        else:
            self.refuse(404)

    def _give_manifest(self, wanted: str) -> None:
        content = self.server.manifests.get(wanted)
        if content is None:
            self.refuse(404)
            return
        media_type = INDEX if b'"manifests"' in content else MANIFEST
        self.start(200, {'Content-Type': media_type,
                         'Docker-Content-Digest': digest_of(content),
                         'Content-Length': str(len(content))})
        self.wfile.write(content)

    def _give_blob(self, name: str) -> None:
        self.file = self.server.directory / name
        if not self.file.is_file():
            self.refuse(404)
        elif self.server.store:
            self.refuse(307, {'Location': self.server.store.url(
                f'{name}?signature=of-the-store')})
        else:
            self.server.requests.append(self.headers.get('Range', ''))
            try:
                self.server.answer(typing.cast(web.Exchange, self))
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True


class Registry(web.Server):
    """A registry on the loopback interface, asked by http.

    :ivar manifests: by tag and digest, of any name.
    :ivar challenge: what it asks for before it answers; empty for nothing.
    :ivar authorization: what it wants then.
    :ivar login: what its token service wants; None for nothing.
    :ivar token_answer: what that gives.
    :ivar store: to which it redirects for blobs.
    :ivar asked: method, path and Authorization of each request.
    :ivar token_queries: what its token service was asked.
    """

    def __init__(self, directory: pathlib.Path) -> None:
        super().__init__(directory)
        self.RequestHandlerClass = Exchange
        self.manifests: dict[str, bytes] = {}
        self.challenge = ''
        self.authorization = f'Bearer {TOKEN}'
        self.login: str | None = None
        self.token_answer: typing.Any = {'token': TOKEN}
        self.store: web.Server | None = None
        self.asked: list[tuple[str, str, str | None]] = []
        self.token_queries: list[dict[str, list[str]]] = []

    @property
    def host(self) -> str:
        """Host and port."""
        return f'127.0.0.1:{self.server_port}'

    def ask_for_tokens(self, login: str | None = None) -> None:
        """Want a token from now on, which is given for this login."""
        self.login = login
        self.challenge = (f'Bearer realm="http://{self.host}/token",'
                          'service="the registry",'
                          'scope="repository:disks/debian:pull"')

    def push(self, content: bytes, tag: str = '12', *, title: str = '',
             kind: str | None = None, **manifest: typing.Any) -> str:
        """Have a file, and a manifest of it, as oras makes them.

        :param title: name of the file.
        :param kind: annotation ``disktype``.
        :param manifest: keys instead of what is right.
        :returns: the digest of the manifest.
        """
        layer = {
            'mediaType': 'application/octet-stream', 'size': len(content),
            'digest': digest_of(content), 'annotations': {
                'org.opencontainers.image.title': title or 'disk'}}
        (self.directory / layer['digest'].partition(':')[2]).write_bytes(
            content)
        return self.tag(tag, {
            'schemaVersion': 2, 'mediaType': MANIFEST,
            'artifactType': 'application/vnd.unknown.artifact.v1',
            'config': EMPTY, 'layers': [layer],
            'annotations': {'disktype': kind} if kind else {}, **manifest})

    def tag(self, tag: str, document: typing.Any) -> str:
        """Have a manifest or an index under a tag, and under its digest."""
        content = json.dumps(document).encode()
        digest = digest_of(content)
        self.manifests[tag] = self.manifests[digest] = content
        return digest

    def push_index(self, *entries: tuple[bytes, str | None, str | None],
                   tag: str = '12') -> str:
        """Have an index of files.

        :param entries: content, processor and kind of disk of each.
        """
        listed = []
        for content, processor, kind in entries:
            digest = self.push(content, tag='part')
            del self.manifests['part']
            listed.append({
                'mediaType': MANIFEST, 'digest': digest,
                'size': len(self.manifests[digest]),
                **({'platform': {'architecture': processor, 'os': 'linux'}}
                   if processor else {}),
                **({'annotations': {'disktype': kind}} if kind else {})})
        return self.tag(tag, {'schemaVersion': 2, 'mediaType': INDEX,
                              'manifests': listed})
