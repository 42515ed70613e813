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

"""File systems of partition images, as far as a look into them needs it.

Everything is read-only, and every file system is hostile: what it names is
checked, and all work is bounded. Nothing of it is mounted.
"""

from ironic_imagedeploy.engine import budget as _budget
from ironic_imagedeploy.engine.contents.filesystems import base
from ironic_imagedeploy.engine.contents.filesystems import btrfs
from ironic_imagedeploy.engine.contents.filesystems import ext4
from ironic_imagedeploy.engine.contents.filesystems import xfs
from ironic_imagedeploy.engine.contents import read as _read

FileSystem = base.FileSystem

_KINDS: dict[str, type[FileSystem]] = {
    kind.kind: kind for kind in (ext4.Ext4, xfs.Xfs, btrfs.Btrfs)}

#: Those that can be looked into.
KINDS = tuple(_KINDS)


def open_file_system(kind: str, read: _read.Read, size: int | None,
                     budget: _budget.Budget | None = None) -> FileSystem:
    """The file system that starts with the disk.

    :param kind: one of :data:`KINDS`, as its signature says.
    :param read: gives bytes of the disk.
    :param size: bytes of the disk; None when that is not known.
    :param budget: that this and all looks into it draw from.
    :raises BadContent: when it cannot be mounted anywhere.
    :raises TooComplex: when it takes too much work.
    :raises UnreadableContent: when it has a feature that is not known here.
    """
    return _KINDS[kind](base.Blocks(read, budget or _budget.Budget()), size)
