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

"""Systems as the agent left them on disks, to compare with what is there."""

from collections.abc import Sequence
import mmap
import pathlib
import subprocess

from tests.support.faults import cuts


class DeployedSystem:
    """A disk as the agent left it.

    :ivar name: by which it is counted.
    :param path: a copy of the disk.
    :param esp: first byte of its EFI system partition, if any.
    :param needed: ranges that it consists of, beside the ESP.
    """

    def __init__(self, name: str, path: pathlib.Path, esp: int | None,
                 needed: Sequence[Sequence[int]]) -> None:
        self.name = name
        self._esp = esp
        self._needed = needed
        self._files = _files(path, esp) if esp is not None else {}
        with path.open('rb') as file:
            self._content = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)

    def is_whole(self, disk: cuts.Medium, firmware: str) -> bool:
        """Whether a disk has all of it that such firmware makes use of."""
        if not self.is_there(disk, self._needed):
            return False
        return self._esp is None or _files(
            disk.path, self._esp) == self._files

    def is_there(self, disk: cuts.Medium, ranges: Sequence[Sequence[int]]
                 ) -> bool:
        """Whether a disk has these ranges as they were."""
        return all(disk.view[start:end].tobytes() == self._content[start:end]
                   for start, end in ranges)


class MirroredSystem:
    """A system on a software RAID, which any of its disks starts.

    :ivar name: by which it is counted.
    :param disks: the system of each disk, without the array.
    :param arrays: what belongs to the array, on each disk.
    :param media: the disks as they are.
    """

    def __init__(self, name: str, disks: Sequence[DeployedSystem],
                 arrays: Sequence[Sequence[Sequence[int]]],
                 media: Sequence[cuts.Medium]) -> None:
        self.name = name
        self._disks = disks
        self._arrays = arrays
        self._media = media

    def is_whole(self, disk: cuts.Medium, firmware: str) -> bool:
        """Whether a disk starts it, and finds it on whichever disk it asks.

        That is itself where the other disks are gone.
        """
        own = self._media.index(disk)
        return self._disks[own].is_whole(disk, firmware) and all(
            system.is_there(medium, ranges) for system, medium, ranges
            in zip(self._disks, self._media, self._arrays, strict=True))


def _files(path: pathlib.Path, esp: int) -> dict[str, bytes]:
    """Files in an EFI system partition."""
    volume = f'{path}@@{esp}'
    listed = subprocess.run(['mdir', '-/', '-b', '-i', volume, '::EFI'],
                            text=True, capture_output=True)
    return {name: subprocess.run(
        ['mtype', '-i', volume, name], capture_output=True).stdout
        for name in listed.stdout.split() if not name.endswith('/')}
