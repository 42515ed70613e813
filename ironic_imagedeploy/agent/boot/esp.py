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

from ironic_imagedeploy.agent import commands

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
         vendors: list[str]) -> None:
    """Put programs, and the way to the menu, into an empty ESP.

    :param esp: the partition, formatted.
    :param configuration: of grub2, wherever it looks for it.
    :param vendors: names of directories that a vendor's grub2 looks into.
    :raises DeploymentError: when they do not fit.
    """
    with tempfile.TemporaryDirectory(prefix='imagedeploy-') as name:
        top = pathlib.Path(name, 'EFI')
        for folder in {REMOVABLE, *vendors}:
            (top / folder).mkdir(parents=True)
            (top / folder / 'grub.cfg').write_text(configuration,
                                                   encoding='ascii')
        for file, content in programs.files.items():
            (top / REMOVABLE / file).write_bytes(content)
        commands.run('mcopy', '-i', esp, '-s', '-o', str(top), '::')
    with open(esp, 'rb+') as partition:
        # mcopy does not wait for the disk.
        os.fsync(partition)
