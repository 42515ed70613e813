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

"""Small systems that firmware starts, and that tell whether they are whole.

grub2 reads a file of 3 MiB from the root file system, compares its digest,
and says so on the serial port. Nothing else is in them.
"""

from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import dataclasses
import functools
import hashlib
import pathlib
import random
import struct
import tempfile

from tests.support import disks
from tests.support.faults import cuts
from tests.support import images

MIB = 1 << 20
SECTOR = 512
#: Bytes of a disk with such a system.
SIZE = 24 * MIB
#: What it says: that, and its name.
WHOLE, HALF = 'WHOLE', 'HALF'
_PAYLOAD = 3 * MIB
_MODULES = ('normal', 'part_gpt', 'part_msdos', 'ext2', 'fat', 'iso9660',
            'search', 'search_label', 'serial', 'terminal', 'echo', 'test',
            'hashsum', 'gcry_sha256', 'reboot')
_BOOT = pathlib.Path('/usr/lib/grub/i386-pc/boot.img')
_EARLY = '''serial --unit=0
terminal_output serial
echo STARTED {name}
search --no-floppy --label {name} --set root
set prefix=($root)/
'''
_MENU = '''serial --unit=0
terminal_output serial
if hashsum --hash sha256 --prefix ($root) --check ($root)/sums; then
  echo {whole} {name}
else
  echo {half} {name}
fi
reboot
'''


@dataclasses.dataclass(frozen=True)
class Layout:
    """Places on a disk; in 512 bytes.

    :ivar gap: whether the core of grub2 is before the first partition.
    :ivar sector_size: bytes of a sector of the disk.
    """

    label: str
    esp: range | None = None
    core: range | None = None
    root: range = range(20480, 49000)
    gap: bool = False
    sector_size: int = SECTOR

    @property
    def script(self) -> str:
        """Partitions, as sfdisk takes them."""
        types = ({'esp': 'U', 'core': '21686148-6449-6E6F-744E-656564454649',
                  'root': 'L'} if self.label == 'gpt'
                 else {'esp': 'ef', 'root': 'L'})
        places = {'esp': self.esp, 'core': self.core, 'root': self.root}
        unit = self.sector_size // SECTOR
        return ''.join(
            f'start={place.start // unit}, size={len(place) // unit}, '
            f'type={types[name]}\n'
            for name, place in places.items()
            if place and not (name == 'core' and self.gap))

    @property
    def firmware(self) -> tuple[str, ...]:
        """What starts it."""
        return (*(('bios',) if self.core else ()),
                *(('uefi',) if self.esp else ()))


LAYOUTS = {
    'both': Layout('gpt', esp=range(4096, 20480), core=range(2048, 4096)),
    # All that starts it begins in the first MiB.
    'early': Layout('gpt', esp=range(64, 16448)),
    'mbr': Layout('dos', core=range(1, 2048), root=range(2048, 49152),
                  gap=True),
    'mbr-uefi': Layout('dos', esp=range(2048, 18432)),
    # No BIOS starts from such sectors.
    '4k': Layout('gpt', esp=range(4096, 20480), sector_size=4096),
    '4k-early': Layout('gpt', esp=range(512, 16896), sector_size=4096),
}


@dataclasses.dataclass(frozen=True)
class System:
    """A disk that firmware starts.

    :ivar content: its bytes.
    :ivar needed: ranges of the disk that it consists of, by firmware.
    """

    name: str
    content: bytes
    needed: Mapping[str, tuple[tuple[int, int], ...]]

    def is_whole(self, disk: cuts.Medium, firmware: str) -> bool:
        """Whether a disk has all of it that such firmware makes use of."""
        return all(disk.view[start:end].tobytes() == self.content[start:end]
                   for start, end in self.needed.get(firmware, ((0, -1),)))

    def as_image(self) -> 'System':
        """The same where every byte of the disk counts."""
        return dataclasses.replace(self, needed=dict.fromkeys(
            ('bios', 'uefi'), ((0, len(self.content)),)))


def lacking() -> str:
    """What this computer lacks to make one; nothing, mostly."""
    return '' if _BOOT.exists() else 'grub-pc-bin'


@functools.cache
def make(kind: str, name: str, seed: int = 1, size: int = SIZE) -> System:
    """A system of one of the :data:`LAYOUTS`.

    :param name: it says that, and so is its file system called.
    :param size: bytes of the disk; a larger one has room at its end.
    """
    layout = LAYOUTS[kind]
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, 'disk')
        with path.open('wb') as file:
            file.truncate(size)
        with _attached(path, layout.sector_size) as disk:
            images.partition(disk, layout.label, layout.script)
        _put_root(path, layout, name, seed)
        if layout.esp:
            _put_esp(path, layout.esp, name, layout.sector_size)
        if layout.core:
            _put_core(path, layout.core, name)
        content = path.read_bytes()
    parts = {'bios': (range(1), layout.core, layout.root),
             'uefi': (layout.esp, layout.root)}
    return System(name, content, {
        firmware: tuple(_bytes(part) for part in parts[firmware] if part)
        for firmware in layout.firmware})


@contextlib.contextmanager
def _attached(path: pathlib.Path, sector_size: int) -> Iterator[pathlib.Path]:
    """A disk with such sectors; the file itself has small ones."""
    if sector_size == SECTOR:
        yield path
        return
    device = disks.attach(path, sector_size=sector_size)
    try:
        yield pathlib.Path(device)
    finally:
        disks.run('losetup', '-d', device)


def _put_root(path: pathlib.Path, layout: Layout, name: str, seed: int
              ) -> None:
    with tempfile.TemporaryDirectory() as folder:
        tree = pathlib.Path(folder)
        payload = random.Random(seed).randbytes(_PAYLOAD)
        (tree / 'payload').write_bytes(payload)
        (tree / 'sums').write_text(
            f'{hashlib.sha256(payload).hexdigest()}  payload\n')
        (tree / 'grub.cfg').write_text(_MENU.format(
            name=name, whole=WHOLE, half=HALF))
        disks.run('mke2fs', '-q', '-t', 'ext4', '-b',
                  str(max(layout.sector_size, 1024)), '-O',
                  '^metadata_csum_seed,^orphan_file,^has_journal', '-L', name,
                  '-d', tree, '-E', f'offset={layout.root.start * SECTOR}',
                  path, f'{len(layout.root) // 2}k')


def _grub(form: str, name: str, *modules: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        early, output = (pathlib.Path(folder, each)
                         for each in ('early', 'image'))
        early.write_text(_EARLY.format(name=name))
        disks.run('grub-mkimage', '-O', form, '-p', '/', '-c', early, '-o',
                  output, *_MODULES, *modules)
        return output.read_bytes()


def _put_esp(path: pathlib.Path, place: range, name: str,
             sector_size: int = SECTOR) -> None:
    with tempfile.TemporaryDirectory() as folder:
        program, esp = (pathlib.Path(folder, each)
                        for each in ('program', 'esp'))
        program.write_bytes(_grub('x86_64-efi', name))
        disks.run('mkfs.vfat', '-C', '-S', str(sector_size), esp,
                  str(len(place) // 2))
        disks.run('mmd', '-i', esp, '::EFI', '::EFI/BOOT')
        disks.run('mcopy', '-i', esp, program, '::EFI/BOOT/BOOTX64.EFI')
        with path.open('r+b') as disk:
            disk.seek(place.start * SECTOR)
            disk.write(esp.read_bytes())


def _put_core(path: pathlib.Path, place: range, name: str) -> None:
    """As grub-bios-setup does it."""
    core = bytearray(_grub('i386-pc', name, 'biosdisk'))
    struct.pack_into('<Q', core, SECTOR - 12, place.start + 1)
    boot = bytearray(_BOOT.read_bytes())
    boot[0x66:0x68] = b'\x90\x90'
    boot[0x64] = 0xff
    struct.pack_into('<Q', boot, 0x5c, place.start)
    with path.open('r+b') as file:
        boot[0x1b8:] = file.read(SECTOR)[0x1b8:]
        file.seek(0)
        file.write(boot)
        file.seek(place.start * SECTOR)
        file.write(core)


def _bytes(part: range) -> tuple[int, int]:
    return (0, 440) if part == range(1) else (part.start * SECTOR,
                                              part.stop * SECTOR)


@functools.cache
def make_iso(size: int, name: str = 'ISO') -> System:
    """The bytes of an optical disk, on a disk of that size."""
    with tempfile.TemporaryDirectory() as folder:
        tree = pathlib.Path(folder, 'tree')
        tree.mkdir()
        payload = random.Random(5).randbytes(_PAYLOAD)
        (tree / 'payload').write_bytes(payload)
        (tree / 'sums').write_text(
            f'{hashlib.sha256(payload).hexdigest()}  payload\n')
        (tree / 'grub.cfg').write_text(_MENU.format(
            name=name, whole=WHOLE, half=HALF))
        esp = tree / 'efi.img'
        with esp.open('wb') as file:
            file.truncate(4 * MIB)
        _put_esp(esp, range(0, 4 * MIB // SECTOR), name)
        iso = pathlib.Path(folder, 'iso')
        disks.run('xorriso', '-as', 'mkisofs', '-quiet', '-V', name, '-e',
                  'efi.img', '-no-emul-boot', '-R', '-o', iso, tree)
        content = iso.read_bytes()
    return System(name, content + bytes(size - len(content)),
                  {'uefi': ((0, len(content)),)})
