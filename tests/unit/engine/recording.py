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

"""A target that keeps a log of what reached it."""

from collections.abc import Callable
import errno
import typing

from ironic_imagedeploy.engine.targets import base

#: What was on the disk before.
OLD = 0xa5


class Action(typing.NamedTuple):
    """One call of the target. Bytes of the disk."""

    kind: str
    start: int = 0
    length: int = 0

    @property
    def end(self) -> int:
        """First byte after it."""
        return self.start + self.length

    @property
    def changes(self) -> bool:
        """Whether it changes the disk."""
        return self.kind in ('write', 'zero')


class RecordingTarget(base.Target):
    """A disk in memory, full of old bytes, and the log of its calls.

    :param fast_zero: whether it can zero without writing.
    :ivar log: every call, in order.
    :ivar fault: called before an action is done; what it raises is raised.
    """

    path = 'recording'

    def __init__(self, size: int, *, sector_size: int = 512,
                 fast_zero: bool = True) -> None:
        super().__init__()
        self.size = size
        self.sector_size = sector_size
        self.disk = bytearray([OLD]) * size
        self.log: list[Action] = []
        self.fault: Callable[[Action], None] = lambda action: None
        self._can_zero = fast_zero

    def write(self, offset: int, view: memoryview) -> None:
        self._note('write', offset, len(view))
        self.disk[offset:offset + len(view)] = view

    def read(self, offset: int, length: int,
             memory: memoryview | None = None) -> memoryview:
        self._note('read', offset, length)
        return memoryview(bytes(self.disk[offset:offset + length]))

    def flush(self) -> None:
        self._note('flush')

    def drop_cache(self) -> None:
        self._note('drop_cache')

    def reread_partitions(self) -> None:
        self._note('reread_partitions')

    def of_kind(self, *kinds: str) -> list[Action]:
        """The actions of some kinds."""
        return [action for action in self.log if action.kind in kinds]

    def fail(self, action: Action) -> typing.NoReturn:
        """Fail as a broken disk does."""
        raise self.failed(action.kind, action.start,
                          OSError(errno.EIO, 'Input/output error'))

    def fail_nth(self, number: int, *, then_works: bool = True,
                 error: BaseException | None = None) -> None:
        """Let one action fail, counted from 0, or all from that one on."""
        def fault(action: Action) -> None:
            index = len(self.log) - 1
            if index == number or index > number and not then_works:
                if error:
                    raise error
                self.fail(action)
        self.fault = fault

    def _zero_fast(self, offset: int, length: int) -> bool:
        if not self._can_zero:
            return False
        self._note('zero', offset, length)
        self.disk[offset:offset + length] = bytes(length)
        return True

    def _note(self, kind: str, start: int = 0, length: int = 0) -> None:
        if not 0 <= start <= start + length <= self.size:
            raise AssertionError(f'{kind} outside of the disk: {start}, '
                                 f'{length}')
        action = Action(kind, start, length)
        self.log.append(action)
        self.fault(action)
