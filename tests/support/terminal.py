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

"""A program on a terminal, and what is to be seen there."""

import codecs
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import dataclasses
import fcntl
import os
import pathlib
import pty
import re
import struct
import subprocess
import sys
import termios
import threading
import time

_CONTROL = re.compile(r'\x1b\[(\d*)([FKJ])|(\r)|(\n)|([^\x00-\x1f]+)')
#: Nothing below the cursor: the end of each redraw.
_END = '\x1b[J'


@dataclasses.dataclass(frozen=True)
class Frame:
    """What stood on the terminal after a redraw.

    :ivar seconds: since the program was started.
    """

    seconds: float
    text: str


class Screen:
    """As much of a terminal as a block of lines that is redrawn needs."""

    def __init__(self) -> None:
        self._lines = ['']
        self._row = 0
        self._column = 0

    @property
    def text(self) -> str:
        """All lines, those that scrolled away too."""
        return '\n'.join(line.rstrip() for line in self._lines).rstrip()

    def feed(self, text: str) -> None:
        """Draw.

        :raises ValueError: for what this terminal cannot do.
        """
        end = 0
        for match in _CONTROL.finditer(text):
            if match.start() != end:
                break
            end = match.end()
            count, control, to_begin, down, words = match.groups()
            if control:
                self._control(control, int(count or 1))
            elif to_begin:
                self._column = 0
            elif down:
                self._row += 1
                if self._row == len(self._lines):
                    self._lines.append('')
            else:
                self._put(words)
        if end != len(text):
            raise ValueError(f'not understood: {text[end:end + 20]!r}')

    def _control(self, control: str, count: int) -> None:
        line = self._lines[self._row]
        match control:
            case 'F':
                self._row, self._column = max(self._row - count, 0), 0
            case 'K':
                self._lines[self._row] = line[:self._column]
            case 'J':
                self._lines[self._row:] = [line[:self._column]]

    def _put(self, words: str) -> None:
        line = self._lines[self._row].ljust(self._column)
        end = self._column + len(words)
        self._lines[self._row] = line[:self._column] + words + line[end:]
        self._column = end


class Terminal:
    """Runs a program on a terminal of its own.

    :ivar frames: what was to be seen, by and by.
    """

    def __init__(self, command: Sequence[str], *, columns: int = 80,
                 rows: int = 24, env: Mapping[str, str] | None = None
                 ) -> None:
        self.frames: list[Frame] = []
        self._started = time.monotonic()
        self._file, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ,
                    struct.pack('HHHH', rows, columns, 0, 0))
        outer = {name: value for name, value in os.environ.items()
                 if name not in ('COLUMNS', 'LINES')}
        self._child = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave,
            start_new_session=True, env={
                **outer, 'TERM': 'xterm-256color', 'LC_ALL': 'C.UTF-8',
                **(env or {})})
        os.close(slave)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    @property
    def text(self) -> str:
        """What is to be seen now."""
        return self.frames[-1].text if self.frames else ''

    def wait(self, timeout: float) -> int:
        """The exit status of the program.

        :param timeout: seconds.
        :raises TimeoutExpired: after ending it.
        """
        try:
            return self._child.wait(timeout)
        finally:
            self.end()

    def end(self) -> None:
        """End the program, if it still runs."""
        self._child.kill()
        self._child.wait()
        self._thread.join()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _read(self) -> None:
        screen = Screen()
        decoder = codecs.getincrementaldecoder('utf-8')()
        text = ''
        # A terminal whose program has ended cannot be read.
        with contextlib.suppress(OSError):
            while data := os.read(self._file, 65536):
                text += decoder.decode(data)
                while _END in text:
                    drawn, _, text = text.partition(_END)
                    screen.feed(drawn + _END)
                    self._keep(screen)
        screen.feed(text)
        self._keep(screen)

    def _keep(self, screen: Screen) -> None:
        self.frames.append(Frame(
            time.monotonic() - self._started, screen.text))


def story(frames: Iterable[Frame]) -> str:
    """Some frames, as text that tells when each of them was to be seen."""
    return '\n'.join(f'after {each.seconds:.0f} s:\n\n{each.text}\n'
                     for each in frames)


def watch(ironic: str, *nodes: str) -> Terminal:
    """Run ``ironic-imagedeploy watch`` for a cloud without Keystone.

    :param ironic: URL of its API.
    """
    program = pathlib.Path(sys.executable).parent / 'ironic-imagedeploy'
    return Terminal([str(program), 'watch', *nodes], columns=100,
                    env={'OS_AUTH_TYPE': 'none', 'OS_ENDPOINT': ironic})
