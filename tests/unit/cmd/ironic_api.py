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

"""Ironic's own API with a database, and a cloud that names it."""

import io
import json
import logging
import os
import pathlib
import tempfile
import threading
from unittest import mock
from wsgiref import simple_server

import fixtures
from testtools import content
from testtools import content_type

from tests.unit import conductor  # noqa: F401 (before Ironic)

from ironic.api import app
from ironic.tests.unit.db import base

from tests.support import loggers


class _Handler(simple_server.WSGIRequestHandler):

    def log_message(self, format, *args):
        """Keep it for a test that fails."""
        self.server.exchanges.append(format % args)

    def get_stderr(self):
        """Where the application tells what went wrong."""
        return self.server.errors


class ApiTestCase(base.DbTestCase):
    """The cloud ``lab`` has the API, the cloud ``gone`` has none."""

    block_execute = False

    def setUp(self):
        super().setUp()
        loggers.enable()
        self.config(auth_strategy='noauth')
        server = simple_server.make_server(
            '127.0.0.1', 0, app.VersionSelectorApplication(),
            handler_class=_Handler)
        server.exchanges, server.errors = [], io.StringIO()
        self.addDetail('Ironic was asked', content.Content(
            content_type.UTF8_TEXT, lambda: [
                '\n'.join([*server.exchanges, server.errors.getvalue()])
                .encode()]))
        self.useFixture(fixtures.FakeLogger('keystoneauth',
                                            level=logging.DEBUG))
        threading.Thread(target=server.serve_forever, args=(0.05,),
                         daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = pathlib.Path(directory.name)
        clouds = self.directory / 'clouds.yaml'
        clouds.write_text(json.dumps({'clouds': {'lab': {
            'auth_type': 'none', 'baremetal_endpoint_override':
            f'http://user:verysecret@127.0.0.1:{server.server_port}'},
            'gone': {'auth_type': 'none', 'baremetal_endpoint_override':
                     'http://user:verysecret@127.0.0.1:1'}}}))
        patched = mock.patch.dict(
            os.environ, OS_CLIENT_CONFIG_FILE=str(clouds), TERM='xterm')
        patched.start()
        self.addCleanup(patched.stop)
