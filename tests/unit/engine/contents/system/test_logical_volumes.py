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

import random

from ironic_imagedeploy.engine import budget
from ironic_imagedeploy.engine.contents.system import logical_volumes
from ironic_imagedeploy.engine import exceptions
from tests.support import lvm
from tests.unit.engine import base

MIB = base.MIB
START, SIZE = 3 * MIB, 200 * MIB
VOLUMES = {'swap': [(5, 0)], 'root-1': [(15, 5), (20, 23)],
           'home': [(3, 20)]}
Volume = logical_volumes.LogicalVolume


class LogicalVolumesTest(base.EngineTestCase):

    def find(self, front: bytes | bytearray) -> list[Volume]:
        disk = bytes(START) + front
        return [*logical_volumes.find(
            lambda offset, length: disk[offset:offset + length], START, SIZE,
            budget.Budget())]

    def test_linear_volumes(self) -> None:
        first = START + lvm.FIRST
        self.assertEqual(
            [Volume('rhel-x', name, tuple(
                logical_volumes.Segment(first + place * lvm.EXTENT,
                                        count * lvm.EXTENT)
                for count, place in segments), 'striped')
             for name, segments in VOLUMES.items()],
            self.find(lvm.front(lvm.metadata(VOLUMES), SIZE)))

    def test_a_text_that_goes_on_at_the_beginning(self) -> None:
        text = lvm.metadata(VOLUMES)
        for offset in (512, MIB - 4096 - 700, MIB - 4096 - 1):
            self.assertEqual(3, len(self.find(lvm.front(
                text, SIZE, offset=offset))))

    def test_other_types(self) -> None:
        found = self.find(lvm.front(lvm.metadata(
            {'pool': [(1, 0)]}, 'thin-pool'), SIZE))
        self.assertEqual([Volume('rhel-x', 'pool', (), 'thin-pool')], found)

    def test_no_volumes(self) -> None:
        self.assertEqual([], self.find(lvm.front(lvm.metadata({}), SIZE)))

    def test_what_cannot_be_told(self) -> None:
        text = lvm.metadata(VOLUMES)
        good = lvm.front(text, SIZE)
        for front in (
                bytes(MIB), lvm.front('', SIZE), lvm.front(text[:900], SIZE),
                lvm.front(text.replace(lvm.IDENTIFIER, 'other'), SIZE),
                lvm.front(text.replace('pv0 {', 'pv1 { id = "x" }\npv0 {'),
                          SIZE),
                lvm.front(lvm.metadata({'big': [(60, 0)]}), SIZE),
                lvm.front(text.replace('extent_count = 15', 'x = 1'), SIZE),
                lvm.front(text.replace('start_extent = 15', 'start_extent=9'),
                          SIZE),
                lvm.front('a {' * 20 + text, SIZE), lvm.front('}', SIZE),
                lvm.front('a ' * 60_000, SIZE),
                good.replace(b'LABELONE', b'LABELTWO'),
                good.replace(b' LVM2 x[', b' LVM2 y[')):
            with self.subTest(bytes(front[4096 + 1536:][:40])):
                with self.assertRaises(exceptions.UnreadableContent):
                    if not self.find(front):
                        raise exceptions.UnreadableContent('nothing')

    def test_damage(self) -> None:
        dice = random.Random(1)
        good = lvm.front(lvm.metadata(VOLUMES), SIZE)
        places = [at for at, byte in enumerate(good) if byte]
        for _ in range(1500):
            front = bytearray(good)
            for _ in range(dice.choice((1, 1, 20))):
                front[dice.choice(places)] = dice.choice(
                    b'\0\xff{}[]=",0 #\n' + dice.randbytes(1))
            try:
                self.find(front)
            except exceptions.UnreadableContent:
                continue
