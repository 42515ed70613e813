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

"""Disks with the systems of :mod:`tests.unit.engine.systems`."""

from collections.abc import Sequence
import os
import pathlib

from ironic_imagedeploy.engine.contents import filesystems
from tests.support import lvm
from tests.unit.engine import base
from tests.unit.engine import disks
from tests.unit.engine import systems
from tests.unit.engine import volumes

MIB = base.MIB
SECTOR = 512


def disk(folder: pathlib.Path, parts: Sequence[systems.Part]) -> pathlib.Path:
    """A sparse file with a GPT and these partitions."""
    made = [_volume(folder / f'part-{number}', part)
            for number, part in enumerate(parts)]
    sizes = [path.stat().st_size if path else MIB for path in made]
    entries, start = [], MIB
    for part, size in zip(parts, sizes, strict=True):
        entries.append(disks.Entry(start // SECTOR, (start + size) // SECTOR
                                   - 1, part.type))
        start += size
    path = folder / 'system'
    table = disks.gpt(start + MIB, entries, boot_code=b'\xeb\x63',
                      last_usable=(start + MIB) // SECTOR - 34)
    with path.open('wb') as file:
        file.write(table[:MIB])
        file.seek(start)
        file.write(table[start:])
    for each, entry_ in zip(made, entries, strict=True):
        if each:
            base.run('dd', f'if={each}', f'of={path}', 'bs=64K', 'conv=sparse,'
                     'notrunc', 'oflag=seek_bytes', 'status=none',
                     f'seek={entry_.first * SECTOR}')
            os.unlink(each)
    return path


def _volume(path: pathlib.Path, part: systems.Part) -> pathlib.Path | None:
    label = ['-L', part.label] if part.label else []
    match part.kind:
        case 'ext4':
            return volumes.ext4(path, part.tree, '-U', part.uuid, *label)
        case 'xfs':
            return volumes.xfs(path, part.tree, '-m', f'uuid={part.uuid}',
                               *label)
        case 'lvm':
            root = volumes.ext4(path.with_suffix('.root'), part.tree, '-U',
                                part.uuid)
            return lvm.physical_volume(path, root.read_bytes())
        case 'lvm-xfs':
            root = volumes.small_xfs(path.with_suffix('.root'), part.tree,
                                     '-m', f'uuid={part.uuid}')
            return lvm.physical_volume(path, root.read_bytes())
        case 'btrfs':
            return volumes.btrfs(path, part.tree, '-U', part.uuid, *label)
        case 'vfat':
            disks.fat(path, 34 * MIB, {
                name: content for name, content in part.tree.items()
                if isinstance(content, bytes)}, bits=16)
            _name(path, part)
            return path
    return None


def _name(path: pathlib.Path, part: systems.Part) -> None:
    """Give a volume of FAT16 its serial number and its label."""
    serial = int(part.uuid.replace('-', ''), 16)
    with path.open('r+b') as file:
        file.seek(39)
        file.write(serial.to_bytes(4, 'little'))
        file.write((part.label or 'NO NAME').encode().ljust(11))


def files(folder: pathlib.Path, tree: volumes.Tree
          ) -> filesystems.FileSystem:
    """The files of a small volume with this tree."""
    content = volumes.ext4(folder / 'root', tree, '-b', '1024', '-N', '300',
                           size=MIB).read_bytes()
    return filesystems.open_file_system(
        'ext4', lambda offset, length: content[offset:offset + length],
        len(content))
