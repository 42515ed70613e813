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

"""The ends of an image, held back until it is proven.

Without its first and last MiB neither a boot sector nor a partition table is
on the disk, so that nothing starts from it.
"""

from ironic_imagedeploy.engine import memory
from ironic_imagedeploy.engine.targets import base as targets

END = targets.END
#: No sector is larger, so what lies between the ends can be written directly.
_ALIGNMENT = 4096
#: Bytes from the end of a disk that may be held.
KEPT_BACK = END + _ALIGNMENT
_UNKNOWN = 1 << 64


class HeldEnds:
    """The first and the last MiB of a disk, in memory.

    :param size: bytes of the disk; None until :meth:`set_size`.
    :ivar low: first byte after the front.
    :ivar high: first byte of the back.
    """

    def __init__(self, size: int | None = None) -> None:
        self.low = END
        self.high = _UNKNOWN
        self._front = bytearray(END)
        self._back = bytearray()
        if size is not None:
            self.set_size(size)

    def set_size(self, size: int) -> None:
        """Learn how many bytes the disk has.

        Before, nothing may have come that lies less than :data:`KEPT_BACK`
        bytes before its end.
        """
        self.low = min(END, size)
        high = size - END
        high = max(high - high % _ALIGNMENT, self.low)
        del self._front[self.low:]
        self._back = bytearray(size - high)
        self.high = high

    def keep(self, start: int, view: memoryview) -> tuple[int, memoryview]:
        """Keep the bytes that belong to the ends.

        :param start: offset of the bytes on the disk.
        :returns: the bytes between the ends, with their offset.
        """
        if start < self.low:
            front = view[:self.low - start]
            self._front[start:start + len(front)] = front
            view = view[len(front):]
            start += len(front)
        if start + len(view) > self.high:
            back = view[max(self.high - start, 0):]
            at = max(start - self.high, 0)
            self._back[at:at + len(back)] = back
            view = view[:len(view) - len(back)]
        return start, view

    def write(self, target: targets.Target, *, verify: bool = False
              ) -> None:
        """Complete the disk: the back, the front, and its first sector last.

        Each is on the medium before the next: no first sector, which firmware
        starts from, without what belongs to it.

        :param verify: read each back, before the next one.
        :raises ReadBackMismatch: when the target gives other bytes.
        """
        front = memoryview(self._front)
        sector = min(target.sector_size, len(front))
        for start, part in ((self.high, memoryview(self._back)),
                            (sector, front[sector:]), (0, front[:sector])):
            if part:
                target.write(start, part)
                target.flush()
                if verify:
                    _verify(target, start, part)


def _verify(target: targets.Target, start: int, part: memoryview) -> None:
    for copy in target.copies:
        copy.drop_cache()
        if not memory.equal(copy.read(start, len(part)), part):
            raise copy.mismatch(start, len(part))
