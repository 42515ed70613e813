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

"""What the functional tests stand on: directories, disks, the program."""

from collections.abc import Iterator
import contextlib
import dataclasses
import hashlib
import io
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import typing
import unittest

from ironic_imagedeploy.cmd import imagedeploy

MIB = 1 << 20
#: What disks hold before a test: a byte that is forgotten shows.
OLD = 0xa5
_CHUNK = 4 * MIB
#: Where no TMPDIR is set: memory, which spares the machine's disk.
_MEMORY = pathlib.Path('/dev/shm')
PROGRAM = pathlib.Path(sys.executable).with_name('ironic-imagedeploy')


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a run of the program ended."""

    status: int
    stdout: str
    stderr: str

    @property
    def json(self) -> typing.Any:
        """Standard output as JSON."""
        return json.loads(self.stdout)


@dataclasses.dataclass(frozen=True)
class Disk:
    """A loop device and the file behind it.

    :ivar size: bytes.
    """

    device: str
    backing: pathlib.Path
    size: int


class FunctionalTestCase(unittest.TestCase):
    """Real disks, real files and the real program."""

    def setUp(self) -> None:
        super().setUp()
        if os.geteuid() != 0:
            self.skipTest('loop devices are for root only')
        self.directory = make_directory()
        self.addCleanup(shutil.rmtree, self.directory)

    def disk(self, size: int, *, sector_size: int = 512,
             read_only: bool = False) -> Disk:
        """A loop device full of old bytes, gone with the test."""
        backing = self.directory / f'disk-{time.monotonic_ns()}'
        fill(backing, size)
        device = attach(backing, sector_size=sector_size,
                        read_only=read_only)
        self.addCleanup(run, 'losetup', '-d', device)
        return Disk(device, backing, size)

    @contextlib.contextmanager
    def attached(self, backing: pathlib.Path, sector_size: int = 512
                 ) -> Iterator[str]:
        """A file as a disk, for a while."""
        device = attach(backing, sector_size=sector_size)
        try:
            yield device
        finally:
            run('losetup', '-d', device)

    def invoke(self, *arguments: typing.Any) -> Outcome:
        """Run the program's main function in this process."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                status = imagedeploy.main([str(each) for each in arguments])
            except SystemExit as stop:
                status = stop.code if isinstance(stop.code, int) else 1
        return Outcome(status, out.getvalue(), err.getvalue())

    def execute(self, *arguments: typing.Any) -> Outcome:
        """Run the installed program as a user does."""
        done = subprocess.run([PROGRAM, *map(str, arguments)], text=True,
                              capture_output=True, timeout=300)
        return Outcome(done.returncode, done.stdout, done.stderr)

    def assert_status(self, status: int, outcome: Outcome) -> None:
        """The exit status, with what was said when it is another."""
        self.assertEqual(status, outcome.status,
                         f'\n{outcome.stdout}\n{outcome.stderr}')
        self.assertNotIn('Traceback', outcome.stderr)

    def assert_one_sentence(self, outcome: Outcome, *words: str) -> None:
        """Standard error is one line that has these words in it."""
        self.assertEqual(1, len(outcome.stderr.splitlines()), outcome.stderr)
        for word in words:
            self.assertIn(word, outcome.stderr)

    def assert_written(self, raw: pathlib.Path, disk: Disk) -> None:
        """The disk holds the image; beyond it only its ends are wiped.

        :param raw: what the image's guest sees.
        """
        size = raw.stat().st_size
        self.assertIsNone(first_difference(raw, disk.backing, size),
                          'first byte that differs')
        start, end = max(size, MIB), max(size, disk.size - MIB)
        self.assertTrue(holds(disk.backing, size, start, 0),
                        "the disk's first MiB is not wiped")
        self.assertTrue(holds(disk.backing, start, end, OLD),
                        'bytes between the image and the last MiB changed')
        self.assertTrue(holds(disk.backing, end, disk.size, 0),
                        "the disk's last MiB is not wiped")

    def assert_untouched(self, disk: Disk) -> None:
        """Every byte is the old one."""
        self.assertTrue(holds(disk.backing, 0, disk.size, OLD),
                        'the target was touched')

    def assert_boots_nothing(self, disk: Disk) -> None:
        """The first and the last MiB are zero."""
        self.assertTrue(holds(disk.backing, 0, MIB, 0),
                        'the first MiB is not zero')
        self.assertTrue(holds(disk.backing, disk.size - MIB, disk.size, 0),
                        'the last MiB is not zero')


def make_directory() -> pathlib.Path:
    """A fresh directory, in memory unless TMPDIR says where."""
    parent = None
    if 'TMPDIR' not in os.environ and os.access(_MEMORY, os.W_OK):
        parent = _MEMORY
    return pathlib.Path(tempfile.mkdtemp(prefix='imagedeploy-', dir=parent))


def run(*command: str | pathlib.Path) -> str:
    """Standard output of a tool that must succeed."""
    done = subprocess.run(command, text=True, capture_output=True,
                          timeout=1200)
    if done.returncode:
        said = (done.stdout + done.stderr)[-500:]
        raise AssertionError(f'{command[0]} failed: {said}')
    return done.stdout.strip()


def attach(backing: pathlib.Path, *, sector_size: int = 512,
           read_only: bool = False) -> str:
    """The loop device that a file was attached to.

    Others attach devices too: losetup may lose the race for a free one.
    """
    options = ['-b', str(sector_size), *(['-r'] if read_only else [])]
    for attempt in range(20):
        try:
            return run('losetup', '-f', '--show', *options, backing)
        except AssertionError:
            if attempt == 19:
                raise
            time.sleep(0.1)
    raise AssertionError('unreachable')


def checksum(path: pathlib.Path, algorithm: str = 'sha512') -> str:
    """The checksum of a file, as options take it."""
    with path.open('rb') as file:
        digest = hashlib.file_digest(file, algorithm)
    return f'{algorithm}:{digest.hexdigest()}'


def fill(path: pathlib.Path, size: int, byte: int = OLD) -> None:
    """Make a file of one byte, again and again."""
    block = bytes([byte]) * _CHUNK
    with path.open('wb') as file:
        for start in range(0, size, _CHUNK):
            file.write(block[:size - start])


def holds(path: pathlib.Path, start: int, end: int, byte: int) -> bool:
    """Whether all bytes in that range of the file are this one."""
    block = bytes([byte]) * _CHUNK
    return all(chunk == block[:len(chunk)]
               for chunk in _chunks(path, start, end))


def first_difference(one: pathlib.Path, other: pathlib.Path, size: int
                     ) -> int | None:
    """Offset of the first byte, of that many, that two files differ in."""
    position = 0
    for ours, theirs in zip(_chunks(one, 0, size), _chunks(other, 0, size),
                            strict=True):
        if ours != theirs:
            return position + next(
                index for index, (a, b) in enumerate(
                    zip(ours, theirs, strict=True))
                if a != b)
        position += len(ours)
    return None


def _chunks(path: pathlib.Path, start: int, end: int) -> Iterator[bytes]:
    with path.open('rb') as file:
        file.seek(start)
        while start < end:
            chunk = file.read(min(_CHUNK, end - start))
            if not chunk:
                raise AssertionError(f'{path} ends at {start}, before {end}')
            yield chunk
            start += len(chunk)


def first_bytes(path: str | pathlib.Path, length: int) -> bytes:
    """How a disk begins."""
    with open(path, 'rb') as disk:
        return disk.read(length)
