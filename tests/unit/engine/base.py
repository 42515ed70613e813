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

"""What the tests of the engine stand on."""

from collections.abc import Iterator
import contextlib
import os
import pathlib
import subprocess
import tempfile
import threading
import unittest
from unittest import mock

from ironic_imagedeploy import engine

KIB = 1 << 10
MIB = 1 << 20
SECTOR = 512
_MEMORY = pathlib.Path('/dev/shm')


class EngineTestCase(unittest.TestCase):
    """Has a directory, and leaves no thread behind."""

    def setUp(self) -> None:
        super().setUp()
        memory = _MEMORY if os.access(_MEMORY, os.W_OK) else None
        self.directory = pathlib.Path(self.enterContext(
            tempfile.TemporaryDirectory(
                prefix='imagedeploy-',
                dir=None if 'TMPDIR' in os.environ else memory)))
        self._threads = set(threading.enumerate())

    def save(self, name: str, content: bytes | bytearray) -> str:
        """The path of a file with that content."""
        path = self.directory / name
        path.write_bytes(content)
        return str(path)

    def open(self, content: bytes | bytearray) -> engine.Source:
        """A file with that content, as a source."""
        return self.enterContext(engine.open_source(
            self.save('image', content)))

    def assert_no_threads(self) -> None:
        """Whatever was started has ended."""
        self.assertEqual(set(), set(threading.enumerate()) - self._threads)

    @contextlib.contextmanager
    def few_threads(self, left: int) -> Iterator[None]:
        """Let so many more threads start, as where memory is short."""
        start, lock = threading.Thread.start, threading.Lock()

        def limited(thread: threading.Thread) -> None:
            nonlocal left
            with lock:
                if not left:
                    raise RuntimeError("can't start new thread")
                left -= 1
            start(thread)

        with mock.patch.object(threading.Thread, 'start', limited):
            yield

    def assert_complete(self, error: BaseException | engine.Finding) -> None:
        """It says what was expected, what was found and what to do."""
        for name in ('expected', 'found', 'fix'):
            self.assertTrue(getattr(error, name), name)

    def assert_holds(self, content: bytes | bytearray, byte: int) -> None:
        """All of it is this byte."""
        self.assertEqual(len(content), content.count(byte))

    def assert_same(self, one: bytes | bytearray, other: bytes | bytearray
                    ) -> None:
        """Equal, without a report of megabytes when not."""
        self.assertEqual(len(one), len(other))
        if one != other:
            at = next(index for index, (a, b) in enumerate(
                zip(one, other, strict=True)) if a != b)
            self.fail(f'different from byte {at} on')


def run(*command: str | pathlib.Path, text: str | None = None) -> str:
    """Standard output of a tool that must succeed."""
    done = subprocess.run(command, input=text, text=True,
                          capture_output=True, timeout=300)
    if done.returncode:
        raise AssertionError(f'{command[0]} failed: {done.stderr[-500:]}')
    return done.stdout
