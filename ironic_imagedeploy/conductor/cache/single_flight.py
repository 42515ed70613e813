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

"""Single execution of an action for all who ask for it meanwhile."""

from collections.abc import Callable
from collections.abc import Hashable
import concurrent.futures
import threading
import typing

Outcome = typing.TypeVar('Outcome')


class SingleFlight(typing.Generic[Outcome]):
    """Actions in flight, by key."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._in_flight: dict[Hashable,
                              concurrent.futures.Future[Outcome]] = {}

    def do(self, key: Hashable, action: Callable[[], Outcome]) -> Outcome:
        """Outcome of the action, or of the one in flight under the key.

        :raises Exception: what that action raised.
        """
        with self._lock:
            in_flight = self._in_flight.get(key)
            future = in_flight or self._in_flight.setdefault(
                key, concurrent.futures.Future())
        if in_flight is None:
            try:
                future.set_result(action())
            except BaseException as error:
                future.set_exception(error)
            finally:
                with self._lock:
                    del self._in_flight[key]
        return future.result()
