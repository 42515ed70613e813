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

"""The image that is deployed."""

import pathlib
import random
import subprocess
import tempfile

_MIB = 1 << 20


def make(path: pathlib.Path, size: int, data: int) -> pathlib.Path:
    """A compressed qcow2 that a BIOS could boot.

    :param size: bytes of the disk.
    :param data: bytes of it that are neither zeroes nor compressible.
    """
    dice = random.Random(1)
    raw = path.with_suffix('.raw')
    with raw.open('wb') as file:
        # Boot code: a jump, and something behind it.
        file.write(b'\xeb\x63\x90' + dice.randbytes(437))
        file.seek(_MIB)
        for _ in range(data // _MIB):
            file.write(dice.randbytes(_MIB))
        file.truncate(size)
    subprocess.run(
        ['sfdisk', '--quiet', '--wipe', 'never', raw], check=True, text=True,
        input='label: dos\nstart=2048, bootable\n', capture_output=True)
    subprocess.run(['qemu-img', 'convert', '-c', '-O', 'qcow2', raw, path],
                   check=True)
    raw.unlink()
    return path


def make_partition(path: pathlib.Path) -> pathlib.Path:
    """A qcow2 of a root file system that has a kernel and grub2."""
    raw = path.with_suffix('.raw')
    with tempfile.TemporaryDirectory() as folder:
        tree = pathlib.Path(folder)
        for name in ('boot/vmlinuz-6.1.0-1-amd64',
                     'boot/initrd.img-6.1.0-1-amd64', 'usr/sbin/grub-install'):
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_bytes(b'nobody runs this')
        (tree / 'boot/grub').mkdir()
        subprocess.run(['mke2fs', '-q', '-t', 'ext4', '-d', tree, raw, '16M'],
                       check=True, capture_output=True)
    subprocess.run(['qemu-img', 'convert', '-O', 'qcow2', raw, path],
                   check=True)
    raw.unlink()
    return path
