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

"""Block devices as the kernel shows them in sysfs."""

import os
import pathlib
import typing

from ironic_imagedeploy.engine import arrays

_BLOCK = '/sys/class/block'


class Partition(typing.NamedTuple):
    """A partition by its disk and number, whatever it is called.

    :ivar disk: the device that it is a part of.
    :ivar number: in the partition table of that.
    """

    disk: str
    number: int


def partition(device: str) -> Partition | None:
    """Partition that a device is; None when it is a whole disk."""
    directory = _directory(device)
    try:
        with open(f'{directory}/partition', encoding='ascii') as file:
            number = int(file.read())
    except FileNotFoundError:
        return None
    disk = os.path.basename(os.path.dirname(os.path.realpath(directory)))
    return Partition(f'/dev/{disk}', number)


def is_array(device: str) -> bool:
    """Whether a device is a software RAID (md)."""
    return os.path.isdir(f'{_directory(device)}/md')


def members(device: str) -> list[str]:
    """The devices that an array consists of."""
    return sorted(f'/dev/{name}' for name in os.listdir(
        f'{_directory(device)}/slaves'))


def written_members(device: str) -> list[str]:
    """Members of an array that have not failed."""
    return [member.path for member in _members(device)
            if not member.has_failed]


def incomplete_members(device: str) -> list[str]:
    """Members of an array with sectors that it could not write.

    It stays with them, remembers the sectors, and reads other members there.
    """
    return [member.path for member in _members(device)
            if (member.attributes / 'bad_blocks').read_text().strip()]


def disk_of(device: str) -> str:
    """The disk that a device is a part of, or is."""
    found = partition(device)
    return found.disk if found else device


def partitions(disk: str) -> dict[int, str]:
    """The devices of a disk's partitions, by their numbers."""
    found = {}
    for name in os.listdir(_directory(disk)):
        part = partition(name)
        if part and os.path.isdir(f'{_directory(disk)}/{name}'):
            found[part.number] = f'/dev/{name}'
    return found


def holders(device: str) -> list[str]:
    """The devices that a device is a part of, as an array is."""
    return sorted(f'/dev/{name}' for name in os.listdir(
        f'{_directory(device)}/holders'))


def _members(device: str) -> list[arrays.Member]:
    return arrays.members(pathlib.Path(_directory(device)))


def _directory(device: str) -> str:
    return f'{_BLOCK}/{os.path.basename(os.path.realpath(device))}'
