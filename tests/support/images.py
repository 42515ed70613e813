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

"""Images that qemu-img and qemu-io make, and what their guests see."""

from collections.abc import Iterable
import functools
import pathlib
import random
import subprocess
import tempfile

from tests.support import commands
from tests.support import disks

KIB = 1024
MIB = 1 << 20
SECTOR = 512
#: A jump, which is how boot code for BIOS begins.
BOOT_CODE = b'\xeb\x63\x90'
_TEXT = b'All work and no play makes Jack a dull boy. '


def make_guest(path: pathlib.Path, size: int, *, seed: int,
               label: str = 'dos') -> pathlib.Path:
    """A disk with a partition table, boot code and all kinds of content.

    Holes, written zeroes, text and noise, in pieces of a sector to a few
    hundred KiB; the same for the same seed.

    :param size: bytes, a multiple of the sector size.
    :param label: as sfdisk names partition tables.
    """
    dice = random.Random(seed)
    with path.open('wb') as file:
        file.truncate(size)
        for start, length in pieces(dice, size):
            file.seek(start)
            file.write(content(dice, length))
    partition(path, label)
    with path.open('r+b') as file:
        file.write(BOOT_CODE)
    return path


@functools.cache
def bootable(size: int, *, seed: int) -> tuple[bytes, bytes]:
    """A guest's disk that a BIOS could start, and the compressed qcow2 of it.

    Made once in a process, as most tests need one and change nothing in it.
    """
    with tempfile.TemporaryDirectory() as folder:
        guest = make_guest(pathlib.Path(folder, 'guest'), size, seed=seed)
        image = convert(guest, pathlib.Path(folder, 'image'), compress=True)
        return guest.read_bytes(), image.read_bytes()


def partition(path: pathlib.Path, label: str = 'dos', script: str =
              'start=64, size=64, bootable\n') -> None:
    """Write a partition table into a file, by default a small one."""
    head = f'label: {label}\n'
    if label == 'gpt':
        head += 'first-lba: 64\n'
    subprocess.run(
        ['sfdisk', '--quiet', '--wipe', 'never', path], check=True,
        text=True, input=head + script, capture_output=True)


def fill_esp(path: pathlib.Path, *, start: int, size: int) -> None:
    """Put grub2 where firmware looks for it in an EFI system partition.

    :param start: first byte of the partition on the disk.
    :param size: its bytes.
    """
    with tempfile.TemporaryDirectory() as folder:
        program = pathlib.Path(folder, 'grub.efi')
        disks.run('grub-mkimage', '-O', 'x86_64-efi', '-p', '/', '-o',
                  program, 'normal')
        disks.run('mkfs.vfat', '--offset', str(start // 512), path,
                  str(size // 1024))
        esp = f'{path}@@{start}'
        disks.run('mmd', '-i', esp, '::EFI', '::EFI/BOOT')
        disks.run('mcopy', '-i', esp, program, '::EFI/BOOT/BOOTX64.EFI')


def pieces(dice: random.Random, size: int, density: float = 0.6
           ) -> Iterable[tuple[int, int]]:
    """Ranges of a disk, about that share of it: start and length in bytes."""
    start = 0
    while start < size:
        most = dice.choice((1, 8, 129, 600))
        length = min(dice.randint(1, most) * SECTOR, size - start)
        if dice.random() < density:
            yield start, length
        start += length


def content(dice: random.Random, length: int) -> bytes:
    """Noise, text, a pattern or zeroes."""
    match dice.randrange(4):
        case 0:
            return dice.randbytes(length)
        case 1:
            return (_TEXT * (length // len(_TEXT) + 1))[:length]
        case 2:
            return bytes([dice.randrange(1, 256)]) * length
        case _:
            return bytes(length)


def create(path: pathlib.Path, size: int, options: str = '',
           form: str = 'qcow2') -> pathlib.Path:
    """An empty image, by ``qemu-img create``."""
    disks.run('qemu-img', 'create', '-q', '-f', form,
              *(('-o', options) if options else ()), path, str(size))
    return path


def convert(guest: pathlib.Path, path: pathlib.Path, options: str = '', *,
            compress: bool = False, form: str = 'qcow2') -> pathlib.Path:
    """An image of a guest's disk, by ``qemu-img convert``."""
    disks.run('qemu-img', 'convert', '-f', 'raw', '-O', form,
              *(('-c',) if compress else ()),
              *(('-o', options) if options else ()), guest, path)
    return path


def create_encrypted(path: pathlib.Path, form: str, options: str) -> None:
    """An encrypted image whose key is the secret ``s``."""
    for attempt in range(20):
        try:
            disks.run('qemu-img', 'create', '-q', '-f', form, '--object',
                      'secret,id=s,data=abc', '-o', options, path, '4M')
            return
        except commands.CommandFailed as error:
            # qemu-img measures its speed, and at times cannot.
            if 'CPU usage' not in str(error) or attempt == 19:
                raise


def as_raw(image: pathlib.Path, form: str = 'qcow2') -> pathlib.Path:
    """What the guest sees: the oracle's answer."""
    raw = image.with_name(f'{image.name}.raw')
    disks.run('qemu-img', 'convert', '-f', form, '-O', 'raw', image, raw)
    return raw


def qemu_io(image: pathlib.Path, *commands: str) -> None:
    """Let qemu-io change an image, as a running guest would."""
    arguments = [part for command in commands for part in ('-c', command)]
    said = disks.run('qemu-io', '-f', 'qcow2', '-d', 'unmap', *arguments,
                     image)
    if 'failed' in said:
        raise AssertionError(f'qemu-io: {said[-500:]}')


def make_mixed(path: pathlib.Path, size: int, options: str = '', *,
               seed: int, compress: bool = True) -> pathlib.Path:
    """A qcow2 that lived: written, compressed, zeroed and discarded parts.

    :param compress: whether to write compressed clusters too.
    """
    dice = random.Random(seed)
    create(path, size, options)
    cluster = cluster_size(path)
    # Only a cluster that is still empty can be written compressed.
    whole = range(0, size - cluster + 1, cluster)
    commands = [f'write -c -P {dice.randrange(1, 256)} {start} {cluster}'
                for start in dice.sample(whole, min(99, len(whole) // 2))
                if compress]
    commands += [f'write -P {dice.randrange(1, 256)} {start} {length}'
                 for start, length in pieces(dice, size, 0.3)]
    for start, length in pieces(dice, size, 0.1):
        how = dice.choice(('write -z', 'write -z -u', 'discard', 'write'))
        commands.append(f'{how} {start} {length}')
    qemu_io(path, *commands, 'write -P 85 0 4096')
    write_table(path)
    return path


def write_table(image: pathlib.Path) -> None:
    """Give the guest of a qcow2 a partition table and boot code."""
    sector = image.with_name(f'{image.name}.sector')
    with sector.open('wb') as file:
        file.truncate(4 * MIB)
    partition(sector)
    table = sector.read_bytes()[len(BOOT_CODE):SECTOR]
    sector.write_bytes(BOOT_CODE + table)
    qemu_io(image, f'write -s {sector} 0 {SECTOR}')
    sector.unlink()


def virtual_size(image: pathlib.Path) -> int:
    """Bytes of the disk in a qcow2."""
    with image.open('rb') as file:
        file.seek(24)
        return int.from_bytes(file.read(8), 'big')


def cluster_size(image: pathlib.Path) -> int:
    """Bytes in a cluster of a qcow2."""
    with image.open('rb') as file:
        file.seek(20)
        return 1 << int.from_bytes(file.read(4), 'big')
