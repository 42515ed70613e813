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

"""Where images are written to."""

from ironic_imagedeploy.engine.targets import base
from ironic_imagedeploy.engine.targets import block
from ironic_imagedeploy.engine.targets import file


def open_target(path: str, *, create_size: int | None = None,
                read_only: bool = False) -> base.Target:
    """Open a disk for writing, exclusively.

    :param path: a block device or a regular file.
    :param create_size: bytes of the disk for a file that does not exist
        yet.
    :param read_only: nothing will be written.
    :raises TargetError: when it cannot be opened, is in use or read-only.
    """
    if block.is_block_device(path):
        return block.BlockTarget(path, read_only=read_only)
    return file.FileTarget(path, create_size, read_only=read_only)
