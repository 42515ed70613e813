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

import unittest

from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine import sources
from ironic_imagedeploy.engine.sources import base as _base
from ironic_imagedeploy.engine.sources import file
from tests.unit.engine import base
from tests.unit.engine import memory


class RedactTest(base.EngineTestCase):

    def test_what_is_secret_goes(self) -> None:
        for url, shown in (
                ('https://example.com/disk.qcow2',
                 'https://example.com/disk.qcow2'),
                ('https://user:word@example.com:8443/a/b',
                 'https://example.com:8443/a/b'),
                ('http://example.com/a?temp_url_sig=abc&temp_url_expires=1',
                 'http://example.com/a'),
                ('http://example.com/a#secret', 'http://example.com/a'),
                ('https://u%40x:p@ss@[::1]:80/a?x', 'https://[::1]:80/a'),
                ('my_http://user:word@example.com/a?b',
                 'my_http://example.com/a'),
                ('glance:1234', 'glance:1234'), ('/a/path', '/a/path'),
                ('https://user:secret/@host/a', 'https://***'),
                ('https://host:/a', 'https://host:/a'),
                ('https://[::1:2]/a', 'https://[::1:2]/a'),
                ('oci://', 'oci://'), (' oci:///a?b', 'oci:///a'),
                ('file:///a', 'file:///a'), ('//u@h/a', '//h/a')):
            self.assertEqual(shown, _base.redact(url))

    def test_what_is_no_url(self) -> None:
        for url in ('http://[::1', 'http://u:secret@[x/a',
                    'http://u:secret@exam\u2100ple.com/'):
            with self.assertRaises(exceptions.SourceError) as caught:
                _base.redact(url)
            self.assert_complete(caught.exception)
            self.assertNotIn('secret', str(caught.exception))


class SourceTest(unittest.TestCase):

    def test_what_a_source_must_have(self) -> None:
        """What reads at offsets, and what reads in sequence."""
        def nothing(self: object) -> None:
            """Do nothing."""

        for name in ('read_at', 'open_stream'):
            kind = type('Half', (_base.Source,), {name: nothing})
            self.assertRaises(TypeError, kind)


class SecretTest(unittest.TestCase):

    def test_whose_secrets_a_server_may_know(self) -> None:
        known = 'http://b.com/x'
        for url, of, may in (
                ('http://b.com:80/y', known, True),
                ('https://b.com/y', known, True),
                ('https://b.com:443/y', known, True),
                ('https://b.com:8443/y', known, False),
                ('https://a.com/y', known, False),
                ('http://a.com/y', known, False),
                ('http://c.com/y', known, False),
                ('http://b.com:79/y', known, False),
                ('http://b.com:81/y', known, False),
                ('ftp://b.com/y', known, False),
                ('http://b.com/y', 'https://b.com/x', False),
                ('https://b.com/y', 'http://b.com:8080/x', False),
                ('https://b.com/y', 'ftp://b.com:80/x', False)):
            with self.subTest(url=url, of=of):
                self.assertIs(may, _base.may_know_secrets(url, of=of))


class OriginTest(base.EngineTestCase):

    def test_the_same(self) -> None:
        for one, other in (
                ('http://example.com/a', 'HTTP://Example.COM/b?c#d'),
                ('https://user:word@example.com:8443/',
                 'https://example.com:8443/')):
            self.assertEqual(_base.origin(one), _base.origin(other))

    def test_a_port_that_is_none(self) -> None:
        for url in ('http://u:secret@example.com:99999/a', 'http://x:y/'):
            with self.subTest(url), self.assertRaises(
                    exceptions.SourceError) as caught:
                _base.origin(url)
            self.assert_complete(caught.exception)
            self.assertNotIn('secret', str(caught.exception))

    def test_others(self) -> None:
        origin = _base.origin('https://example.com/a')
        for url in ('http://example.com/a', 'https://example.org/a',
                    'https://example.com:8443/a', 'glance:1234', '/a',
                    'https://example.com@example.org/a'):
            self.assertNotEqual(origin, _base.origin(url))

    def test_what_is_no_url(self) -> None:
        for url in ('http://[::1', 'http://u:secret/x@host/a',
                    'http://host:65536/'):
            with self.assertRaises(exceptions.SourceError) as caught:
                _base.origin(url)
            self.assert_complete(caught.exception)
            self.assertNotIn('secret', str(caught.exception))


class OpenTest(base.EngineTestCase):

    def test_paths_and_urls_of_files(self) -> None:
        path = self.save('image', b'content')
        for location in (path, f'file://{path}', f'FILE://{path}',
                         f'file://localhost{path}', f'File:{path}'):
            with self.subTest(location=location), sources.open_source(
                    location, mirrors=['http://x/'], retries=0,
                    timeout=1.0, verify=False) as source:
                self.assertIsInstance(source, file.FileSource)
                self.assertEqual(b'content', source.read_at(0, 7))

    def test_a_path_with_a_colon(self) -> None:
        path = self.save('http:image', b'content')
        with sources.open_source(path) as source:
            self.assertEqual(7, source.size)

    def test_what_cannot_be_opened(self) -> None:
        for location in ('ftp://example.com/a', 'a:b', ':', 'http://[::1',
                         'file://[x/', 'data:,x'):
            with self.subTest(location=location), self.assertRaises(
                    exceptions.SourceError) as caught:
                sources.open_source(location)
            self.assert_complete(caught.exception)

    def test_no_secret_is_told(self) -> None:
        with self.assertRaises(exceptions.SourceError) as caught:
            sources.open_source('ftp://user:secret@example.com/a?secret')
        self.assertNotIn('secret', str(caught.exception))


class ContextTest(base.EngineTestCase):

    def test_it_is_closed_at_the_end(self) -> None:
        closed = []

        class Source(memory.MemorySource):
            def close(self) -> None:
                closed.append(self)

        with self.assertRaises(KeyError), Source(b'') as source:
            raise KeyError
        self.assertEqual([source], closed)
