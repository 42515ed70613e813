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

import hashlib
import json
import logging
import os
import sys
import time
from unittest import mock
import uuid
import warnings

import openstack

from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.sources import glance
from tests.support import web
from tests.unit.engine import base
from tests.unit.engine import disks
from tests.unit.engine import recording
from tests.unit.engine.sources import served

MIB = base.MIB
IDENTIFIER = str(uuid.UUID(int=7))
CLOUDS = """\
clouds:
  test:
    auth_type: none
    image_endpoint_override: {url}
  other:
    auth_type: none
    image_endpoint_override: http://127.0.0.1:9
"""


class GlanceExchange(web.Exchange):
    """The two calls of Glance's API that count: the record and the file."""

    def do_GET(self) -> None:
        if self.path == self.server.slow_path:
            try:
                self.server.slow_answer(self)
            except OSError:
                self.close_connection = True
        elif self.path.partition('?')[0] == f'/v2/images/{IDENTIFIER}/file':
            self.query = self.path.partition('?')[2]
            self.path = '/image'
            super().do_GET()
        elif self.path == f'/v2/images/{IDENTIFIER}':
            self.send_json(self.server.record)
        elif self.path.startswith('/v2/images/'):
            self.refuse(404)
        else:
            self.send_json({'versions': [{
                'id': 'v2.16', 'status': 'CURRENT', 'links': [
                    {'rel': 'self', 'href': self.server.url('v2/')}]}]})

    def send_json(self, content: object) -> None:
        """Answer with JSON."""
        body = json.dumps(content).encode()
        self.start(200, {'Content-Type': 'application/json',
                         'Content-Length': str(len(body))})
        self.wfile.write(body)


class GlanceTestCase(served.ServedTestCase):
    """A Glance with one image, and a clouds.yaml."""

    def setUp(self) -> None:
        super().setUp()
        logging.disable()
        self.addCleanup(logging.disable, logging.NOTSET)
        # openstacksdk deprecates parts of itself.
        self.enterContext(warnings.catch_warnings())
        warnings.simplefilter('ignore')
        self.content = bytes(disks.mbr(4 * MIB, [(0, 0x83, 2048, 2048)]))
        self.save('image', self.content)
        self.sha512 = hashlib.sha512(self.content).hexdigest()
        self.server.RequestHandlerClass = GlanceExchange
        self.server.slow_path = None
        self.server.record = {
            'id': IDENTIFIER, 'name': 'disk', 'status': 'active',
            'disk_format': 'raw', 'container_format': 'bare',
            'size': len(self.content), 'os_hash_algo': 'sha512',
            'os_hash_value': self.sha512, 'checksum': '0' * 32,
            'visibility': 'public'}
        clouds = self.save('clouds.yaml', CLOUDS.format(
            url=self.server.url('').rstrip('/')).encode())
        environment = {name: value for name, value in os.environ.items()
                       if not name.startswith('OS_')}
        self.enterContext(mock.patch.dict(os.environ, {
            **environment, 'OS_CLIENT_CONFIG_FILE': clouds,
            'OS_CLOUD': 'test'}, clear=True))

    def opened(self, location: str | None = None,  # type: ignore[override]
               **options: object) -> glance.GlanceSource:
        options = {'retries': 2, 'timeout': 5.0, **options}
        source = engine.open_source(location or f'glance:{IDENTIFIER}',
                                    **options)
        assert isinstance(source, glance.GlanceSource)
        return self.enterContext(source)


class GlanceTest(GlanceTestCase):

    def test_what_it_is(self) -> None:
        source = self.opened()
        self.assertEqual(
            (f'glance:{IDENTIFIER}', len(self.content), True, 'raw',
             engine.Checksum('sha512', self.sha512)),
            (source.name, source.size, source.random_access,
             source.declared_format, source.declared_checksum))

    def test_the_stream_is_the_file(self) -> None:
        self.assert_same(self.content, self.streamed(self.opened()))

    def test_read_at(self) -> None:
        self.assertEqual(self.content[440:520],
                         self.opened().read_at(440, 80))
        self.assertEqual(bytes(10), self.opened().read_at(3 * MIB, 10))

    def test_a_drop_is_resumed(self) -> None:
        self.server.answer = web.nth(
            1, lambda exchange: exchange.serve(stop_after=MIB))
        source = self.opened()
        self.assert_same(self.content, self.streamed(source))
        self.assertEqual(1, source.resumes)

    def test_a_whole_deployment(self) -> None:
        inspection = engine.inspect(self.opened())
        target = recording.RecordingTarget(4 * MIB)
        report = engine.transfer(inspection, target)
        self.assert_same(self.content, target.disk)
        self.assertEqual(
            ('sha512', self.sha512, True),
            (report.checksum.algorithm, report.checksum.value,
             report.checksum.verified))

    def test_a_store_that_is_preferred(self) -> None:
        asked = []

        def note(exchange: web.Exchange) -> None:
            asked.append(exchange.query)
            exchange.serve()

        self.server.answer = note
        source = self.opened(f'glance:{IDENTIFIER}?prefer=fast,near-1')
        self.assert_same(self.content, self.streamed(source))
        self.assertEqual({'prefer=fast,near-1'}, set(asked))
        for query in ('prefer=', 'prefer=a/../b', 'x=y', 'prefer=a&b=c'):
            with self.assertRaises(exceptions.SourceError):
                self.opened(f'glance:{IDENTIFIER}?{query}')

    def test_a_store_that_this_glance_does_not_have(self) -> None:
        for status, query, kind, found in (
                (400, '?prefer=far', exceptions.SourceError,
                 'HTTP status 400 for prefer=far'),
                (400, '', exceptions.SourceError, 'HTTP status 400'),
                (404, '?prefer=far', exceptions.SourceNotFound,
                 'HTTP status 404')):
            def answer(exchange: web.Exchange, status: int = status) -> None:
                exchange.refuse(400 if 'Range' in exchange.headers
                                else status)

            self.server.answer = answer
            with self.subTest(found), self.assertRaises(
                    exceptions.SourceError) as caught:
                self.opened(f'glance:{IDENTIFIER}{query}')
            self.assertEqual((kind, found), (type(caught.exception),
                                             caught.exception.found))

    def test_nobody_else_asks_again(self) -> None:
        """How often is up to the source."""
        def drop(exchange: web.Exchange) -> None:
            exchange.close_connection = True

        source = self.opened(retries=0)
        for answer in (drop, lambda exchange: exchange.refuse(503)):
            self.server.answer = answer
            self.server.requests.clear()
            with self.assertRaises(exceptions.SourceUnavailable):
                source.read_at(3 * MIB, 10)
            self.assertEqual(1, len(self.server.requests))

    def test_a_store_without_ranges(self) -> None:
        """Glance says 400 then."""
        def answer(exchange: web.Exchange) -> None:
            if 'Range' in exchange.headers:
                exchange.refuse(400)
            else:
                exchange.serve(ranges=False)

        self.server.answer = answer
        source = self.opened()
        self.assertFalse(source.random_access)
        self.assert_same(self.content, self.streamed(source))

    def test_a_redirect_does_not_get_the_token(self) -> None:
        """A Glance, or a proxy of it, may name the store's own address."""
        url = self.server.url('').rstrip('/')
        self.save('clouds.yaml', f'''\
clouds:
  test:
    auth_type: admin_token
    auth: {{endpoint: "{url}", token: secret}}
    image_endpoint_override: {url}
'''.encode())
        seen = set()

        def note(exchange: web.Exchange) -> None:
            seen.add((exchange.server, exchange.headers.get('X-Auth-Token')))
            exchange.serve()

        self.server.answer = note
        self.assert_same(self.content, self.streamed(self.opened()))
        store = self.serve()
        store.answer = note
        self.server.answer = lambda exchange: exchange.refuse(
            302, {'Location': store.url('image')})
        self.assert_same(self.content, self.streamed(self.opened()))
        self.assertEqual({(self.server, 'secret'), (store, None)}, seen)

    def test_its_record_is_what_is_expected(self) -> None:
        self.server.record['disk_format'] = 'qcow2'
        inspection = engine.inspect(self.opened())
        self.assertEqual(['format-mismatch'], [
            finding.code for finding in inspection.findings])
        self.server.record.update(disk_format='raw',
                                  os_hash_value='0' * 128)
        inspection = engine.inspect(self.opened())
        self.assertRaises(
            exceptions.ChecksumMismatch, engine.transfer, inspection,
            recording.RecordingTarget(4 * MIB))

    def test_a_record_without_a_checksum(self) -> None:
        self.server.record.update(os_hash_algo=None, os_hash_value=None)
        self.assertIsNone(self.opened().declared_checksum)

    def test_a_named_cloud(self) -> None:
        os.environ['OS_CLOUD'] = 'other'
        self.assertEqual(len(self.content), self.opened(cloud='test').size)

    def assert_fails_to_open(self, kind: type[exceptions.SourceError],
                             location: str | None = None,
                             **options: object) -> exceptions.SourceError:
        with self.assertRaises(exceptions.SourceError) as caught:
            self.opened(location, **options)
        self.assertIs(kind, type(caught.exception))
        self.assert_complete(caught.exception)
        return caught.exception

    def test_no_such_image(self) -> None:
        for identifier in (str(uuid.UUID(int=8)), 'no-uuid'):
            error = self.assert_fails_to_open(
                exceptions.SourceNotFound, f'glance:{identifier}')
            self.assertIn(identifier, str(error))

    def test_an_image_without_a_file(self) -> None:
        for status in (204, 403, 404):
            self.server.answer = lambda exchange, status=status: (
                exchange.refuse(status))
            with self.assertRaises(exceptions.SourceError) as caught:
                self.opened()
            self.assertIn(str(status), str(caught.exception))

    def test_a_glance_out_of_order(self) -> None:
        """Our patience is enough: openstacksdk's own is not added to it."""
        for status in (500, 503):
            self.server.requests.clear()
            self.server.answer = lambda exchange, status=status: (
                exchange.refuse(status))
            self.assert_fails_to_open(exceptions.SourceUnavailable)
            self.assertEqual(3, len(self.server.requests))

    def test_a_glance_that_is_not_there(self) -> None:
        self.assert_fails_to_open(exceptions.SourceError, cloud='other')

    def test_a_cloud_that_is_not_configured(self) -> None:
        error = self.assert_fails_to_open(exceptions.SourceError,
                                          cloud='elsewhere')
        self.assertEqual("no cloud 'elsewhere'; clouds.yaml has: test, other",
                         error.found)
        self.assertIn('--os-cloud', error.fix)

    def test_no_cloud_was_chosen(self) -> None:
        del os.environ['OS_CLOUD']
        error = self.assert_fails_to_open(exceptions.SourceError)
        self.assertEqual('that no cloud is configured; clouds.yaml has: test, '
                         'other', error.found)
        self.save('clouds.yaml', b'')
        error = self.assert_fails_to_open(exceptions.SourceError)
        self.assertEqual('that no cloud is configured', error.found)
        self.assertIn('OS_AUTH_URL', error.fix)

    def test_a_cloud_without_credentials(self) -> None:
        self.save('clouds.yaml', b'clouds:\n  test: {}\n')
        error = self.assert_fails_to_open(exceptions.SourceError)
        self.assertIn("credentials for the cloud 'test'", error.found)

    def test_a_record_that_cannot_be_right(self) -> None:
        self.server.record['os_hash_value'] = 'no hexadecimal digits'
        self.assert_fails_to_open(exceptions.SourceError)

    def test_without_openstacksdk(self) -> None:
        with mock.patch.dict(sys.modules, {'openstack': None}):
            error = self.assert_fails_to_open(exceptions.SourceError)
        self.assertIn('pip install openstacksdk', error.fix)


class SlowGlanceTest(GlanceTestCase):
    """A Glance that is never silent, and never done."""

    def test_it_is_given_up(self) -> None:
        record = f'/v2/images/{IDENTIFIER}'
        for path in ('/', record, f'{record}/file'):
            for answer in web.NEVER_ENDING:
                self.server.slow_path = path
                self.server.slow_answer = answer
                began = time.monotonic()
                with self.subTest(path=path, answer=answer):
                    with self.assertRaises(exceptions.SourceError) as caught:
                        engine.inspect(self.opened(
                            timeout=0.5, retries=0, look_timeout=1.0))
                    self.assertLess(time.monotonic() - began, 6)
                    self.assert_complete(caught.exception)

    def test_a_record_without_an_end(self) -> None:
        sent = []

        def answer(exchange: web.Exchange) -> None:
            exchange.start(200, {'Content-Type': 'application/json'})
            while not exchange.server.stopping.is_set():
                exchange.wfile.write(b' ' * MIB)
                sent.append(MIB)

        self.server.slow_path = f'/v2/images/{IDENTIFIER}'
        self.server.slow_answer = answer
        self.assertRaises(exceptions.SourceError, self.opened)
        self.assertLess(sum(sent), 60 * MIB)

    def test_what_a_user_of_clouds_yaml_set_stays(self) -> None:
        with open(os.environ['OS_CLIENT_CONFIG_FILE'], 'a') as file:
            file.write('  patient:\n    api_timeout: 2\n    auth_type: none\n'
                       f'    image_endpoint_override: {self.server.url("")}\n')
        connection = openstack.connect(cloud='patient')
        engine.limit_service(connection, 60)
        self.assertEqual(2, connection.session.timeout)
