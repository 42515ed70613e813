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


"""Verified chunks that are kept until somebody wants them once more."""

import collections
from collections.abc import Callable
import threading
import typing

#: Bytes of the chunks that are kept.
MOST = 16 << 20
Outcome = typing.TypeVar('Outcome')


class KeptChunks:
    """Verified chunks in memory, the latest within a bound; threads share it.

    :param most: bytes of all of them.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._chunks: collections.OrderedDict[int, memoryview] = (
            collections.OrderedDict())
        self._in_flight = set[int]()
        #: Chunks that one of two threads has asked for.
        self._shared = set[int]()
        self._changed = threading.Condition()

    def get(self, index: int) -> memoryview | None:
        """A chunk that is kept, and stays so."""
        with self._changed:
            if index in self._chunks:
                self._chunks.move_to_end(index)
            return self._chunks.get(index)

    def take(self, index: int) -> memoryview | None:
        """A chunk that was kept, and is not any more."""
        with self._changed:
            return self._chunks.pop(index, None)

    def put(self, index: int, chunk: memoryview) -> None:
        """Keep a chunk, for which others may have to go."""
        with self._changed:
            self._chunks[index] = chunk
            while sum(map(len, self._chunks.values())) > self._most:
                self._chunks.popitem(last=False)

    def fill_shared(self, index: int, view: memoryview,
                    fetch: Callable[[], Outcome]) -> Outcome | None:
        """Fill the view with a chunk that two threads want, once each.

        The one waits while the other fetches it.

        :param fetch: fills the view.
        :returns: what that returned; None when the chunk was here.
        """
        with self._changed:
            self._changed.wait_for(lambda: index not in self._in_flight)
            is_first = index not in self._shared
            self._shared.add(index)
            kept = self._chunks.get(index)
            if kept is None:
                self._in_flight.add(index)
            elif not is_first:
                del self._chunks[index]
        if kept is not None:
            view[:] = kept
            return None
        try:
            outcome = fetch()
            if is_first:
                self.put(index, memoryview(bytes(view)))
        finally:
            with self._changed:
                self._in_flight.discard(index)
                self._changed.notify_all()
        return outcome

    def last_before(self, first: int, last: int) -> int:
        """The last chunk of a range before one that is kept.

        :param first: which is in the range in any case.
        """
        with self._changed:
            return min((index - 1 for index in self._chunks
                        if first < index <= last), default=last)
