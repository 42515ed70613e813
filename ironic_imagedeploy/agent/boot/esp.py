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

"""The EFI system partition: programs in it, and the way to the menu."""

import dataclasses
import os
import pathlib
import tempfile

from ironic_python_agent import errors

from ironic_imagedeploy.agent import commands
from ironic_imagedeploy import engine
from ironic_imagedeploy.engine.contents import fat
from ironic_imagedeploy.engine.contents import read as _read

#: Directory whose program firmware starts when no boot entry says otherwise.
REMOVABLE = 'BOOT'


@dataclasses.dataclass(frozen=True)
class Programs:
    """EFI programs: one that the firmware starts, and what that starts.

    :ivar origin: image or ramdisk.
    :ivar files: by their names in a directory of the ESP.
    """

    origin: str
    files: dict[str, bytes]


def fill(esp: str, programs: Programs, configuration: str,
         vendors: list[str], *, verify: bool = False) -> None:
    """Put programs, and the way to the menu, into an empty ESP.

    What the firmware starts gets its name when all of it is on the medium.

    :param esp: the partition, formatted.
    :param configuration: of grub2, wherever it looks for it.
    :param vendors: names of directories that a vendor's grub2 looks into.
    :param verify: read back what was written, from each disk of a mirror.
    :raises DeploymentError: when they do not fit, or a disk has not kept
        them.
    """
    folders = sorted({REMOVABLE, *vendors})
    commands.run('mmd', '-i', esp, '::EFI',
                 *(f'::EFI/{folder}' for folder in folders))
    # No directory of a former system is in their place from here on.
    flush(esp)
    menu = {'grub.cfg': configuration.encode('ascii')}
    for folder in folders:
        _copy(esp, folder, {**menu, **(
            {_withheld(file): content
             for file, content in programs.files.items()}
            if folder == REMOVABLE else {})})
    flush(esp)
    for file in programs.files:
        if _withheld(file) != file:
            commands.run('mren', '-i', esp,
                         f'::EFI/{REMOVABLE}/{_withheld(file)}', file)
    flush(esp)
    if verify:
        _verify(esp, {folder: {**menu, **(
            programs.files if folder == REMOVABLE else {})}
            for folder in folders})


def _copy(esp: str, folder: str, files: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory(prefix='imagedeploy-') as name:
        for file, content in files.items():
            pathlib.Path(name, file).write_bytes(content)
        commands.run('mcopy', '-i', esp, *(
            os.path.join(name, file) for file in files), f'::EFI/{folder}')


def _verify(esp: str, folders: dict[str, dict[str, bytes]]) -> None:
    """Compare the directory EFI of each copy with files by their folders."""
    expected = {folder.upper(): {
        file.upper(): content for file, content in files.items()}
        for folder, files in folders.items()}
    with engine.open_target(esp, read_only=True) as target:
        for copy in target.copies:
            copy.drop_cache()
            try:
                found = _folders(copy)
            except engine.exceptions.BadContent:
                found = {}
            if found != expected:
                raise errors.DeploymentError(
                    f'The boot loader is not on {copy.path}: expected the '
                    'EFI programs that were written, found other bytes. '
                    'Replace the disk.')


def _folders(copy: engine.Target) -> dict[str, dict[str, bytes]]:
    def read(offset: int, length: int) -> bytes:
        return bytes(copy.read(offset, length))

    volume = fat.FatVolume(_read.cached(read, 0, copy.size),
                           engine.Budget.before_write())
    return {
        folder.name: {file.name: b''.join(volume.pieces(file))
                      for file in volume.entries(folder)}
        for top in volume.root() if top.is_called('EFI')
        for folder in volume.entries(top)}


def _withheld(file: str) -> str:
    """Name of a program that no firmware starts yet."""
    stem, _, _ = file.partition('.')
    return f'{stem}.NEW' if stem.startswith(REMOVABLE) else file


def flush(esp: str) -> None:
    """Wait until what was written to a partition is on the medium."""
    with open(esp, 'rb+') as partition:
        os.fsync(partition)
