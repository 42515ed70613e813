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

"""Writes and failures for a long time, in one process: nothing grows.

``IMAGEDEPLOY_SOAK`` says for how many seconds: tools/soak.sh does so.
"""

import gc
import os
import random
import shutil
import tempfile
import time
from unittest import mock

from ironic_imagedeploy import engine
from tests.functional import base
from tests.functional import faults
from tests.support import disks
from tests.support.faults import disk as faulty
from tests.support.faults import power
from tests.support.faults import rules
from tests.support.faults import usage
from tests.support import web

MIB = base.MIB


class SoakTest(faults.FaultTestCase):

    def setUp(self) -> None:
        self.seconds = float(os.environ.get('IMAGEDEPLOY_SOAK', '0'))
        if not self.seconds:
            self.skipTest('takes long: set IMAGEDEPLOY_SOAK=300')
        super().setUp()
        self.dice = random.Random(7)
        self.checksum = engine.Checksum.parse(disks.checksum(self.image))
        temporary = self.directory / 'temporary'
        temporary.mkdir()
        self.enterContext(self.temporary_files(temporary))
        self.temporary = temporary

    def temporary_files(self, folder):
        """Let them be there; nobody else's are counted."""
        return mock.patch.object(tempfile, 'tempdir', str(folder))

    def test_nothing_grows(self) -> None:
        attempts = (self.good, self.dropped, self.gone, self.wrong,
                    self.by_chunks, self.bad_disk, self.not_read_back)
        usages, counts = [], dict.fromkeys(
            (attempt.__name__ for attempt in attempts), 0)
        end = time.monotonic() + self.seconds
        while time.monotonic() < end:
            attempt = self.dice.choice(attempts)
            attempt()
            counts[attempt.__name__] += 1
            gc.collect()
            usages.append(usage.look([os.getpid()], self.temporary))
        print(f'{sum(counts.values())} attempts: {counts}\n'
              f'first: {usages[0]}\n'
              f'third: {usages[len(usages) // 3]}\nlast: {usages[-1]}')
        self.assertEqual([], usage.growth(usages))

    def good(self) -> None:
        self.server.answer = faults.serve
        self.assert_status(0, self.write())

    def dropped(self) -> None:
        self.server.answer = faults.after_drop(faults.serve)
        self.assert_status(0, self.write())

    def gone(self) -> None:
        self.server.answer = faults.after_drop(faults.refusing(404))
        self.assert_status(3, self.write())

    def wrong(self) -> None:
        self.server.answer = faults.serve
        self.assert_status(6, self.write(
            '--checksum', 'sha256:' + '0' * 64))

    def by_chunks(self) -> None:
        self.server.answer = web.Exchange.serve
        known = power.manifest_of(self.image, self.checksum)
        with engine.open_source(self.server.url('image')) as origin, \
                engine.open_target(self.target.device) as target:
            inspection = engine.inspect(
                engine.ChunkedSource(known, origin),
                engine.Expectation(checksum=self.checksum))
            engine.transfer(inspection, target,
                            journals=str(self.directory / 'journals'))

    def bad_disk(self) -> None:
        at = self.dice.randrange(self.raw.stat().st_size)
        self.fail_with(5, rules.Rule('write', 'fail', at, at + 1),
                       rules.Rule('zero', 'fail', at, at + 1))

    def not_read_back(self) -> None:
        self.fail_with(6, rules.Rule('write', 'lose', 8 * MIB, 9 * MIB),
                       rules.Rule('zero', 'lose', 8 * MIB, 9 * MIB))

    def fail_with(self, status: int, *wanted: rules.Rule) -> None:
        """Write to a disk that fails."""
        folder = self.directory / 'faulty'
        folder.mkdir()
        backing = folder / 'backing'
        disks.fill(backing, self.target.size)
        try:
            with faulty.FaultyDisk(backing, folder) as disk:
                disk.set_rules(*wanted)
                self.assert_status(status, self.invoke(
                    'write', self.image, disk.device, '--verify', 'full',
                    '--progress', 'none'))
        finally:
            shutil.rmtree(folder)
