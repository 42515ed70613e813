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


import contextlib
import hashlib
import json
import os
import pathlib
import threading
import typing
from unittest import mock

from tests.unit.cmd import program


class StandardInputTest(program.CommandTestCase):
    """An image that comes on standard input is as any other."""

    @contextlib.contextmanager
    def given(self, descriptor: int) -> typing.Iterator[None]:
        with (open(descriptor) as file,
              mock.patch('sys.stdin', file)):
            yield

    @contextlib.contextmanager
    def piped(self, content: bytes) -> typing.Iterator[None]:
        receiver, sender = os.pipe()

        def feed() -> None:
            with open(sender, 'wb') as pipe, contextlib.suppress(
                    BrokenPipeError):
                pipe.write(content)

        thread = threading.Thread(target=feed)
        thread.start()
        try:
            with self.given(receiver):
                yield
        finally:
            thread.join()

    def assert_written(self) -> None:
        checksum = hashlib.sha256(self.image.read_bytes()).hexdigest()
        self.assertEqual(0, self.run_main(
            'write', '-', self.target, '--json', '--progress', 'none',
            '--checksum', f'sha256:{checksum}'), self.err)
        report = json.loads(self.out)
        self.assertEqual('standard input', report['source'])
        self.assertTrue(report['checksum']['verified'])
        self.assertEqual(self.image.read_bytes(), self.target.read_bytes())

    def test_a_pipe(self) -> None:
        with self.piped(self.image.read_bytes()):
            self.assert_written()
        self.assertIn('comes through a pipe', self.err)

    def test_a_file(self) -> None:
        with self.given(os.open(self.image, os.O_RDONLY)):
            self.assert_written()
        self.assertEqual('', self.err)

    def test_a_file_of_which_a_part_was_read(self) -> None:
        longer = self.directory / 'longer'
        longer.write_bytes(b'line\n' + self.image.read_bytes())
        descriptor = os.open(longer, os.O_RDONLY)
        os.lseek(descriptor, 5, os.SEEK_SET)
        with self.given(descriptor):
            self.assert_written()

    def test_the_copy_leaves_nothing(self) -> None:
        folder = self.directory / 'folder'
        folder.mkdir()
        with (mock.patch.dict(os.environ, TMPDIR=str(folder)),
              self.piped(self.image.read_bytes())):
            self.assertEqual(0, self.run_main('check', '-'), self.err)
        self.assertIn(str(folder), self.err)
        self.assertEqual([], list(folder.iterdir()))

    def test_no_room_for_the_copy(self) -> None:
        with (mock.patch('tempfile.TemporaryFile', autospec=True,
                         side_effect=lambda dir: pathlib.Path(
                             '/dev/full').open('r+b', buffering=0)),
              self.piped(self.image.read_bytes())):
            self.assertEqual(3, self.run_main('check', '-'))
        self.assertIn('No space left', self.err)
        self.assertIn('TMPDIR', self.err)

    def test_no_image(self) -> None:
        with self.piped(b'<html>Not found</html>' * 99):
            self.assertEqual(4, self.run_main('check', '-'))
        _, terminal = os.openpty()
        with self.given(terminal):
            self.assertEqual(3, self.run_main('check', '-'))
        self.assertIn('a terminal', self.err)

    def test_onto_itself(self) -> None:
        redirected = os.open(self.image, os.O_RDONLY)
        before = os.dup(0)
        self.addCleanup(os.close, before)
        self.addCleanup(os.dup2, before, 0)
        os.dup2(redirected, 0)
        os.close(redirected)
        self.assertEqual(2, self.run_main('write', '-', self.image))
        self.assertIn('the same file', self.err)
