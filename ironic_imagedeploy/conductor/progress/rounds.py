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

"""Question to many agents at once, of which none holds up the others."""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
import queue
import random
import threading
import time
import typing

from ironic_imagedeploy.conductor.progress import client

#: Agents that are asked at the same time.
_THREADS = 64
#: Seconds that one agent has for its answer, and all of them together.
_ANSWER = 8.0
_ROUND = 30.0
#: Seconds between two looks at who is late.
_LOOK = 0.25

_Item = typing.TypeVar('_Item')
_Calls = queue.SimpleQueue[client.Call]


def ask(items: Sequence[_Item],
        question: Callable[[_Item], typing.Any]
        ) -> Iterator[tuple[_Item, typing.Any]]:
    """Results of a question about each item, as they come.

    Items that were not asked when the round ended are left out; which these
    are is left to chance. The threads live only as long as the round, and
    keep no process from ending.

    :param question: raises nothing.
    :returns: pairs of item and result; None for one that is late.
    """
    waiting: _Calls = queue.SimpleQueue()
    done: _Calls = queue.SimpleQueue()
    calls = {client.Call(item) for item in random.sample(  # nosec B311
        items, len(items))}
    for call in calls:
        waiting.put(call)
    # Not of concurrent.futures: those are waited for when Python ends.
    for _ in range(min(len(calls), _THREADS)):
        threading.Thread(target=_work, args=(waiting, done, question),
                         daemon=True).start()
    end = time.monotonic() + _ROUND
    try:
        while calls and time.monotonic() < end:
            try:
                call = done.get(timeout=_LOOK)
            except queue.Empty:
                _cut_late(calls)
                continue
            calls.discard(call)
            yield call.item, call.result
        for call in calls:
            if call.began:
                yield call.item, None
    finally:
        _forget(waiting)
        for call in calls:
            call.cut()


def _work(waiting: _Calls, done: _Calls,
          question: Callable[[typing.Any], typing.Any]) -> None:
    while True:
        try:
            call = waiting.get_nowait()
        except queue.Empty:
            return
        call.run(question)
        done.put(call)


def _cut_late(calls: set[client.Call]) -> None:
    for call in calls:
        if call.seconds > _ANSWER:
            call.cut()


def _forget(waiting: _Calls) -> None:
    while True:
        try:
            waiting.get_nowait()
        except queue.Empty:
            return
