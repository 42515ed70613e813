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

"""Images that qemu-img makes of disks that are made up."""

import logging
import random
import struct
import typing

from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import exceptions
from tests.unit.engine import base
from tests.unit.engine import disks
from tests.unit.engine import memory
from tests.unit.engine import recording

KIB = base.KIB
MIB = base.MIB


class QemuMadeTestCase(base.EngineTestCase):
    """A disk with a partition table, and one format it is converted to.

    :cvar form: as qemu-img names it.
    """

    form: typing.ClassVar[str]

    def disk(self, size: int = 5 * MIB, seed: int = 1) -> bytearray:
        """Noise, text and nothing, after an MBR."""
        dice = random.Random(seed)
        disk = disks.mbr(size, [(0, 0x83, 8, 8)])
        for start in range(64 * KIB, size, 64 * KIB):
            length = min(dice.choice((512, 64 * KIB)), size - start)
            match dice.randrange(4):
                case 0:
                    disk[start:start + length] = dice.randbytes(length)
                case 1:
                    disk[start:start + length] = b'text' * (length // 4)
        return disk

    def convert(self, disk: bytes | bytearray, options: str = ''
                ) -> bytearray:
        """The image of a disk."""
        raw = self.save('raw', disk)
        path = self.directory / 'converted'
        base.run('qemu-img', 'convert', '-f', 'raw', '-O', self.form,
                 *(('-o', options) if options else ()), raw, path)
        return bytearray(path.read_bytes())

    def inspect(self, file: bytes | bytearray, **expectation: typing.Any
                ) -> engine.Inspection:
        return engine.inspect(memory.MemorySource(file), engine.Expectation(
            permitted=('raw', 'qcow2', 'vmdk', 'vdi'), **expectation))

    def assert_same_disk(self, disk: bytes | bytearray,
                         file: bytes | bytearray) -> engine.Inspection:
        """It is accepted, and written and read as the disk."""
        inspection = self.inspect(file)
        self.assertEqual(('accept', self.form), (
            inspection.verdict, inspection.format), inspection.findings)
        target = recording.RecordingTarget(len(disk) + 4096)
        engine.transfer(inspection, target)
        self.assert_same(disk, target.disk[:len(disk)])
        image = inspection.accepted()
        dice = random.Random(2)
        for _ in range(20):
            start = dice.randrange(len(disk))
            length = dice.choice((1, 512, 100000))
            self.assertEqual(disk[start:start + length],
                             image.read(start, length))
        return inspection

    def assert_refused(self, code: str, file: bytes | bytearray,
                       *words: str) -> None:
        inspection = self.inspect(file)
        errors = [finding for finding in inspection.findings
                  if finding.severity == 'error']
        self.assertEqual([code], [finding.code for finding in errors])
        self.assert_complete(errors[0])
        for word in words:
            self.assertIn(word, str(errors[0]))

    def damage(self, file: bytes | bytearray,
               places: list[tuple[int, int]], times: int) -> None:
        """Change the tables at random: read or refused, and nothing else."""
        # The inspector of oslo.utils tells the log about some of them.
        logging.disable()
        self.addCleanup(logging.disable, logging.NOTSET)
        dice = random.Random(3)
        outcomes = {'read': 0, 'refused': 0}
        for _ in range(times):
            changed = bytearray(file)
            start, end = dice.choice(places)
            at = dice.randrange(start, end)
            match dice.randrange(3):
                case 0:
                    changed[at] = dice.randrange(256)
                case 1:
                    changed[at] ^= 1 << dice.randrange(8)
                case _:
                    struct.pack_into('<I', changed, at - at % 4, dice.choice(
                        (0, 1, 2, 0xfffffffe, 0xffffffff, 1 << 31,
                         dice.getrandbits(16))))
            try:
                inspection = self.inspect(changed, disk_size=8 * MIB)
                target = recording.RecordingTarget(
                    inspection.accepted().virtual_size)
                engine.transfer(inspection, target, workers=1)
                outcomes['read'] += 1
            except exceptions.ImageDeployError as error:
                self.assert_complete(error)
                outcomes['refused'] += 1
        self.assertGreater(min(outcomes.values()), times // 20, outcomes)
