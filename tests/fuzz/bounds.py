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


"""What holds for every reader, whatever it is given.

It ends with a value or with an error that its documentation names, within two
seconds of a processor and 256 MiB, and twice in the same way.
"""

from collections.abc import Iterator
import contextlib
import pathlib
import re
import signal
import time
import types

from tests.fuzz import target as targets

SECONDS = 2.0
#: What a count to a million takes on a processor that nobody else uses.
_COUNT_SECONDS = 0.04
#: Seconds of a processor after which a reader is stopped. Instruments of
#: an engine, and other programs, make all of them slower.
STOP = 30.0
MEMORY = 256 << 20
#: Characters of an error: each of its parts is bounded.
MOST_ERROR = 8192
_RESET_PEAK = '5'
_PROC = pathlib.Path('/proc/self')


class Broken(Exception):
    """A promise that a reader did not keep."""


def check(target: targets.Target, stored: bytes, *, slowness: float = 1
          ) -> object:
    """Give an input to a target, twice.

    :param slowness: how many times as long as usual it may take.
    :returns: what came of it.
    :raises Broken: when the reader breaks a promise.
    """
    before, _ = _memory()
    (_PROC / 'clear_refs').write_text(_RESET_PEAK)
    outcome, first = _timed(target, stored, slowness)
    _, peak = _memory()
    if peak - before > MEMORY:
        raise Broken(f'{peak - before} bytes of memory')
    again, second = _timed(target, stored, slowness)
    # A busy machine makes one of them long.
    taken = min(first, second)
    if taken > SECONDS * slowness and taken > (
            SECONDS * slowness * _slowness_now()):
        raise Broken(f'{taken:.1f} seconds')
    if target.repeats and repr(again) != repr(outcome):
        raise Broken(f'once {outcome!r:.500}, and then {again!r:.500}')
    return outcome


def _timed(target: targets.Target, stored: bytes, slowness: float
           ) -> tuple[object, float]:
    """What came of an input, and seconds of the processor for it."""
    began = time.process_time()
    with _stopped_after(STOP * slowness):
        outcome = _outcome(target, stored)
    return outcome, time.process_time() - began


def _outcome(target: targets.Target, stored: bytes) -> object:
    """What came of an input: the reader's value, or its error."""
    subject = target.subject(stored)
    try:
        return target.read(subject)
    except target.errors as error:
        text = str(error)
        if len(text) > MOST_ERROR or not text.replace('\n', '').isprintable():
            raise Broken(f'an error of {len(text)} characters, or one that '
                         f'moves a cursor: {text!r:.300}') from error
        return type(error).__name__, text


def _slowness_now() -> float:
    """How many times slower this processor is now."""
    begin = time.thread_time()
    for _ in range(1_000_000):
        pass
    return max((time.thread_time() - begin) / _COUNT_SECONDS, 1.0)


def _memory() -> tuple[int, int]:
    """Bytes that are in memory, and that were at most."""
    status = (_PROC / 'status').read_text()
    now, peak = (int(found[1]) << 10 for name in ('VmRSS', 'VmHWM')
                 if (found := re.search(rf'{name}:\s+(\d+)', status)))
    return now, peak


@contextlib.contextmanager
def _stopped_after(seconds: float) -> Iterator[None]:
    """Stop what takes more of the processor than that."""
    def stop(number: int, frame: types.FrameType | None) -> None:
        raise Broken(f'no end after {seconds:g} seconds')

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
