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

"""The power fails while an image is written: nothing starts, or all of it.

What reached the disk is recorded, and each state that a power cut may leave is
judged as firmware would. ``tools/faults.sh power`` judges many more.
"""

import shutil

from tests.functional import base
from tests.support import disks
from tests.support.faults import cuts
from tests.support.faults import firmware
from tests.support.faults import power
from tests.support.faults import systems
from tests.support.faults import table

MIB = base.MIB


class PowerTestCase(base.FunctionalTestCase):

    def setUp(self) -> None:
        super().setUp()
        if lacking := systems.lacking():
            self.skipTest(f'needs the package {lacking}')

    def assert_never_half(self, name: str, verdicts: power.Verdicts) -> None:
        """Whatever was started was whole, and the new one was at last."""
        table.add(verdicts.row('power', name))
        self.assertEqual([], [str(half) for half in verdicts.halves[:20]],
                         f'{len(verdicts.halves)} of {verdicts.tries}')


class WholeDiskTest(PowerTestCase):
    """Images of whole disks, over a new disk and over an old system."""

    def check(self, *scenarios: power.Scenario) -> None:
        for scenario in scenarios:
            with self.subTest(str(scenario)):
                directory = self.directory / 'run'
                directory.mkdir()
                try:
                    verdicts = power.Run(scenario, directory).cut(
                        table.effort())
                finally:
                    shutil.rmtree(directory)
                self.assert_never_half(f'{scenario}', verdicts)
                self.assertGreater(verdicts.counts['NEW'], 0)
                self.assertGreater(verdicts.counts[power.NOTHING], 50)

    def test_both_kinds_of_firmware(self) -> None:
        self.check(*power.SCENARIOS[:4])

    def test_what_is_there_already(self) -> None:
        self.check(*power.SCENARIOS[4:7])

    def test_loader_in_the_first_mib(self) -> None:
        self.check(*power.SCENARIOS[7:10])

    def test_mbr(self) -> None:
        self.check(*power.SCENARIOS[10:16])

    def test_sectors_of_4096_bytes(self) -> None:
        self.check(*power.SCENARIOS[16:])


class JudgeTest(PowerTestCase):
    """The judge sees what it has to."""

    def verdict(self, content: bytes, *known: systems.System,
                sector_size: int = 512) -> power.Verdicts:
        path = self.directory / 'disk'
        path.write_bytes(content)
        verdicts = power.Verdicts([cuts.Medium(path)], known, sector_size)
        verdicts.judge('now')
        return verdicts

    def test_whole_systems(self) -> None:
        for kind, layout in systems.LAYOUTS.items():
            system = systems.make(kind, 'NEW')
            with self.subTest(kind):
                self.assertEqual({'NEW': 1}, self.verdict(
                    system.content, system,
                    sector_size=layout.sector_size).counts)
                path = self.directory / 'disk'
                self.assertEqual(set(layout.firmware), {
                    start.firmware for start in firmware.starts(
                        cuts.Medium(path), layout.sector_size)})
        iso = systems.make_iso(systems.SIZE)
        self.assertEqual({'ISO': 1}, self.verdict(iso.content, iso).counts)

    def test_half_systems(self) -> None:
        for kind, layout in systems.LAYOUTS.items():
            system = systems.make(kind, 'NEW')
            content = bytearray(system.content)
            content[12 * MIB] ^= 1
            with self.subTest(kind):
                self.assertEqual(1, len(self.verdict(
                    bytes(content), system,
                    sector_size=layout.sector_size).halves))

    def test_backup_of_a_gpt(self) -> None:
        system = systems.make('early', 'NEW')
        content = bytearray(system.content)
        content[512:1024] = bytes(512)
        self.assertEqual({'NEW': 1},
                         self.verdict(bytes(content), system).counts)
        content[-512:] = bytes(512)
        self.assertEqual({'nothing': 1},
                         self.verdict(bytes(content), system).counts)

    def test_nothing(self) -> None:
        for content in (bytes(MIB), bytes([disks.OLD]) * MIB):
            self.assertEqual({'nothing': 1}, self.verdict(content).counts)
