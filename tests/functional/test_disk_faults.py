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

"""A disk that fails: the image is there, or an error, and nothing starts."""

from tests.functional import disk_faults
from tests.support import disks
from tests.support.faults import cuts
from tests.support.faults import disk as faulty
from tests.support.faults import firmware
from tests.support.faults import rules
from tests.support.faults import table

MIB = disk_faults.MIB
SIZE = disk_faults.SIZE
PLACES = disk_faults.PLACES
Rule = rules.Rule


class EveryByteTest(disk_faults.DiskFaultTestCase):
    """One sector is bad, wherever it is."""

    def test_write(self) -> None:
        for at in PLACES:
            with self.subTest(at=at):
                self.assert_refused(
                    'EIO of a write at one byte',
                    Rule('write', 'fail', at, at + 1),
                    words='Input/output error')

    def test_write_or_zeroing_of_clusters(self) -> None:
        for at in PLACES:
            if MIB <= at < SIZE - MIB:
                with self.subTest(at=at):
                    self.assert_refused(
                        'EIO of a write or zeroing at one byte',
                        Rule('write', 'fail', at, at + 1),
                        Rule('zero', 'fail', at, at + 1), image=self.qcow2,
                        words='Input/output error')

    def test_zeroing_at_the_ends_is_done_by_writing(self) -> None:
        for at in (0, 512, 32 << 10, MIB - 1, SIZE - MIB, SIZE - 1):
            with self.subTest(at=at):
                self.assert_survived('EIO of zeroing the ends',
                                     Rule('zero', 'fail', at, at + 1))

    def test_zeroing(self) -> None:
        self.assert_refused('EIO of zeroing the image', Rule(
            'zero', 'fail', MIB, SIZE - MIB), image=self.qcow2)

    def test_read_back(self) -> None:
        for at in PLACES:
            with self.subTest(at=at):
                self.assert_refused(
                    'EIO of the read-back at one byte',
                    Rule('read', 'fail', at, at + 1),
                    options=('--verify', 'full'))

    def test_write_and_zeroing(self) -> None:
        """What cannot be wiped is not said to boot nothing."""
        for at in PLACES:
            rules = [Rule(kind, 'fail', at, at + 1)
                     for kind in ('write', 'zero')]
            with self.subTest(at=at):
                outcome, backing = self.attempt(*rules)
                self.assert_status(5, outcome)
                started = [*firmware.starts(cuts.Medium(backing))]
                told = 'MAY BOOT' in outcome.stderr
                table.add(table.Row(
                    'disk', 'EIO of writing and zeroing at one byte',
                    tries=1, refused=1, half=len(started) if not told else 0))
                self.assertTrue(told or not started)


class SilentTest(disk_faults.DiskFaultTestCase):
    """The disk says that all is well, and it is not."""

    def test_lost_writes(self) -> None:
        for at in PLACES:
            with self.subTest(at=at):
                self.assert_refused(
                    'silent loss of a write, read back',
                    Rule('write', 'lose', at, at + 1), status=6,
                    options=('--verify', 'full'))

    def test_lost_wipe(self) -> None:
        """What was there before still starts, and the error tells of it."""
        outcome, backing = self.attempt(
            *(Rule(kind, 'lose', 0, SIZE) for kind in ('write', 'zero')),
            options=('--verify', 'full'))
        self.assert_status(5, outcome)
        told = 'MAY BOOT' in outcome.stderr
        table.add(table.Row(
            'disk', 'silent loss of everything, read back', tries=1,
            refused=1, half=int(not told)))
        self.assertTrue(told)
        self.assertIn('zeroes from byte 0 to', outcome.stderr)
        self.assertTrue([*firmware.starts(cuts.Medium(backing))])

    def test_corrupt_writes(self) -> None:
        for at in PLACES:
            with self.subTest(at=at):
                self.assert_refused(
                    'silent corruption of a write, read back',
                    Rule('write', 'corrupt', at, at + 1, times=1), status=6,
                    options=('--verify', 'full'))

    def test_lost_zeroes(self) -> None:
        self.assert_refused(
            'silent loss of zeroes, read back',
            Rule('zero', 'lose', MIB, SIZE - MIB), status=6,
            image=self.qcow2, options=('--verify', 'full'))

    def test_corrupt_reads(self) -> None:
        for at in PLACES:
            with self.subTest(at=at):
                # At the ends it is seen that they are not wiped.
                between = MIB <= at < SIZE - MIB
                self.assert_refused(
                    'corruption of what is read back',
                    Rule('read', 'corrupt', at, at + 1),
                    status=6 if between else 5,
                    options=('--verify', 'full'))

    def test_without_a_read_back_nobody_can_know(self) -> None:
        """The proof that it is the read-back that sees them."""
        outcome, backing = self.attempt(
            Rule('write', 'lose', 8 * MIB, 8 * MIB + 1))
        self.assert_status(0, outcome)
        self.assertIsNotNone(disks.first_difference(self.raw, backing, SIZE))

    def test_discards_that_give_garbage(self) -> None:
        for image in (self.raw, self.qcow2):
            self.assert_survived('discard gives garbage',
                                 Rule('discard', 'garbage'), image=image)


class FlushTest(disk_faults.DiskFaultTestCase):
    """Only a flush tells what became of the writes before it."""

    def test_each_flush(self) -> None:
        for number in range(7):
            with self.subTest(number=number):
                self.assert_refused(
                    'EIO of one flush',
                    Rule('flush', 'fail', skip=number, times=1),
                    words='flush')

    def test_no_room_is_told_by_a_flush_only(self) -> None:
        for number in range(7):
            with self.subTest(number=number):
                self.assert_refused(
                    'ENOSPC of one flush', Rule(
                        'flush', 'fail', skip=number, times=1,
                        error='ENOSPC'), words='No space left', loop=False)

    def test_no_flush_works(self) -> None:
        self.assert_refused('EIO of every flush', Rule('flush', 'fail'))


class TimeTest(disk_faults.DiskFaultTestCase):
    """A disk that is slow, or gone, or both in turn."""

    def test_slow(self) -> None:
        self.assert_survived('each write takes 20 ms', Rule(
            'write', 'delay', seconds=0.02))
        self.assert_survived('each flush takes 200 ms', Rule(
            'flush', 'delay', seconds=0.2))

    def test_vanishing(self) -> None:
        for number in (0, 1, 2, 5, 10, 20, 30):
            with self.subTest(number=number):
                outcome, backing = self.attempt(
                    Rule('all', 'fail', skip=number))
                told = 'MAY BOOT' in outcome.stderr
                started = {start.firmware for start in firmware.starts(
                    cuts.Medium(backing))}
                table.add(table.Row(
                    'disk', 'the disk vanishes', tries=1, refused=1,
                    lost=int(outcome.status == 0),
                    half=int(bool(started) and not told)))
                self.assert_status(5, outcome)
                self.assertTrue(told or not started)

    def test_flaky(self) -> None:
        """A write that fails is not tried again: the disk is a bad one."""
        for number in range(0, 12, 3):
            with self.subTest(number=number):
                self.assert_refused('one write fails', Rule(
                    'write', 'fail', MIB, SIZE - MIB, skip=number, times=1))

    def test_short_writes(self) -> None:
        self.assert_survived('short writes', Rule('write', 'short'),
                             loop=False)

    def test_no_fast_zeroes(self) -> None:
        for image in (self.raw, self.qcow2):
            self.assert_survived('no BLKZEROOUT', *faulty.NO_ZEROES,
                                 image=image)
