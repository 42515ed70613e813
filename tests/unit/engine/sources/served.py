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

"""A file on a real web server of this process."""

import random
import typing
from unittest import mock

from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.sources import base as sources
from ironic_imagedeploy.engine.sources import http
from ironic_imagedeploy.engine.sources import mirrors
from tests.support import web
from tests.unit.engine import base

MIB = base.MIB
Exchange = web.Exchange


class ServedTestCase(base.EngineTestCase):
    """Has a server with one file, and no pauses between attempts."""

    def setUp(self) -> None:
        super().setUp()
        self.enterContext(mock.patch.object(mirrors, '_PAUSE', 0))
        self.content = random.Random(1).randbytes(5 * MIB + 321)
        self.save('image', self.content)
        self.server = self.serve()
        self.url = self.server.url('image')

    def serve(self) -> web.Server:
        """One more server of the same directory."""
        server = web.Server(self.directory)
        self.addCleanup(server.stop)
        return server

    def opened(self, location: str | None = None, **options: typing.Any
               ) -> http.HttpSource:
        options = {'retries': 2, 'timeout': 5.0, **options}
        return self.enterContext(
            http.HttpSource(location or self.url, **options))

    def streamed(self, source: sources.Source, step: int = 300000) -> bytes:
        """All that its stream gives."""
        content = bytearray()
        buffer = memoryview(bytearray(step))
        stream = source.open_stream()
        try:
            while count := stream.readinto(buffer):
                content += buffer[:count]
        finally:
            stream.close()
        return bytes(content)

    def assert_fails(self, kind: type[exceptions.SourceError], *words: str,
                     location: str | None = None, **options: typing.Any
                     ) -> exceptions.SourceError:
        """Opening it, or reading it to its end, fails like that."""
        with self.assertRaises(exceptions.SourceError) as caught:
            self.streamed(self.opened(location, **options))
        self.assertIs(kind, type(caught.exception), str(caught.exception))
        self.assert_complete(caught.exception)
        for word in words:
            self.assertIn(word, str(caught.exception))
        return caught.exception
