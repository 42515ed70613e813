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


"""Repair of the GPT on a target."""

from ironic_imagedeploy.engine.contents import gpt
from ironic_imagedeploy.engine.contents import gpt_repair
from ironic_imagedeploy.engine.contents import read as _read
from ironic_imagedeploy.engine.contents import signatures
from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.targets import base as targets


def repair_gpt(target: targets.Target) -> bool:
    """Make both halves of a GPT whole, with the backup at the target's end.

    :returns: whether there was anything to do; not without a GPT.
    :raises TargetError: when no half is good, or there is no room for one,
        or when it is an image in a container and no disk.
    """
    read = _read.part(lambda offset, length: bytes(
        target.read(offset, length)), 0, target.size)
    try:
        writes = gpt_repair.writes(read, target.size)
    except exceptions.BadContent as bad:
        raise exceptions.TargetError(
            target.path, expected=bad.expected, found=bad.found,
            fix='The partition table has to be made again.') from bad
    if not writes:
        _check_no_container(target, read)
    for write in writes:
        target.write(write.start, memoryview(write.content))
        if write.flush:
            target.flush()
    return bool(writes)


def _check_no_container(target: targets.Target, read: _read.Read) -> None:
    """A file that holds an image in its own format has no GPT to repair.

    :raises TargetError: when it is one.
    """
    head = read(0, signatures.HEAD)
    if any(head.startswith(b'EFI PART', size) for size in gpt.SECTOR_SIZES):
        return
    tail = read(max(target.size - signatures.TAIL, 0), signatures.TAIL)
    names = [found.name for found in signatures.images(head, tail)]
    if name := signatures.compressed(head) or next(iter(names), None):
        raise exceptions.TargetError(
            target.path, expected='a disk, or a raw image of one',
            found=f'a file of the format {name}',
            fix='Write the image to a disk, or into a new file, and repair '
                'the GPT there.')
