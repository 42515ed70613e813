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

"""Firmware really starts what power cuts leave: what the judge says, or not.

It takes minutes, so it runs when ``IMAGEDEPLOY_FAULTS_STARTS`` says how often:
``tools/faults.sh start`` does so.
"""

import os
import random
import shutil

from tests.functional import base
from tests.support.faults import cuts
from tests.support.faults import firmware
from tests.support.faults import power
from tests.support.faults import starting
from tests.support.faults import systems
from tests.support.faults import table

#: Scenarios with old systems that both kinds of firmware may start.
SCENARIOS = [scenario for scenario in power.SCENARIOS
             if scenario.old not in ('blank', 'same')]


class StartTest(base.FunctionalTestCase):
    """SeaBIOS and OVMF, with the disks as they are after cuts."""

    def setUp(self) -> None:
        super().setUp()
        self.most = int(os.environ.get('IMAGEDEPLOY_FAULTS_STARTS', '0'))
        if not self.most:
            self.skipTest('takes minutes: set IMAGEDEPLOY_FAULTS_STARTS=60')
        if lacking := starting.lacking() or systems.lacking():
            self.skipTest(f'no {lacking}')

    def test_starts(self) -> None:
        each = max(self.most // len(SCENARIOS) // 2, 1)
        for number, scenario in enumerate(SCENARIOS):
            directory = self.directory / f'{number}'
            directory.mkdir()
            run = power.Run(scenario, directory)
            made = run.record()
            medium = cuts.Medium(run.before)
            wanted = self.choose(made, medium, run, number, each)
            for cut, judged, disk in wanted:
                for kind in ('bios', 'uefi'):
                    with self.subTest(f'{scenario}: {cut}, {kind}'):
                        self.check(disk, kind, judged[kind],
                                   run.sector_size)
            shutil.rmtree(directory)

    def choose(self, made, medium, run, seed, count):
        """Some states: most of those in which anything starts."""
        dice = random.Random(seed)
        kept = []

        def judge(cut: str) -> None:
            judged = {kind: power.NOTHING for kind in ('bios', 'uefi')}
            for start in firmware.starts(medium, run.sector_size):
                judged[start.firmware] = next(
                    (system.name for system in run.known
                     if system.is_whole(medium, start.firmware)), 'HALF')
            weight = 1 if set(judged.values()) == {power.NOTHING} else 2000
            rank = dice.random() ** (1 / weight)
            if len(kept) < count or rank > min(kept)[0]:
                path = run.before.with_name(f'cut-{len(kept)}-{rank}')
                path.write_bytes(medium.view)
                kept.append((rank, cut, judged, path))
                if len(kept) > count:
                    worst = min(kept)
                    kept.remove(worst)
                    worst[3].unlink()
        cuts.replay(made, medium, judge, seed=seed, effort=0.5,
                    sector_size=run.sector_size, sectors=firmware.sectors(
                        medium.size, run.sector_size))
        return [each[1:] for each in kept]

    def check(self, disk, kind, judged, sector_size) -> None:
        """Start it, and compare with what the judge said."""
        said = starting.start(disk, kind, self.directory, sector_size)
        is_half = said not in (power.NOTHING, 'NEW', 'OLD', 'ISO')
        table.add(table.Row(
            'power', f'really started, {kind}', tries=1,
            refused=int(said == power.NOTHING), half=int(is_half),
            survived=int(said != power.NOTHING and not is_half)))
        self.assertEqual(judged, said)
