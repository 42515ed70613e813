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

"""Checks of file systems against the sectors of the disk.

No driver mounts a file system from sectors that are larger than its units.
"""

from collections.abc import Iterator

from ironic_imagedeploy.engine.contents import partitions
from ironic_imagedeploy.engine.contents import sectors
from ironic_imagedeploy.engine import findings
from ironic_imagedeploy.engine import formats
from ironic_imagedeploy.engine.inspection import expectation as _expectation

Finding = findings.Finding

#: Partitions whose content is looked at.
_MOST_PARTITIONS = 16
#: How each kind is made for disks with sectors of 4096 bytes.
_LARGER = {'ext4': 'mkfs.ext4 -b 4096', 'xfs': 'mkfs.xfs -s size=4096',
           'btrfs': 'mkfs.btrfs --sectorsize 4096',
           'vfat': 'mkfs.vfat -S 4096', 'exfat': 'mkfs.exfat -s 4096',
           'ntfs': 'mkfs.ntfs -s 4096'}


def check(image: formats.AnyImage, table: partitions.PartitionTable,
          expectation: _expectation.Expectation) -> Iterator[Finding]:
    """Findings about the file systems in partitions.

    :raises ImageRefused: when a partition cannot be decoded.
    """
    size = expectation.sector_size or table.sector_size
    if size in (None, sectors.SIZES[0]):
        return
    for partition in table.partitions[:_MOST_PARTITIONS]:
        kind, unit = sectors.file_system(image.read, partition.start
                                         ) or ('', None)
        if unit and unit < size:
            yield too_small(kind, unit, size,
                            f'{kind} in partition {partition.number}')


def too_small(kind: str, unit: int, sector_size: int, name: str) -> Finding:
    """The finding for a file system whose units are too small.

    :param kind: of the file system.
    :param unit: bytes.
    :param sector_size: bytes in the sectors of the disk.
    :param name: of the file system, for a person.
    """
    return Finding(
        code='sector-size', case='file-system',
        expected=f'blocks of {sector_size} bytes or more, as the sectors of '
                 'the disk are',
        found=f'{name} that counts in {unit} bytes',
        data={'disk_sector_size': sector_size, 'block_size': unit,
              'file_system': kind, 'command': _LARGER[kind]})
