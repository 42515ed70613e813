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

"""A disk that records what reaches it, and fails as it is told."""

from collections.abc import Callable
import contextlib
import dataclasses
import json
import pathlib
import subprocess
import sys
import time

from tests.support import disks
from tests.support.faults import fuse_file
from tests.support.faults import recording
from tests.support.faults import rules

#: A disk that cannot zero by itself.
NO_ZEROES = tuple(rules.Rule(kind, 'fail', error='EOPNOTSUPP')
                  for kind in ('zero', 'discard'))


class FaultyDisk:
    """A loop device on a file that is served through FUSE.

    :param backing: holds the bytes; as large as the disk.
    :param directory: for its files.
    :ivar file: the file that is served: a disk without a device.
    :ivar log: of what reached it.
    :ivar device: the loop device.
    """

    def __init__(self, backing: pathlib.Path, directory: pathlib.Path, *,
                 sector_size: int = 512, loop: bool = True) -> None:
        self.backing = backing
        self.size = backing.stat().st_size
        self.sector_size = sector_size
        name = f'{backing.name}-{time.monotonic_ns()}'
        self.file = directory / f'{name}.disk'
        self.log = directory / f'{name}.log'
        self.file.touch()
        self._stack = contextlib.ExitStack()
        with contextlib.ExitStack() as unless_ready:
            unless_ready.callback(self.close)
            self._start()
            if loop:
                # Older kernels make a device of the size that they know of.
                self.file.stat()
                self.device = disks.attach(self.file, sector_size=sector_size)
                self._stack.callback(
                    disks.run, 'losetup', '-d', self.device)
            unless_ready.pop_all()

    def _start(self) -> None:
        self._server = subprocess.Popen(
            [sys.executable, '-m', fuse_file.__name__, self.file,
             self.backing, self.log], text=True, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE)
        self._stack.callback(self._end)
        self._expect('ready')
        self._stack.callback(disks.run, 'umount', '-l', self.file)

    def __enter__(self) -> 'FaultyDisk':
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Give everything back; the backing file stays."""
        self._stack.close()

    def on_close(self, action: Callable[..., object], *arguments: object
                 ) -> None:
        """Do that first when the disk is closed."""
        self._stack.callback(action, *arguments)

    def set_rules(self, *wanted: rules.Rule) -> None:
        """Let these, and no others, go wrong from here on."""
        self._order(rules=[dataclasses.asdict(rule) for rule in wanted])

    def mark(self, text: str) -> None:
        """Put a text into the recording."""
        self._order(mark=text)

    def recording(self) -> recording.Recording:
        """What reached the disk so far."""
        return recording.Recording(self.log)

    def _order(self, **order: object) -> None:
        assert self._server.stdin
        self._server.stdin.write(json.dumps(order) + '\n')
        self._server.stdin.flush()
        self._expect('ok')

    def _expect(self, text: str) -> None:
        assert self._server.stdout
        line = self._server.stdout.readline().strip()
        if line != text:
            raise AssertionError(f'the disk said {line!r}, not {text!r}')

    def _end(self) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._server.wait(10)
        self._server.kill()
        self._server.wait()
        for pipe in (self._server.stdin, self._server.stdout):
            if pipe:
                pipe.close()
        self.file.unlink(missing_ok=True)
