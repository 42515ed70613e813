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
import io
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
import typing
import unittest

from ironic_imagedeploy.cmd import imagedeploy
from tests.support import disks
from tests.support import schema

MIB = 1 << 20
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
        self.directory = disks.make_directory()
        self.addCleanup(shutil.rmtree, self.directory)

    def disk(self, size: int, *, sector_size: int = 512,
             read_only: bool = False) -> Disk:
        """A loop device full of old bytes, gone with the test."""
        backing = self.directory / f'disk-{time.monotonic_ns()}'
        disks.fill(backing, size)
        device = disks.attach(backing, sector_size=sector_size,
                              read_only=read_only)
        self.addCleanup(disks.run, 'losetup', '-d', device)
        return Disk(device, backing, size)

    @contextlib.contextmanager
    def attached(self, backing: pathlib.Path, sector_size: int = 512
                 ) -> Iterator[str]:
        """A file as a disk, for a while."""
        device = disks.attach(backing, sector_size=sector_size)
        try:
            yield device
        finally:
            disks.run('losetup', '-d', device)

    def invoke(self, *arguments: typing.Any) -> Outcome:
        """Run the program's main function in this process."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                status = imagedeploy.main([str(each) for each in arguments])
            except SystemExit as stop:
                status = stop.code if isinstance(stop.code, int) else 1
        schema.check(arguments, out.getvalue())
        return Outcome(status, out.getvalue(), err.getvalue())

    def execute(self, *arguments: typing.Any) -> Outcome:
        """Run the installed program as a user does."""
        done = subprocess.run([PROGRAM, *map(str, arguments)], text=True,
                              capture_output=True, timeout=300)
        schema.check(arguments, done.stdout)
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
        self.assertIsNone(disks.first_difference(raw, disk.backing, size),
                          'first byte that differs')
        start, end = max(size, MIB), max(size, disk.size - MIB)
        self.assertTrue(disks.holds(disk.backing, size, start, 0),
                        "the disk's first MiB is not wiped")
        self.assertTrue(disks.holds(disk.backing, start, end, disks.OLD),
                        'bytes between the image and the last MiB changed')
        self.assertTrue(disks.holds(disk.backing, end, disk.size, 0),
                        "the disk's last MiB is not wiped")

    def assert_untouched(self, disk: Disk) -> None:
        """Every byte is the old one."""
        self.assertTrue(disks.holds(disk.backing, 0, disk.size, disks.OLD),
                        'the target was touched')

    def assert_boots_nothing(self, disk: Disk) -> None:
        """The first and the last MiB are zero."""
        self.assertTrue(disks.holds(disk.backing, 0, MIB, 0),
                        'the first MiB is not zero')
        self.assertTrue(
            disks.holds(disk.backing, disk.size - MIB, disk.size, 0),
            'the last MiB is not zero')
