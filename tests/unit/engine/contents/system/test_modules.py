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
import time

from ironic_imagedeploy.engine.contents.system import modules
from ironic_imagedeploy.engine import exceptions
from tests.unit.engine import base
from tests.unit.engine import system_disks
from tests.unit.engine import systems

FOLDER = 'lib/modules/6.1'
AHCI = 'pci:v00008086d0000A102sv000015D9sd00000884bc01sc06i01'
IGB = 'pci:v00008086d00001521sv000015D9sd00001521bc02sc00i00'
MLX = 'pci:v000015B3d00001017sv000015B3sd00000020bc02sc00i00'
NVME = 'pci:v0000144Dd0000A808sv0000144Dsd0000A801bc01sc08i02'
VIRTIO = 'virtio:d00000002v00001AF4'
#: As depmod of kmod writes it.
ALIASES = (
    '# Aliases extracted from modules themselves.\n'
    'alias pci:v00008086d0000A103sv*sd*bc*sc*i* ahci\n'
    'alias pci:v*d*sv*sd*bc01sc06i01* ahci\n'
    'alias pci:v00008086d00001521sv*sd*bc*sc*i* igb\n'
    'alias virtio:d0000000[0-3]v* virtio_blk\n'
    'alias usb:v144Dp*d* other\n')


class ModulesTest(base.EngineTestCase):

    def undriven(self, aliases: str | None, *devices: str,
                 built_in: bytes = b'') -> frozenset[str] | None:
        found = modules.find(system_disks.files(self.directory, {
            f'{FOLDER}/modules.dep': b'', **({
                f'{FOLDER}/modules.alias': systems.text(aliases)}
                if aliases is not None else {}),
            f'{FOLDER}/modules.builtin.modinfo': built_in}), FOLDER, devices)
        if found is None:
            return None
        self.assertEqual(bool(built_in), found.is_certain)
        self.assertEqual({*devices}, {*found.by_device})
        return frozenset(alias for alias, drivers in found.by_device.items()
                         if not drivers)

    def test_drivers(self) -> None:
        found = modules.find(system_disks.files(self.directory, {
            f'{FOLDER}/modules.alias': systems.text(
                ALIASES + f'alias {NVME} my-nvme\n'),
            f'{FOLDER}/modules.builtin.modinfo':
                b'ata_generic.alias=pci:v*d*sv*sd*bc01sc06i*\0nvme.alias='
                b'pci:v*d*sv*sd*bc01sc08i02*\0'}), FOLDER, (AHCI, NVME, MLX))
        assert found is not None
        self.assertEqual({
            AHCI: {'ahci', 'ata_generic'}, NVME: {'nvme', 'my_nvme'},
            MLX: set()}, found.by_device)

    def test_devices(self) -> None:
        self.assertEqual({MLX, NVME}, self.undriven(
            ALIASES, AHCI, IGB, MLX, NVME, VIRTIO))
        self.assertEqual(set(), self.undriven(ALIASES))

    def test_what_is_built_in(self) -> None:
        self.assertEqual({MLX}, self.undriven(
            ALIASES, NVME, MLX, built_in=b'nvme.license=GPL\0nvme.alias='
            b'pci:v*d*sv*sd*bc01sc08i02*\0x.alias=usb:v15B3\0'))

    def test_nothing_tells(self) -> None:
        self.assertIsNone(self.undriven(None, AHCI))

    def test_patterns(self) -> None:
        for pattern, drives in (
                (AHCI, True), (AHCI + '*', True), (AHCI[:-1], False),
                ('pci:v00008086d*i02', False), ('pci:v*i01', True),
                ('pci:v*d*bc01*sc06*i01', True), ('pci:v*sc06*bc01*', False),
                ('pci:v*i01i01', False), ('pci:v*bc0[12]*', True),
                ('pci:v*bc0[34]*', False), ('pci:v' + '*' * 190, True),
                ('pci:v*' + 'x*' * 5000, False)):
            found = self.undriven(f'alias {pattern} x\n', AHCI)
            self.assertEqual(set() if drives else {AHCI}, found, pattern)

    def test_what_is_not_known_of_a_device(self) -> None:
        """It may be what a module drives."""
        aliases = ALIASES + (
            'alias pci:v000015B3d00001017sv00001590sd*bc*sc*i* mlx5_core\n')
        for alias, drives in (
                ('pci:v00008086d00001521sv*sd*bc02sc00i00', True),
                ('pci:v00008086d00001522sv*sd*bc02sc00i00', False),
                ('pci:v000015B3d00001017sv*sd*bc02sc00i00', True),
                ('pci:v00001234d00000001sv*sd*bc*sc*i*', True),
                ('pci:v00001234d00000001sv*sd*bc01sc08i02', False),
                ('pci:v00001234d00000001sv*sd*bc01sc06i01', True)):
            self.assertEqual(set() if drives else {alias},
                             self.undriven(aliases, alias), alias)

    def test_many_patterns_and_devices(self) -> None:
        """Each is held against each, which the look has to pay."""
        files = system_disks.files(self.directory, {
            f'{FOLDER}/modules.alias': systems.text(''.join(
                f'alias pci:v00008086d{number:08X}sv*sd*bc*sc*i* x\n'
                for number in range(5000)))})
        begin = time.thread_time()
        with self.assertRaises(exceptions.TooComplex):
            modules.find(files, FOLDER, [
                f'pci:v00008086d{number:08X}sv*sd*bc02sc00i00'
                for number in range(2000)])
        self.assertLess(time.thread_time() - begin, 5)

    def test_any_bytes(self) -> None:
        dice = random.Random(1)
        for _ in range(30):
            text = bytearray(ALIASES.encode() * 20)
            for _ in range(100):
                text[dice.randrange(len(text))] = dice.choice(b'\0\n*[]\xff ')
            self.undriven(text.decode('latin-1'), AHCI, NVME, VIRTIO,
                          built_in=dice.randbytes(3000))
