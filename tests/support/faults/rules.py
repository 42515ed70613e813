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

"""Rules of what goes wrong with a disk."""

import dataclasses

_END = 1 << 62


@dataclasses.dataclass
class Rule:
    """What happens to some requests.

    :ivar on: ``read``, ``write``, ``zero``, ``discard``, ``flush`` or
        ``all``.
    :ivar do: ``fail``, ``lose`` (say that it was done), ``corrupt`` (a bit),
        ``short`` (half of it), ``garbage`` (for a discard) or ``delay``.
    :ivar start: first byte of the disk that it is about.
    :ivar end: the one after the last.
    :ivar skip: so many requests go well before.
    :ivar times: so many requests it is about; all by default.
    :ivar error: name of the error that is given.
    :ivar seconds: that a request takes longer.
    """

    on: str
    do: str
    start: int = 0
    end: int = _END
    skip: int = 0
    times: int | None = None
    error: str = 'EIO'
    seconds: float = 0.0

    def applies(self, kind: str, start: int, length: int) -> bool:
        """Whether it is about a request; counts it."""
        if self.on not in (kind, 'all'):
            return False
        if length and not (start < self.end and self.start < start + length):
            return False
        if self.skip:
            self.skip -= 1
            return False
        if self.times is not None:
            if not self.times:
                return False
            self.times -= 1
        return True

    def at(self, start: int) -> int:
        """First byte that it is about, in a request that begins there."""
        return max(self.start - start, 0)
