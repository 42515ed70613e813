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

"""Other devices of the machine with the identifiers of an image.

An old system disk, a leg of a mirror or of a multipath may hold a copy of
the same image: the boot loader and the kernel look for UUIDs, and may start
that one.
"""

from collections.abc import Iterator
import dataclasses
import os
import pathlib
import tempfile
import typing

from oslo_log import log

from ironic_python_agent import config  # noqa: F401 (before errors)
from ironic_python_agent import errors

from ironic_imagedeploy.agent import commands
from ironic_imagedeploy import engine

LOG = log.getLogger(__name__)

#: What blkid(8) calls the UUIDs of a file system, of a table, and of a
#: partition in one, by what udev and the kernel call them.
_TAGS = {'UUID': 'UUID', 'PTUUID': 'PTUUID', 'PART_ENTRY_UUID': 'PARTUUID'}
#: Bytes that tell what is at the begin of a disk or partition: the
#: superblock of btrfs comes last, at 64 KiB.
_FRONT = 128 << 10
_MOST_PARTITIONS = 128


@dataclasses.dataclass(frozen=True)
class Twin:
    """A device that may be taken for the one that is written.

    :ivar identifier: that both have, as ``UUID=...``.
    """

    device: str
    identifier: str

    def warning(self, target: str) -> dict[str, typing.Any]:
        """The twin as a report has it.

        :param target: the disk that is written.
        """
        return {
            'code': 'twin',
            'message': f'{self.device} has the same identifier as the image '
                       f'for {target}: the machine may start from it.',
            'expected': f'{self.identifier} on {target} only',
            'found': f'it is on {self.device} as well',
            'fix': 'Erase or detach the other device, when it is a copy of '
                   'the image (openstack baremetal node clean).'}


def find(inspection: engine.Inspection, device: str) -> list[Twin]:
    """Twins of what an image will be on a disk; they are logged.

    :param device: the disk: it and all that is part of it, or that it is
        part of, has no say.
    """
    try:
        ours = set(_of_image(inspection))
        twins = [Twin(other, identifier) for other in _others(device)
                 for identifier in _identifiers(other) if identifier in ours]
    except (OSError, errors.DeploymentError,
            engine.exceptions.ImageDeployError) as error:
        # It is good advice: no deployment fails without it.
        LOG.warning('Whether another disk has the identifiers of the image '
                    'is not known: %s', error)
        return []
    for twin in twins:
        LOG.warning('%(message)s Expected %(expected)s, found %(found)s. '
                    '%(fix)s', twin.warning(device))
    return twins


def _of_image(inspection: engine.Inspection) -> Iterator[str]:
    image, table = inspection.image, inspection.table
    if image is None:
        return
    places = [(0, inspection.virtual_size or _FRONT)]
    if table:
        partitions = table.partitions[:_MOST_PARTITIONS]
        places += [(partition.start, partition.length)
                   for partition in partitions]
        yield from (f'PARTUUID={partition.uuid.lower()}'
                    for partition in partitions if partition.uuid)
    with tempfile.TemporaryDirectory(prefix='imagedeploy-') as name:
        path = pathlib.Path(name, 'front')
        for start, length in places:
            path.write_bytes(image.read(start, min(length, _FRONT)))
            # Some have to be as large as they say.
            os.truncate(path, length)
            yield from _identifiers(str(path))


def _identifiers(device: str) -> list[str]:
    try:
        output = commands.run('blkid', '-p', '-o', 'export', device)
    except errors.DeploymentError:
        # Nothing is on it, or two things at once.
        return []
    found = (line.partition('=') for line in output.splitlines())
    return [f'{_TAGS[tag]}={value}' for tag, _, value in found
            if tag in _TAGS and value.strip('0-')]


def _others(device: str) -> list[str]:
    own = set()
    for below in _names('-s', device):
        own |= {below, *_names(below)}
    own |= set(_names(device))
    return sorted(set(_names()) - own)


def _names(*arguments: str) -> list[str]:
    return commands.run('lsblk', '-nlpo', 'NAME', *arguments).split()
