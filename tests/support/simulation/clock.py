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

"""Things that many simulated machines do later, with few threads."""

from collections.abc import Callable
import heapq
import itertools
import logging
import threading
import time

LOG = logging.getLogger(__name__)


class Clock:
    """Calls what is due, in threads of its own."""

    def __init__(self, threads: int = 16) -> None:
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._stopped = False
        self._threads = [threading.Thread(target=self._run, daemon=True)
                         for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Call something once, that many seconds from now."""
        with self._changed:
            heapq.heappush(self._due, (time.monotonic() + seconds,
                                       next(self._numbers), action))
            self._changed.notify()

    def stop(self) -> None:
        """Forget what is not due, and wait for what is being done."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while action := self._next():
            try:
                action()
            except Exception:
                LOG.exception('a simulated machine failed')

    def _next(self) -> Callable[[], None] | None:
        """Wait for what is due; None at the end."""
        with self._changed:
            while not self._stopped:
                wait = (self._due[0][0] - time.monotonic() if self._due
                        else None)
                if wait is not None and wait <= 0:
                    return heapq.heappop(self._due)[2]
                self._changed.wait(wait)
        return None
