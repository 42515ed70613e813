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

"""Members of a mirror, which is a software RAID (md) of level 1.

Each of them has all bytes of the array, and whoever reads that is given those
of one. Firmware, and a boot loader, may read any.
"""

from collections.abc import Iterator
import os
import pathlib

from ironic_imagedeploy.engine import arrays
from ironic_imagedeploy.engine.targets import base

#: Bytes of the kernel's sectors in sysfs, whatever those of the disk are.
_SECTOR = 512


class Member(base.Target):
    """A member of a mirror, to be read only.

    :param path: of the device.
    :param begin: its byte that is the first one of the mirror.
    :param size: bytes of the mirror.
    """

    def __init__(self, path: str, begin: int, size: int, sector_size: int
                 ) -> None:
        super().__init__()
        self.path = path
        self.size = size
        self.sector_size = sector_size
        self._begin = begin
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_DIRECT)
        except OSError as error:
            raise self.failed('opening', 0, error) from error

    @property
    def alignment(self) -> int:
        return self.sector_size

    def read(self, offset: int, length: int,
             memory: memoryview | None = None) -> memoryview:
        return super().read(self._begin + offset, length, memory)

    def _zero_fast(self, offset: int, length: int) -> bool:
        return False


def places(device: pathlib.Path) -> Iterator[tuple[str, int]]:
    """Members of the mirror that a device is, or is a partition of.

    :param device: its directory in sysfs.
    :returns: the path of each that has not failed, and the byte of it at
        which the device begins; none when the device is not in a mirror.
    """
    array, start = device, 0
    if (device / 'partition').exists():
        array, start = device / '..', _number(device / 'start')
    try:
        level = (array / 'md/level').read_text().strip()
    except OSError:
        return
    if level != 'raid1':
        return
    for member in arrays.members(array):
        if not member.has_failed:
            yield member.path, _number(member.attributes / 'offset') + start


def _number(path: pathlib.Path) -> int:
    """Bytes of that many sectors."""
    return int(path.read_text()) * _SECTOR
