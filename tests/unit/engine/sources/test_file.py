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
import pathlib
import random

from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.sources import file
from tests.unit.engine import base

MIB = base.MIB


class FileSourceTest(base.EngineTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.content = random.Random(1).randbytes(3 * MIB + 5)
        self.path = self.save('image', self.content)

    def opened(self, location: str | None = None) -> file.FileSource:
        return self.enterContext(file.FileSource(location or self.path))

    def streamed(self, source: file.FileSource, step: int = 100000) -> bytes:
        """All that its stream gives."""
        content = bytearray()
        buffer = memoryview(bytearray(step))
        stream = source.open_stream()
        while count := stream.readinto(buffer):
            content += buffer[:count]
        stream.close()
        return bytes(content)

    def test_a_file_of_somebody_else(self) -> None:
        path = self.save('image', b'content')
        pathlib.Path(path).chmod(0)
        user = os.geteuid()
        if not user:
            os.seteuid(65534)
            self.addCleanup(os.seteuid, user)
        with self.assertRaises(exceptions.SourceError) as caught:
            file.FileSource(path)
        self.assertEqual('Permission denied', caught.exception.found)
        self.assertIn('root', caught.exception.fix)

    def test_what_it_is(self) -> None:
        source = self.opened()
        self.assertEqual(
            (self.path, len(self.content), True, 0, None, None),
            (source.name, source.size, source.random_access, source.resumes,
             source.declared_format, source.declared_checksum))

    def test_read_at(self) -> None:
        source = self.opened()
        for offset, length in ((0, 1), (0, len(self.content)), (MIB, 77),
                               (len(self.content), 0)):
            self.assertEqual(self.content[offset:offset + length],
                             source.read_at(offset, length))

    def test_read_at_beyond_the_end(self) -> None:
        source = self.opened()
        for offset, length in ((len(self.content), 1), (3 * MIB, 6),
                               (1 << 60, 1)):
            with self.assertRaises(exceptions.SourceTruncated) as caught:
                source.read_at(offset, length)
            self.assert_complete(caught.exception)

    def test_the_stream_is_the_file(self) -> None:
        source = self.opened()
        for step in (1 << 20, 65537, 10 << 20):
            self.assertEqual(self.content, self.streamed(source, step))

    def test_an_empty_file(self) -> None:
        source = self.opened(self.save('empty', b''))
        self.assertEqual((0, b''), (source.size, self.streamed(source)))

    def test_a_name_with_escapes(self) -> None:
        path = self.save('a b%20ü', b'x')
        quoted = path.replace('%', '%25').replace(' ', '%20').replace(
            'ü', '%C3%BC')
        for location in (path, f'file://{quoted}'):
            self.assertEqual(1, self.opened(location).size)

    def test_nothing_there(self) -> None:
        for location in (f'{self.path}.x', '', f'file://{self.path}.x'):
            with self.assertRaises(exceptions.SourceNotFound) as caught:
                file.FileSource(location)
            self.assert_complete(caught.exception)

    def test_what_is_no_file(self) -> None:
        os.mkfifo(self.directory / 'pipe')
        for location in (str(self.directory), str(self.directory / 'pipe'),
                         '/dev/null', 'a\0b', 'x' * 5000, 'file://[x/'):
            with self.subTest(location=location[:30]), self.assertRaises(
                    exceptions.SourceError) as caught:
                file.FileSource(location)
            self.assert_complete(caught.exception)

    def test_a_file_of_another_machine(self) -> None:
        with self.assertRaises(exceptions.SourceError) as caught:
            file.FileSource('file://elsewhere/image')
        self.assertIn('elsewhere', str(caught.exception))

    def test_a_file_that_is_written_meanwhile(self) -> None:
        for change in (lambda handle: handle.truncate(MIB),
                       lambda handle: handle.seek(0, 2) and handle.write(
                           b'more'),
                       lambda handle: handle.write(b'other')):
            self.save('image', self.content)
            source = self.opened()
            stream = source.open_stream()
            buffer = memoryview(bytearray(MIB))
            stream.readinto(buffer)
            with open(self.path, 'r+b') as handle:
                change(handle)
            with self.assertRaises(exceptions.SourceChanged) as caught:
                while stream.readinto(buffer):
                    pass
            self.assert_complete(caught.exception)

    def test_no_descriptor_is_left(self) -> None:
        with file.FileSource(self.path) as source:
            self.streamed(source)
            self.assertEqual({str(self.path)}, self.descriptors())
        for location in ('/dev/null', str(self.directory), 'none'):
            self.assertRaises(exceptions.SourceError, file.FileSource,
                              location)
        self.assertEqual(set(), self.descriptors())

    def descriptors(self) -> set[str]:
        """Which of the test's paths this process has open."""
        return {path for path in (
            os.path.realpath(link) for link in pathlib.Path(
                '/proc/self/fd').iterdir())
            if path.startswith(str(self.directory))}
