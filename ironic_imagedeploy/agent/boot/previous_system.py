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

"""The system that was on a disk before: firmware must not start it any more.

Half of it, or half of it with parts of the new one, may be there when the
power fails while the new one is written.
"""

from ironic_imagedeploy import engine
from ironic_imagedeploy.engine.contents import partitions

#: Bytes of a first sector before the disk's signature and partition table.
_BOOT_CODE = 440
#: Bytes of a FAT that has its table and its first directories in them: when
#: another one is made in its place, parts of both may be there.
_FRONT = 4 << 20


def disable(disk: engine.Target, *, keep_partitions: bool) -> None:
    """Let nothing start from a disk, before anything on it is changed.

    What firmware begins with is zero on the medium before the rest is.

    :param disk: with all of its partitions.
    :param keep_partitions: boot code and EFI system partitions are wiped;
        else the ends of the disk, and the front of each partition.
    :raises TargetError: when it cannot be written.
    """
    found = _partitions(disk)
    if keep_partitions:
        found = [each for each in found if each.type in partitions.ESP_TYPES]
        for esp in found:
            disk.zero(esp.start, disk.sector_size)
        disk.write(0, memoryview(bytes(_BOOT_CODE)))
        disk.flush()
    else:
        disk.wipe_ends()
    for each in found:
        disk.zero(each.start, min(each.length, _FRONT))
    disk.flush()


def _partitions(disk: engine.Target) -> list[partitions.Partition]:
    def read(offset: int, length: int) -> bytes:
        length = min(length, max(disk.size - offset, 0))
        return bytes(disk.read(offset, length))

    try:
        table = partitions.read_table(read, disk.size)
    except engine.exceptions.BadContent:
        return []
    return [each for each in table.partitions
            if 0 < each.start < each.end <= disk.size] if table else []
