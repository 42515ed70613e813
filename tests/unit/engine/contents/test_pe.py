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
import struct

from ironic_imagedeploy.engine.contents import pe
from tests.unit.engine import base
from tests.unit.engine import disks
from tests.unit.engine import systems


class PeTest(base.EngineTestCase):

    def test_sections(self) -> None:
        program = systems.unified('root=x quiet', '6.1')
        found = {section.name: program[
            section.start:section.start + section.length]
            for section in pe.sections(program)}
        self.assertEqual((b'root=x quiet', b'6.1'),
                         (found['.cmdline'], found['.uname']))

    def test_bytes_that_a_program_has(self) -> None:
        program = systems.unified('root=x', '6.1')
        self.assertEqual(len(program), pe.least_size(program))
        # Of what is zeroes in memory, the file has nothing.
        changed = bytearray(program)
        at = changed.index(b'.linux')
        struct.pack_into('<II', changed, at + 16, 1 << 20, 0)
        self.assertGreater(len(program), pe.least_size(bytes(changed)))
        self.assertEqual(0, pe.least_size(disks.program(0x8664)))

    def test_other_files(self) -> None:
        for content in (b'', b'MZ', b'\x7fELF' + bytes(4096),
                        b'MZ' + b'\xff' * 4096):
            self.assertIsNone(pe.machine(content))
            self.assertEqual([], [*pe.sections(content)])
            self.assertEqual(0, pe.least_size(content))

    def test_any_bytes(self) -> None:
        dice = random.Random(1)
        for _ in range(200):
            program = bytearray(systems.unified('root=x', '6')[:pe.FRONT])
            for _ in range(20):
                program[dice.randrange(512)] = dice.randrange(256)
            self.assertLess(len([*pe.sections(bytes(program))]), 65)
            pe.least_size(bytes(program))
            pe.is_signed(bytes(program), 1 << 20)
