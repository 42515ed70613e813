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

"""Disks that fail, and how a write to one may end."""

import pathlib
import shutil
import typing

from tests.functional import base
from tests.support import disks
from tests.support.faults import cuts
from tests.support.faults import disk as faulty
from tests.support.faults import firmware
from tests.support.faults import rules
from tests.support.faults import table
from tests.support import images

MIB = base.MIB
SIZE = 16 * MIB
#: First, last and inner bytes of all that a write does in steps.
PLACES = (0, 511, 512, 32 << 10, MIB - 1, MIB, MIB + 4096, 8 * MIB,
          SIZE - MIB - 1, SIZE - MIB, SIZE - 513, SIZE - 1)


class DiskFaultTestCase(base.FunctionalTestCase):
    """An image of 16 MiB, and a disk that had a system."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.shared = disks.make_directory()
        cls.addClassCleanup(shutil.rmtree, cls.shared)
        cls.raw = images.make_guest(cls.shared / 'guest', SIZE, seed=31,
                                    label='gpt')
        # Zeroes that are lost where the disk was wiped are no loss.
        with cls.raw.open('r+b') as file:
            for at in (place for place in PLACES
                       if MIB // 32 <= place < SIZE - MIB // 32):
                file.seek(at)
                file.write(b'\x77')
        cls.qcow2 = images.convert(cls.raw, cls.shared / 'qcow2')
        cls.old = images.make_guest(cls.shared / 'old', SIZE, seed=32,
                                    label='gpt')

    def attempt(self, *wanted: rules.Rule, image: pathlib.Path | None = None,
                options: typing.Sequence[str] = (), loop: bool = True
                ) -> tuple[base.Outcome, pathlib.Path]:
        """Write to a disk of which that goes wrong.

        :returns: how it ended, and what is on the disk then.
        """
        backing = self.directory / 'backing'
        shutil.copy(self.old, backing)
        with faulty.FaultyDisk(backing, self.directory, loop=loop) as disk:
            disk.set_rules(*wanted)
            outcome = self.invoke(
                'write', image or self.raw,
                disk.device if loop else disk.file, '--progress', 'none',
                *options)
        return outcome, backing

    def assert_survived(self, fault: str, *wanted: rules.Rule,
                        **how: typing.Any) -> None:
        """The disk holds the image, whatever went wrong."""
        outcome, backing = self.attempt(*wanted, **how)
        table.add(table.Row(
            'disk', fault, tries=1, survived=int(outcome.status == 0)))
        self.assert_status(0, outcome)
        self.assertIsNone(disks.first_difference(self.raw, backing, SIZE))

    def assert_refused(self, fault: str, *wanted: rules.Rule, status: int = 5,
                       words: str = '', **how: typing.Any) -> None:
        """An error tells of it, and nothing starts."""
        outcome, backing = self.attempt(*wanted, **how)
        started = [*firmware.starts(cuts.Medium(backing))]
        table.add(table.Row(
            'disk', fault, tries=1, refused=int(outcome.status == status),
            lost=int(outcome.status == 0), half=len(started)))
        self.assert_status(status, outcome)
        self.assertIn(words, outcome.stderr)
        self.assertEqual([], started)
