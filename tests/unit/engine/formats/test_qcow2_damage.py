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

"""Thousands of damaged qcow2 files.

Each is either read, and then exactly as the slow copier reads it, or refused
by an error of the engine, soon.
"""

import logging
import random
import struct
import time

from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import exceptions
from tests.unit.engine import base
from tests.unit.engine import memory
from tests.unit.engine import qcow2_builder as qcow2
from tests.unit.engine import recording
from tests.unit.engine import reference

MIB = base.MIB
#: Images with a larger disk are refused, so none is written here.
DISK = 8 * MIB
#: Seconds that one file may take at most.
SOON = 30.0
_WORDS = (0, 1, 511, 512, 4096, 65536, 1 << 16 | 1, 1 << 32, 1 << 47,
          (1 << 56) - 512, 1 << 56, 1 << 61, 1 << 62, 1 << 63,
          (1 << 63) | 65536, (1 << 63) - 1, (1 << 64) - 1)


class DamageTest(base.EngineTestCase):

    def setUp(self) -> None:
        super().setUp()
        # The inspector of oslo.utils tells the log about each of them.
        logging.disable()
        self.addCleanup(logging.disable, logging.NOTSET)
        self.read = self.refused = 0

    def damage(self, builder: qcow2.Builder, kinds: str, times: int) -> None:
        """Change the header and the tables of one image many times."""
        file = qcow2.fill(builder, kinds).build()
        tables = [(0, 112)]
        tables += [(place, place + 16) for name, place
                   in builder.places.items() if name == 'l1']
        tables += [(place, place + min(builder.cluster_size, 512))
                   for name, place in builder.places.items()
                   if name.startswith('l2-')]
        for _ in range(times):
            changed = bytearray(file)
            start, end = builder.dice.choice(tables)
            self.change(builder.dice, changed, start, end)
            self.try_out(changed)
        self.assertGreater(self.read, times // 20)
        self.assertGreater(self.refused, times // 20)

    def change(self, dice: random.Random, file: bytearray, start: int,
               end: int) -> None:
        """A bit, a byte, a word of 4 or of 8 bytes, or a short cut."""
        at = dice.randrange(start, end)
        word = at - at % 8
        match dice.randrange(6):
            case 0:
                file[at] ^= 1 << dice.randrange(8)
            case 1:
                file[at] = dice.randrange(256)
            case 2:
                struct.pack_into('>I', file, at - at % 4,
                                 dice.choice(_WORDS) & 0xffffffff)
            case 3:
                struct.pack_into('>Q', file, word, dice.choice(_WORDS))
            case 4:
                other = dice.randrange(start, end)
                file[word:word + 8] = file[other - other % 8:][:8]
            case _:
                value, = struct.unpack_from('>Q', file, word)
                step = dice.choice((-65536, -512, -1, 1, 512, 65536))
                struct.pack_into('>Q', file, word,
                                 (value + step) % (1 << 64))

    def try_out(self, file: bytearray) -> None:
        source = memory.MemorySource(file)
        began = time.monotonic()
        try:
            inspection = engine.inspect(source, engine.Expectation(
                disk_format='qcow2', disk_size=DISK))
            for finding in inspection.findings:
                self.assert_complete(finding)
            image = inspection.accepted()
            # Threads take most of the time.
            disk = (self.transferred(inspection) if self.read % 3 == 0
                    else image.read(0, image.virtual_size))
        except exceptions.ImageDeployError as error:
            self.assert_complete(error)
            self.refused += 1
        else:
            self.read += 1
            self.assert_same(reference.copy(image, source), disk)
        self.assertLess(time.monotonic() - began, SOON)

    def transferred(self, inspection: engine.Inspection) -> bytearray:
        """The disk, as the fast copier writes it."""
        target = recording.RecordingTarget(inspection.accepted().virtual_size)
        engine.transfer(inspection, target, workers=1)
        return target.disk

    def test_version_2(self) -> None:
        self.damage(qcow2.Builder(100000 // 512 * 512, cluster_bits=10,
                                  version=2, seed=1), 'dc.', 500)

    def test_version_3(self) -> None:
        self.damage(qcow2.Builder(300 * 512, cluster_bits=12, seed=2),
                    'dczZ.', 500)

    def test_zstd(self) -> None:
        self.damage(qcow2.Builder(600 * 512, cluster_bits=12,
                                  compression='zstd', seed=3), 'cc.', 500)

    def test_subclusters(self) -> None:
        self.damage(qcow2.Builder(600 * 512, cluster_bits=14, seed=4,
                                  extended_l2=True), 'dcs.', 500)

    def test_clusters_whose_content_is_damaged(self) -> None:
        for compression in ('zlib', 'zstd'):
            builder = qcow2.fill(qcow2.Builder(
                600 * 512, cluster_bits=12, compression=compression), 'c')
            file = builder.build()
            places = [place for name, place in builder.places.items()
                      if name.startswith('compressed')]
            for _ in range(200):
                changed = bytearray(file)
                at = builder.dice.choice(places)
                changed[at + builder.dice.randrange(100)] ^= (
                    1 << builder.dice.randrange(8))
                self.try_out(changed)

    def test_files_that_are_cut_off(self) -> None:
        file = qcow2.fill(qcow2.Builder(300 * 512, cluster_bits=12,
                                        seed=5), 'dc').build()
        for length in range(0, len(file), 509):
            self.try_out(file[:length])
        self.assertGreater(self.refused, len(file) // 509 - 10)
