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

"""Partitions of a disk: their devices, their UUIDs, and how they stay."""

from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import dataclasses
import os
import time
import typing

from ironic_python_agent import errors

from ironic_imagedeploy.agent import commands

#: Seconds until a new partition has a device, also on a busy machine.
_APPEARS = 30.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Partitions:
    """Partitions of a disk, by their devices.

    :ivar root: the one that the image goes into.
    :ivar root_uuid: of its file system; empty while it has none.
    :ivar esp: the EFI system partition.
    :ivar esp_uuid: of its file system.
    :ivar swap: the swap partition.
    :ivar swap_uuid: of it.
    :ivar root_label: of the root's file system; empty when it has none.
    :ivar configdrive: the one that holds the config drive.
    :ivar of_agent: the same under ironic-python-agent's names, for Ironic.
    """

    root: str
    root_uuid: str = ''
    esp: str | None = None
    esp_uuid: str | None = None
    swap: str | None = None
    swap_uuid: str | None = None
    root_label: str = ''
    configdrive: str | None = None
    of_agent: Mapping[str, typing.Any] = dataclasses.field(
        default_factory=dict)

    @classmethod
    def of(cls, made: Mapping[str, typing.Any]) -> 'Partitions':
        """The partitions that ironic-python-agent has made."""
        devices = made['partitions']
        return cls(root=devices['root'],
                   esp=devices.get('efi system partition'),
                   swap=devices.get('swap'),
                   configdrive=devices.get('configdrive'), of_agent=made)

    def with_uuids(self) -> 'Partitions':
        """The same partitions, once an image is in that of the root.

        The file systems themselves are asked: what udev knows may be older.

        :raises DeploymentError: when one has none, or is two at once.
        """
        root_uuid = _tag(self.root)
        esp_uuid = _tag(self.esp) if self.esp else None
        of_agent = {**self.of_agent, 'root uuid': root_uuid}
        if esp_uuid:
            of_agent['efi system partition uuid'] = esp_uuid
        return dataclasses.replace(
            self, root_uuid=root_uuid, esp_uuid=esp_uuid, of_agent=of_agent,
            root_label=_tag(self.root, 'LABEL'),
            swap_uuid=_tag(self.swap) if self.swap else None)


@contextlib.contextmanager
def held_open(partition: str) -> Iterator[None]:
    """Keep all partitions of a disk where they are.

    Whenever somebody closes a disk that was open for writing, udev reads its
    partition table anew, and devices vanish for a moment; but never while a
    partition is open.

    :raises DeploymentError: when it does not appear.
    """
    end = time.monotonic() + _APPEARS
    while True:
        try:
            descriptor = os.open(partition, os.O_RDONLY)
            break
        except OSError as error:
            if time.monotonic() > end:
                raise errors.DeploymentError(
                    f'{partition} cannot be opened: {error.strerror}'
                ) from error
            time.sleep(0.1)
    try:
        yield
    finally:
        os.close(descriptor)


def partition_uuid(partition: str) -> str:
    """The UUID that the partition table has for it."""
    return _tag(partition, 'PART_ENTRY_UUID')


def _tag(partition: str, tag: str = 'UUID') -> str:
    return commands.run('blkid', '-p', '-s', tag, '-o', 'value',
                        partition).strip()
