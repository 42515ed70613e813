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

from ironic_imagedeploy.engine.contents import gpt_repair
from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.targets import base as targets


def repair_gpt(target: targets.Target) -> bool:
    """Make both halves of a GPT whole, with the backup at the target's end.

    :returns: whether there was anything to do; not without a GPT.
    :raises TargetError: when no half is good, or there is no room for one.
    """
    def read(offset: int, length: int) -> bytes:
        length = min(length, max(target.size - offset, 0))
        return bytes(target.read(offset, length))

    try:
        writes = gpt_repair.writes(read, target.size)
    except exceptions.BadContent as bad:
        raise exceptions.TargetError(
            target.path, expected=bad.expected, found=bad.found,
            fix='The partition table has to be made again.') from bad
    for write in writes:
        target.write(write.start, memoryview(write.content))
        if write.flush:
            target.flush()
    return bool(writes)
