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

"""A control group of the kernel, whose processes share little memory."""

from collections.abc import Iterator
import contextlib
import os
import pathlib
import subprocess
import time

_ROOT = pathlib.Path('/sys/fs/cgroup')
#: Files of version 2, and of version 1: the limit, that with swap, kills.
_FILES = {'': ('memory.max', 'memory.swap.max', 'memory.events'),
          'memory': ('memory.limit_in_bytes', 'memory.memsw.limit_in_bytes',
                     'memory.oom_control')}
#: The one that the kernel kills when there is no more memory.
_VICTIM = 'echo 1000 >/proc/self/oom_score_adj && '
_START = 'echo $$ >"$0/cgroup.procs" && exec "$@"'


def _controller() -> str | None:
    """Folder of the controller of memory; None where there is none."""
    with contextlib.suppress(OSError):
        if 'memory' in (_ROOT / 'cgroup.subtree_control').read_text():
            return ''
    return 'memory' if os.access(_ROOT / 'memory', os.W_OK) else None


def lacking() -> str:
    """What this computer lacks; nothing, mostly."""
    return '' if _controller() is not None else 'control group for memory'


class MemoryGroup:
    """Processes that have so much memory together, and no swap.

    :param limit: bytes.
    """

    def __init__(self, limit: int) -> None:
        controller = _controller() or ''
        self._limit, swap, self._events = _FILES[controller]
        self._path = (_ROOT / controller
                      / f'imagedeploy-{os.getpid()}-{time.monotonic_ns()}')
        self._path.mkdir()
        (self._path / self._limit).write_text(str(limit))
        if (self._path / swap).exists():
            (self._path / swap).write_text(str(limit if controller else 0))

    def __enter__(self) -> 'MemoryGroup':
        return self

    def __exit__(self, *error: object) -> None:
        end = time.monotonic() + 10
        while True:
            try:
                self._path.rmdir()
                return
            except OSError:
                # A process that was killed may take a moment.
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)

    @property
    def kills(self) -> int:
        """How many of its processes the kernel has killed."""
        lines = (self._path / self._events).read_text().splitlines()
        return int(dict(line.split() for line in lines)['oom_kill'])

    def start(self, *command: str | pathlib.Path) -> subprocess.Popen[str]:
        """Start a program in the group; it is the one that is killed."""
        return self._start(_VICTIM + _START, *command)

    @contextlib.contextmanager
    def exhausted(self) -> Iterator[None]:
        """Let its memory be taken, until the kernel kills for more."""
        hog = self._start(_START, 'tail', '/dev/zero')
        try:
            yield
        finally:
            hog.kill()
            hog.communicate()

    def _start(self, script: str, *command: str | pathlib.Path
               ) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ['sh', '-c', script, self._path, *command], text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL)
