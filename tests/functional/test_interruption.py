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

"""A write that is stopped in the middle leaves a disk that boots nothing."""

import pathlib
import shutil
import signal
import subprocess
import time

from tests.functional import base
from tests.support import disks
from tests.support import images
from tests.support import signals
from tests.support import web

MIB = base.MIB
SIZE = 32 * MIB
#: Seconds within which a program must have stopped.
PATIENCE = 10.0


class InterruptionTest(base.FunctionalTestCase):
    """The server stalls in the middle; then a signal comes."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.shared = disks.make_directory()
        cls.addClassCleanup(shutil.rmtree, cls.shared)
        cls.guest = images.make_guest(cls.shared / 'image', SIZE, seed=12)

    def setUp(self) -> None:
        super().setUp()
        signals.dispose(self)
        self.server = web.Server(self.shared)
        self.addCleanup(self.server.stop)
        self.target = self.disk(SIZE + 2 * MIB)

    def start(self, target: str | pathlib.Path, *options: str
              ) -> subprocess.Popen[str]:
        """Start a write in the background."""
        program = subprocess.Popen(
            [base.PROGRAM, 'write', self.server.url('image'), target,
             '--progress', 'none', *options], text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(program.wait)
        self.addCleanup(program.kill)
        self.addCleanup(self.close_pipes, program)
        return program

    def close_pipes(self, program: subprocess.Popen[str]) -> None:
        for pipe in (program.stdout, program.stderr):
            if pipe:
                pipe.close()

    def start_and_wait(self, target: str | pathlib.Path | None = None, *,
                       backing: pathlib.Path | None = None
                       ) -> subprocess.Popen[str]:
        """Start a write; return once bytes of the image are on the disk."""
        self.server.answer = web.since(2, lambda exchange: exchange.serve(
            stop_after=SIZE // 2, how='stall'))
        program = self.start(target or self.target.device)
        backing = backing or self.target.backing
        expected = self.guest.read_bytes()[8 * MIB:9 * MIB]
        self.wait_for(lambda: backing.exists() and expected == read(
            backing, 8 * MIB, MIB))
        return program

    def wait_for(self, condition) -> None:
        end = time.monotonic() + 30
        while not condition():
            self.assertLess(time.monotonic(), end, 'it never came')
            time.sleep(0.02)

    def stop(self, program: subprocess.Popen[str], number: int
             ) -> base.Outcome:
        program.send_signal(number)
        began = time.monotonic()
        out, err = program.communicate(timeout=120)
        self.assertLess(time.monotonic() - began, PATIENCE,
                        'it went on for too long')
        return base.Outcome(program.returncode, out, err)

    def test_stopped_cleanly(self) -> None:
        for number in signals.STOPPING:
            with self.subTest(number.name):
                outcome = self.stop(self.start_and_wait(), number)
                self.assert_status(128 + number, outcome)
                self.assert_one_sentence(outcome, number.name,
                                         'boots nothing')
                self.assertEqual('', outcome.stdout)
                self.assert_boots_nothing(self.target)
                disks.fill(self.target.backing, self.target.size)

    def test_killed(self) -> None:
        outcome = self.stop(self.start_and_wait(), signal.SIGKILL)
        self.assertEqual(-signal.SIGKILL, outcome.status)
        self.assert_boots_nothing(self.target)

    def test_written_again_after_that(self) -> None:
        self.stop(self.start_and_wait(), signal.SIGKILL)
        self.server.answer = web.Exchange.serve
        outcome = self.execute('write', self.server.url('image'),
                               self.target.device)
        self.assert_status(0, outcome)
        self.assertIsNone(disks.first_difference(
            self.guest, self.target.backing, SIZE))

    def test_stopped_before_it_began(self) -> None:
        self.server.answer = lambda exchange: exchange.hang_up('stall')
        program = self.start(self.target.device)
        self.wait_for(lambda: self.server.requests)
        outcome = self.stop(program, signal.SIGINT)
        self.assert_status(128 + signal.SIGINT, outcome)
        self.assert_one_sentence(outcome, 'SIGINT')
        self.assertNotIn('boots', outcome.stderr)
        self.assert_untouched(self.target)

    def test_new_file_is_removed(self) -> None:
        new = self.directory / 'new'
        program = self.start_and_wait(new, backing=new)
        outcome = self.stop(program, signal.SIGTERM)
        self.assert_status(128 + signal.SIGTERM, outcome)
        self.assertFalse(new.exists())

    def test_report_tells_of_it(self) -> None:
        report = self.directory / 'report.json'
        self.server.answer = lambda exchange: exchange.hang_up('stall')
        program = self.start(self.target.device, '--json', '--report',
                             str(report))
        self.wait_for(lambda: self.server.requests)
        outcome = self.stop(program, signal.SIGINT)
        self.assertEqual(outcome.stdout, report.read_text())
        self.assertIn('SIGINT', outcome.json['error']['message'])


def read(path: pathlib.Path, offset: int, length: int) -> bytes:
    """A range of a file."""
    with path.open('rb') as file:
        file.seek(offset)
        return file.read(length)
