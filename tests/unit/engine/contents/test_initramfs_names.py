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

import bz2
import gzip
import lzma
import random
import shutil
import subprocess
import time

from ironic_imagedeploy.engine import budget
from ironic_imagedeploy.engine.codecs import libraries
from ironic_imagedeploy.engine.contents import initramfs_names
from ironic_imagedeploy.engine import exceptions
from tests.support import boot_files
from tests.unit.engine import base

MICROCODE = boot_files.archive(
    {'kernel/x86/microcode/GenuineIntel.bin': b'\1' * 5000})
FILES = {'usr/sbin/mdadm': b'\x7fELF', 'init': b'#!/bin/sh\n',
         'usr/lib/modules/6.1/kernel/drivers/ata/ahci.ko': b'\2' * 70_000,
         'usr/lib/modules/6.1/kernel/drivers/scsi/megaraid/'
         'megaraid-sas.ko.xz': b'\3' * 40_001}
ARCHIVE = boot_files.archive(FILES)
AHCI, MEGARAID = frozenset({'ahci'}), frozenset({'megaraid_sas'})
MDADM, NVME = frozenset({'mdadm'}), frozenset({'nvme'})


def pieces(stored: bytes, length: int = 4096) -> list[bytes]:
    return [stored[at:at + length] for at in range(0, len(stored), length)]


def compressed() -> dict[str, bytes]:
    """The archive by each compression that Linux unpacks, but LZO."""
    made = {'gz': gzip.compress(ARCHIVE), 'xz': lzma.compress(
        ARCHIVE, check=lzma.CHECK_CRC32), 'bz2': bz2.compress(ARCHIVE),
        'lzma': lzma.compress(ARCHIVE, lzma.FORMAT_ALONE)}
    if libraries.zstd_available():
        made['zstd'] = libraries.zstd.compress(ARCHIVE)
    for name, command in (('lz4', ('lz4', '-l', '-9', '-c')),
                          ('zstd -19', ('zstd', '-19', '-c'))):
        if shutil.which(command[0]):
            made[name] = subprocess.run(
                command, input=ARCHIVE, check=True, capture_output=True
            ).stdout
    return made


class InitramfsNamesTest(base.EngineTestCase):

    def names(self, stored: bytes, length: int = 4096) -> list[str]:
        return [*initramfs_names.names(pieces(stored, length),
                                       budget.Budget())]

    def lacking(self, stored: bytes, *groups: frozenset[str]
                ) -> list[frozenset[str]]:
        return initramfs_names.lacking(pieces(stored), groups, budget.Budget())

    def test_each_compression(self) -> None:
        made = {'none': ARCHIVE, **compressed()}
        for name, stored in made.items():
            for length in (100, 4096, 1 << 20):
                with self.subTest(name=name, length=length):
                    self.assertEqual([*FILES], self.names(stored, length))

    def test_one_after_the_other(self) -> None:
        """Microcode, then what Ubuntu has apart, then all else."""
        early = [*boot_files.archive({'a': b'x'}), 0, 0, 0, 0]
        for name, stored in compressed().items():
            with self.subTest(name=name):
                self.assertEqual(
                    ['kernel/x86/microcode/GenuineIntel.bin', 'a', *FILES],
                    self.names(MICROCODE + bytes(early) + stored))
                self.assertEqual([*FILES, *FILES], self.names(
                    stored + bytes(512) + stored))
                self.assertEqual([*FILES, 'a'], self.names(
                    stored + bytes(4) + boot_files.archive({'a': b''})))

    def test_what_is_not_in_it(self) -> None:
        self.assertEqual([], self.lacking(
            ARCHIVE, AHCI, MEGARAID, MDADM, NVME | AHCI))
        self.assertEqual([NVME], self.lacking(ARCHIVE, NVME, MDADM))
        self.assertEqual([], self.lacking(b'nonsense'))

    def test_other_files_of_that_name(self) -> None:
        self.assertEqual([MDADM, AHCI], self.lacking(boot_files.archive({
            'etc/mdadm/mdadm.conf': b'', 'scripts/local-block/mdadm': b'',
            'etc/ahci': b'', 'mdadm': b''}), MDADM, AHCI))

    def test_it_is_read_up_to_the_last_of_them(self) -> None:
        self.assertEqual([], self.lacking(MICROCODE + ARCHIVE + b'nonsense',
                                          MEGARAID))
        with self.assertRaises(exceptions.UnreadableContent):
            self.lacking(ARCHIVE + b'nonsense', NVME)

    def test_damage(self) -> None:
        for name, stored in {'none': ARCHIVE, **compressed()}.items():
            for wrong in (stored[:len(stored) // 2], stored[:20],
                          stored + b'more than that', b'070701' + b'z' * 200):
                with self.subTest(name=name, wrong=wrong[:20]):
                    with self.assertRaises(exceptions.UnreadableContent):
                        self.names(wrong)

    def test_any_bytes(self) -> None:
        dice = random.Random(1)
        for stored in (ARCHIVE, *compressed().values()):
            for _ in range(40):
                changed = bytearray(stored)
                for _ in range(dice.choice((1, 4, 40))):
                    changed[dice.randrange(len(changed))] = dice.randrange(256)
                try:
                    self.names(MICROCODE + bytes(changed), 1000)
                except (exceptions.UnreadableContent,
                        exceptions.TooComplex):
                    continue

    def test_archives_without_files_cost_work(self) -> None:
        """However they lie in the pieces, and whatever is between them."""
        for between in (b'', bytes(4)):
            stored = (boot_files.archive({}, 4) + between) * 250_000
            for length in (4096, 1 << 20):
                with self.subTest(between=between, length=length):
                    begin = time.process_time()
                    with self.assertRaises(exceptions.TooComplex):
                        self.names(stored, length)
                    self.assertGreater(5, time.process_time() - begin)

    def test_numbers_have_no_sign(self) -> None:
        for number in (b'-0000001', b'+0000001', b'0000_0_0', b' 0000001'):
            stored = bytearray(boot_files.archive({'init': b'x'}))
            stored[54:62] = number
            with self.subTest(number), self.assertRaises(
                    exceptions.UnreadableContent):
                self.names(bytes(stored))

    def test_bombs(self) -> None:
        bomb = boot_files.archive({'x': bytes(64 << 20)})
        many = boot_files.archive(dict.fromkeys(map(str, range(200_000)), b''))
        begin = time.thread_time()
        for stored in (gzip.compress(bomb), lzma.compress(bomb, preset=0),
                       gzip.compress(many), gzip.compress(b'') * 200_000):
            drawn = budget.Budget(bytes=32 << 20, entries=1 << 20)
            with self.assertRaises(exceptions.TooComplex):
                for _ in initramfs_names.names(pieces(stored), drawn):
                    pass
        self.assertLess(time.thread_time() - begin, 10)
