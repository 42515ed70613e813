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

"""Progress of a write on standard error.

A bar on a terminal; elsewhere (a log, a pipe) a plain line every few
seconds, since nobody can redraw a line of a log.
"""

import contextlib
import math
import os
import time
import types
import typing

from ironic_imagedeploy.cmd import text
from ironic_imagedeploy import engine

CHOICES = ('auto', 'plain', 'none')
#: Seconds between two plain lines.
INTERVAL = 5.0

_PHASES = {'write': 'writing', 'zero': 'zeroing', 'read-back': 'reading back',
           'finish': 'finishing', 'compare': 'comparing',
           'inspect': 'inspecting', 'hash': 'hashing', 'scan': 'looking',
           'verify': 'verifying', 'upload': 'uploading',
           'convert': 'converting',
           'boot': 'boot set-up'}
_EIGHTHS = ' ▏▎▍▌▋▊▉█'
#: The characters of a bar.
BLOCKS = _EIGHTHS + '▕'
_LABEL = max(map(len, _PHASES.values()))
#: What is left out after a bar that would have fewer columns: size,
#: bottleneck, time, rate.
_DISPENSABLE = ((1, 19), (4, 10), (3, 10), (2, 10))
#: Terminals whose font has little more than ASCII, whatever the locale says.
_FEW_CHARACTERS = ('linux', 'dumb')


class Display:
    """Display that shows nothing; the base of those that show something.

    Called with each :class:`engine.Progress`, and used as a context
    manager so that whatever is printed next starts on a line of its own.
    """

    def __init__(self, stream: typing.TextIO) -> None:
        self._stream = stream

    def __call__(self, progress: engine.Progress) -> None:
        """Show the progress."""

    def close(self) -> None:
        """Leave the stream at the start of a line."""

    def interrupt(self) -> None:
        """Make room for a line of somebody else."""

    def emit(self, words: str) -> None:
        """Write at once; a reader that went away does not stop a write."""
        with contextlib.suppress(OSError):
            self._stream.write(words)
            self._stream.flush()

    def __enter__(self) -> typing.Self:
        return self

    def __exit__(self, kind: type[BaseException] | None,
                 error: BaseException | None,
                 traceback: types.TracebackType | None) -> None:
        self.close()


class Lines(Display):
    """Plain line at the start of each phase and every few seconds."""

    def __init__(self, stream: typing.TextIO) -> None:
        super().__init__(stream)
        self._phase = ''
        self._due = -math.inf

    def __call__(self, progress: engine.Progress) -> None:
        now = time.monotonic()
        if progress.phase == self._phase and now < self._due:
            return
        if progress.phase != self._phase and not progress.done:
            # Nothing was measured yet.
            progress = progress._replace(bottleneck='')
        self._phase = progress.phase
        self._due = now + INTERVAL
        self.emit(f'{line(progress)}\n')


class Bar(Display):
    """Line that is drawn anew with each call."""

    def __init__(self, stream: typing.TextIO) -> None:
        super().__init__(stream)
        self._phase = ''
        self._ascii = not can_encode(stream, BLOCKS)

    def __call__(self, progress: engine.Progress) -> None:
        if self._phase and progress.phase != self._phase:
            self.close()
        self._phase = progress.phase
        columns = width(self._stream, 80)
        drawn = bar(progress, columns=columns, ascii_only=self._ascii)
        self.emit(f'\r{drawn}\x1b[K')

    def close(self) -> None:
        if self._phase:
            self._phase = ''
            self.emit('\n')

    def interrupt(self) -> None:
        if self._phase:
            self.emit('\r\x1b[K')


def display(choice: str, stream: typing.TextIO) -> Display:
    """Display for a choice of ``auto``, ``plain`` or ``none``."""
    if choice == 'none':
        return Display(stream)
    terminal = stream.isatty() and os.environ.get('TERM') not in (None,
                                                                  'dumb')
    return Bar(stream) if choice == 'auto' and terminal else Lines(stream)


def line(progress: engine.Progress) -> str:
    """Progress as a line of a log."""
    words = [text.size(progress.done) + _whole(progress)]
    if progress.total:
        words.insert(0, _share(progress))
    words[0] = f'{_label(progress)}: {words[0]}'
    if progress.bytes_per_second > 0:
        words.append(f'{text.size(progress.bytes_per_second)}/s')
    words += _time_left(progress)
    if progress.bottleneck:
        words.append(f'limited by {progress.bottleneck}')
    return ', '.join(words)


def bar(progress: engine.Progress, *, columns: int, ascii_only: bool) -> str:
    """Progress as a line of at most that many columns less one."""
    share = _share(progress)
    head = f'{_label(progress):{_LABEL}} '
    # Of one width whatever their values, so that the bar does not jump, also
    # from one phase to the next.
    tail = [f' {share:>4}',
            f'  {text.size(progress.done):>8}{_whole(progress):12}',
            f'  {text.size(progress.bytes_per_second):>8}/s',
            f'  {"".join(_time_left(progress)):17}',
            f'  {progress.bottleneck:7}']
    # A full last column would wrap the line: stay one short of it.
    room = columns - 1 - len(head)
    for dispensable, least in _DISPENSABLE:
        if room - sum(map(len, tail)) < least:
            tail[dispensable] = ''
    width = min(room - sum(map(len, tail)), 60)
    if width < 4:
        return (head + share)[:max(columns - 1, 0)]
    drawn = head + _blocks(progress, width, ascii_only) + ''.join(tail)
    return drawn.rstrip()


def can_encode(stream: typing.TextIO, characters: str) -> bool:
    """Whether the stream's encoding and terminal have these characters."""
    if _locale() in ('C', 'POSIX') or (
            stream.isatty() and os.environ.get('TERM') in _FEW_CHARACTERS):
        return False
    try:
        characters.encode(stream.encoding or 'ascii')
    except (LookupError, UnicodeEncodeError):
        return False
    return True


def _locale() -> str:
    """Locale of characters, as the environment states it.

    Python encodes in UTF-8 where it is C, whatever the terminal shows then,
    and sets LC_CTYPE to say so.
    """
    characters = os.environ.get('LC_CTYPE', '')
    return (os.environ.get('LC_ALL')
            or (characters if characters != 'C.UTF-8' else '')
            or os.environ.get('LANG', ''))


def _blocks(progress: engine.Progress, width: int, ascii_only: bool) -> str:
    fraction = _fraction(progress)
    if ascii_only:
        inner = width - 2
        return f'[{"#" * int(fraction * inner):{inner}}]'
    whole, eighths = divmod(int(fraction * (width - 2) * 8), 8)
    full = '█' * whole + (_EIGHTHS[eighths] if eighths else '')
    return f'▕{full:{width - 2}}▏'


def _share(progress: engine.Progress) -> str:
    """Percent; nothing while the whole is not known."""
    if not progress.total:
        return ''
    return text.share(progress.done, progress.total)


def _whole(progress: engine.Progress) -> str:
    return f' of {text.size(progress.total)}' if progress.total else ''


def _fraction(progress: engine.Progress) -> float:
    if not progress.total:
        return 0.0
    return min(max(progress.done / progress.total, 0.0), 1.0)


def _label(progress: engine.Progress) -> str:
    return _PHASES.get(progress.phase, progress.phase)


def _time_left(progress: engine.Progress) -> list[str]:
    seconds, left = progress.seconds_left, progress.total - progress.done
    if seconds is None and left > 0 and progress.bytes_per_second > 0:
        seconds = left / progress.bytes_per_second
    return [f'{text.duration(seconds)} left'] if seconds else []


def width(stream: typing.TextIO, otherwise: int) -> int:
    """Columns of the stream's terminal, or so many where there is none."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or otherwise
    except (OSError, ValueError):
        return otherwise
