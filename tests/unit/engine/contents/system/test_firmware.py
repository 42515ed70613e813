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

import lzma

from ironic_imagedeploy.engine.codecs import libraries
from ironic_imagedeploy.engine.contents.system import firmware
from tests.unit.engine import base
from tests.unit.engine import system_disks

FOLDER = 'lib/modules/6.1'
NET = 'kernel/drivers/net'
MODULE = (b'\x7fELF' + bytes(100) + b'\0license=GPL\0firmware=bnx2x/e2-7.13.fw'
          b'\0firmware=bnx2x/e1-7.13.fw\0' + b'author=x\0')
NAMES = ('bnx2x/e2-7.13.fw', 'bnx2x/e1-7.13.fw')


class FirmwareTest(base.EngineTestCase):

    def missing(self, module: bytes = MODULE, suffix: str = '',
                driver: str = 'bnx2x', **tree: bytes) -> tuple[str, ...]:
        files = system_disks.files(self.directory, {
            f'{FOLDER}/modules.dep':
                f'{NET}/qede.ko: {NET}/qed.ko kernel/lib/crc8.ko\n'
                f'{NET}/bnx2x.ko{suffix}: kernel/lib/mdio.ko\n'
                f'{NET}/igb.ko:\n'.encode(),
            f'{FOLDER}/{NET}/bnx2x.ko{suffix}': module,
            f'{FOLDER}/{NET}/qed.ko': MODULE, f'{FOLDER}/{NET}/igb.ko': MODULE,
            **tree})
        return firmware.missing(files, FOLDER, {driver})

    def test_none_is_there(self) -> None:
        self.assertEqual(NAMES, self.missing())
        self.assertEqual(NAMES, self.missing(lzma.compress(MODULE), '.xz'))
        if libraries.zstd_available():
            self.assertEqual(NAMES, self.missing(
                libraries.zstd.compress(MODULE), '.zst'))
        # It is another module that asks for it.
        self.assertEqual(NAMES, self.missing(driver='qede'))

    def test_one_is_there(self) -> None:
        for path in ('lib/firmware/bnx2x/e1-7.13.fw',
                     'usr/lib/firmware/bnx2x/e2-7.13.fw.xz'):
            self.assertEqual((), self.missing(**{path: b'x'}))

    def test_cards_that_can_do_without(self) -> None:
        self.assertEqual((), self.missing(driver='igb'))
        self.assertEqual((), self.missing(driver='other'))

    def test_what_cannot_be_read(self) -> None:
        for module, suffix in ((b'', ''), (b'nonsense', '.xz'),
                               (MODULE, '.lz4'),
                               (b'\xfd7zXZ\0', '.xz')):
            self.assertEqual((), self.missing(module, suffix), suffix)

    def test_a_bomb(self) -> None:
        self.assertEqual((), self.missing(
            lzma.compress(bytes(64 << 20)), '.xz'))

    def test_many_modules(self) -> None:
        """Each of them may unpack to MiB."""
        for count, found in ((8, ('x',)), (9, ())):
            paths = [f'{number}/bnx2.ko' for number in range(count)]
            files = system_disks.files(self.directory, {
                f'{FOLDER}/modules.dep': ''.join(
                    f'{path}:\n' for path in paths).encode(),
                f'{FOLDER}/{paths[-1]}': b'\0firmware=x\0'})
            self.assertEqual(found, firmware.missing(files, FOLDER, {'bnx2'}))
