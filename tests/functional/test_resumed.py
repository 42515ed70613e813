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

"""A write that is killed costs little: the next one goes on."""

import json
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time
import typing

from ironic_imagedeploy.engine import checksum
from ironic_imagedeploy.engine import manifest_builder
from tests.functional import base
from tests.support import disks
from tests.support import images
from tests.support import web

MIB = base.MIB
SIZE = 128 * MIB
#: Seconds of the server for 256 KiB, on each connection.
SLOW = 0.03
SEEDS = range(2)


class ResumedTestCase(base.FunctionalTestCase):
    """Processes that write to a loop device from a slow server."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.shared = disks.make_directory()
        cls.addClassCleanup(shutil.rmtree, cls.shared)
        cls.guest = images.make_guest(cls.shared / 'raw', SIZE, seed=21,
                                      label='gpt')
        fill_half(cls.guest)
        images.convert(cls.guest, cls.shared / 'qcow2', compress=True)
        images.convert(cls.guest, cls.shared / 'plain')

    def setUp(self) -> None:
        super().setUp()
        self.server = web.Server(self.shared)
        self.addCleanup(self.server.stop)
        self.server.answer = self.slowly
        self.sent = 0
        self.pause = SLOW / 4
        self.target = self.disk(SIZE + 2 * MIB)
        self.journals = self.directory / 'journals'

    def slowly(self, exchange: web.Exchange) -> None:
        """Serve, and count what is sent."""
        write = exchange.wfile.write

        def slow(content: bytes) -> int:
            time.sleep(self.pause)
            self.sent += len(content)
            return write(content)
        exchange.wfile.write = slow
        exchange.serve()

    def start(self, name: str) -> 'subprocess.Popen[str]':
        """Begin to write an image."""
        image = self.shared / name
        path = self.directory / f'{name}.manifest'
        if not path.exists():
            path.write_bytes(manifest_of(image))
        process = subprocess.Popen(
            [sys.executable, '-m', 'tests.functional.writing',
             self.server.url(name), path, self.target.device,
             self.journals], text=True, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def finish(self, process: 'subprocess.Popen[str]') -> typing.Any:
        """The report of a write that succeeds."""
        output, errors = process.communicate(timeout=300)
        self.assertEqual(0, process.returncode, errors[-2000:])
        return json.loads(output)

    def kill(self, process: 'subprocess.Popen[str]', *, sent: int,
             seconds: float) -> bool:
        """Kill it, some seconds after so many bytes were sent to it.

        :returns: False when it was ready before that.
        """
        end = time.monotonic() + 60
        before = self.sent
        while self.sent < before + sent and process.poll() is None:
            self.assertLess(time.monotonic(), end, 'nothing is sent')
            time.sleep(0.002)
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        _, errors = process.communicate(timeout=300)
        self.assertIn(process.returncode, (0, -signal.SIGKILL), errors)
        return process.returncode != 0

    def assert_unproven(self) -> None:
        """Nothing starts from the disk, nor is there a partition table.

        Unless all of it is there but for its ends.
        """
        backing = self.target.backing
        if not (disks.holds(backing, 0, MIB, 0) and disks.holds(
                backing, SIZE - MIB, SIZE, disks.OLD)):
            self.assertIsNone(first_difference_between(self.guest, backing))
            return
        self.assert_boots_nothing(self.target)
        found = subprocess.run(['blkid', '-p', self.target.device],
                               capture_output=True)
        self.assertEqual(2, found.returncode, found.stdout)

    def assert_complete(self) -> None:
        """The disk is the image, and nothing is left of the write."""
        self.assert_written(self.guest, self.target)
        self.assertEqual([], [*self.journals.glob('*')])


class KilledTest(ResumedTestCase):

    def check(self, name: str, seed: int) -> None:
        """Kill some attempts at random, and let the last one succeed."""
        dice = random.Random(seed)
        disks.fill(self.target.backing, self.target.size)
        self.pause = 0.0
        whole = fetched(self.finish(self.start(name)))
        self.assert_complete()
        disks.fill(self.target.backing, self.target.size)
        # Slower than any decoder, so that little is in flight.
        left, self.pause = whole, SLOW if name == 'qcow2' else SLOW / 4
        for part in dice.sample((0.4, 0.5, 0.6), dice.randint(1, 2)):
            if not self.kill(self.start(name), sent=int(part * left),
                             seconds=dice.uniform(0, 0.05)):
                self.assert_complete()
                return
            self.assert_unproven()
            # An attempt that goes on is sent less.
            left -= int(part * left)
        self.pause = 0.0
        report = self.finish(self.start(name))
        self.assert_complete()
        self.assertGreater(report['reused'], 0)
        self.assertLess(fetched(report), whole)

    def test_raw(self) -> None:
        for seed in SEEDS:
            with self.subTest(seed=seed):
                self.check('raw', seed)

    def test_compressed(self) -> None:
        for seed in SEEDS:
            with self.subTest(seed=seed):
                self.check('qcow2', seed)

    def test_plain_clusters(self) -> None:
        for seed in SEEDS[:1]:
            with self.subTest(seed=seed):
                self.check('plain', seed)

    def test_any_moment(self) -> None:
        """Before anything is fetched, while the disk is read, at the end."""
        dice = random.Random(5)
        for name in ('raw', 'qcow2'):
            disks.fill(self.target.backing, self.target.size)
            self.pause = SLOW / 4
            for _ in range(3):
                self.sent = 0
                if not self.kill(self.start(name), sent=0,
                                 seconds=dice.uniform(0.4, 1.6)):
                    self.assert_complete()
                    disks.fill(self.target.backing, self.target.size)
                elif self.sent > 8 * MIB:
                    # The look at the image took less, and then the ends were
                    # wiped.
                    self.assert_unproven()
            self.pause = 0.0
            self.finish(self.start(name))
            self.assert_complete()

    def test_somebody_else_wrote_in_between(self) -> None:
        for name in ('raw', 'qcow2'):
            disks.fill(self.target.backing, self.target.size)
            self.kill(self.start(name), sent=2 * MIB, seconds=0.05)
            disks.run('dd', 'if=/dev/urandom', f'of={self.target.device}',
                      'bs=1M', 'seek=4', 'count=3', 'oflag=direct',
                      'status=none')
            self.finish(self.start(name))
            self.assert_complete()

    def test_another_image_in_between(self) -> None:
        self.kill(self.start('qcow2'), sent=4 * MIB, seconds=0)
        self.finish(self.start('raw'))
        self.assert_complete()


class TwoAtOnceTest(ResumedTestCase):

    def test_the_second_one_is_refused(self) -> None:
        self.pause = 5 * SLOW
        first = self.start('qcow2')
        while self.sent < MIB:
            self.assertIsNone(first.poll())
            time.sleep(0.002)
        _, errors = (second := self.start('qcow2')).communicate(timeout=300)
        self.assertEqual(1, second.returncode)
        self.assertIn('TargetBusy', errors)
        self.finish(first)
        self.assert_complete()


def fetched(report: typing.Any) -> int:
    """Bytes of the file that a write fetched."""
    return sum(source['bytes'] for source in report['sources'])


def fill_half(guest: pathlib.Path) -> None:
    """Put bytes that compress to a half between the ends of a disk."""
    dice = random.Random(8)
    with guest.open('r+b') as file:
        for at in range(8 * MIB, 120 * MIB, 4096):
            file.seek(at)
            file.write(dice.randbytes(2048) + bytes([at // 4096 % 255 + 1])
                       * 2048)


def manifest_of(path: pathlib.Path) -> bytes:
    """The manifest of an image file."""
    with (path.open('rb') as file, manifest_builder.Builder(
            path.stat().st_size) as builder):
        while piece := file.read(MIB):
            builder.update(memoryview(piece))
        return builder.finish(checksum.Checksum.parse(
            disks.checksum(path))).encode()


def first_difference_between(guest: pathlib.Path, disk: pathlib.Path
                             ) -> int | None:
    """First byte that differs between the ends of an image."""
    low, high = MIB, SIZE - MIB - 4096
    with guest.open('rb') as one, disk.open('rb') as other:
        one.seek(low)
        other.seek(low)
        for at in range(low, high, MIB):
            if one.read(min(MIB, high - at)) != other.read(
                    min(MIB, high - at)):
                return at
    return None
