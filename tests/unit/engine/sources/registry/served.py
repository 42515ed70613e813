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

import os
import typing
from unittest import mock

from ironic_imagedeploy import engine
from ironic_imagedeploy.engine.sources import mirrors
from ironic_imagedeploy.engine.sources.registry import oci
from tests.support import registry
from tests.support import web
from tests.unit.engine.sources import served


class RegistryTestCase(served.ServedTestCase):
    """A registry with one image, and a home without logins."""

    def setUp(self) -> None:
        super().setUp()
        self.blobs = self.directory / 'blobs'
        self.blobs.mkdir()
        self.registry = registry.Registry(self.blobs)
        self.addCleanup(self.registry.stop)
        self.registry.push(self.content)
        self.location = f'oci://{self.registry.host}/disks/debian:12'
        self.enterContext(mock.patch.dict(os.environ, {
            'HOME': str(self.directory), 'XDG_RUNTIME_DIR': '',
            'XDG_CONFIG_HOME': '', 'DOCKER_CONFIG': '',
            'REGISTRY_AUTH_FILE': ''}))
        self.enterContext(mock.patch.object(mirrors, '_PAUSE', 0))

    def opened(self, location: str | None = None,  # type: ignore[override]
               **options: typing.Any) -> oci.OciSource:
        options = {'retries': 2, 'timeout': 5.0, **options}
        source = engine.open_source(location or self.location, **options)
        assert isinstance(source, oci.OciSource)
        return self.enterContext(source)

    def log_in(self, user: str = 'user', password: str = 'a secret',
               **entry: str) -> None:
        """Have a login to the registry where podman keeps it."""
        auth = registry.basic(user, password).partition(' ')[2]
        self.write_logins({'auths': {
            self.registry.host: entry or {'auth': auth}}})

    def write_logins(self, config: typing.Any) -> None:
        """Have a file of logins."""
        folder = self.directory / '.config' / 'containers'
        folder.mkdir(parents=True, exist_ok=True)
        (folder / 'auth.json').write_text(
            config if isinstance(config, str) else registry.json.dumps(
                config))

    def blob_store(self) -> tuple[web.Server, list[str | None]]:
        """A server to redirect to, and the logins that it is told."""
        seen: list[str | None] = []

        def note(exchange: web.Exchange) -> None:
            seen.append(exchange.headers.get('Authorization'))
            exchange.serve()

        store = web.Server(self.blobs)
        self.addCleanup(store.stop)
        store.answer = note
        self.registry.store = store
        return store, seen
