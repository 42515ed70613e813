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


"""The system calls of a program, as strace saw them."""

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import os
import pathlib
import re
import subprocess
import typing

_CALLS = 'pwrite64,write,fsync,fdatasync,ioctl'
_LINE = re.compile(r'(?P<thread>\d+) +(?P<call>.*)')
_RESUMED = re.compile(r'<\.\.\. \w+ resumed>')
_WRITE = re.compile(r'pwrite64\(\d+<(?P<path>[^<>]*).*, (?P<length>\d+), '
                    r'(?P<start>\d+)\) += (?P<result>-?\d+)')
_STREAM = re.compile(r'write\(\d+<(?P<path>[^<>]*).*, (?P<length>\d+)\) += '
                     r'(?P<result>-?\d+)')
_FLUSH = re.compile(r'f(?:data)?sync\(\d+<(?P<path>[^<>]*).*\) += '
                    r'(?P<result>-?\d+)')
_ZERO = re.compile(r'ioctl\(\d+<(?P<path>[^<>]*).*BLKZEROOUT, '
                   r'\[(?P<start>\d+), (?P<length>\d+)\]\) += '
                   r'(?P<result>-?\d+)')
_KINDS = {'write': _WRITE, 'stream': _STREAM, 'flush': _FLUSH, 'zero': _ZERO}


class Call(typing.NamedTuple):
    """A call that has ended, and changes or flushes a file.

    :ivar kind: ``write``, ``zero`` (BLKZEROOUT), ``flush``, or ``stream``
        for a write where the last one ended.
    :ivar start: first byte; 0 where there is none.
    :ivar length: bytes that were asked for.
    """

    kind: str
    start: int = 0
    length: int = 0


def trace(command: Sequence[str | pathlib.Path], path: str,
          log: pathlib.Path, *, inject: str | None = None,
          environment: Mapping[str, str] | None = None
          ) -> tuple[subprocess.CompletedProcess[str], list[Call]]:
    """Run a program and watch what it and its children do to a file.

    :param path: of the file or device.
    :param log: where strace writes.
    :param inject: a fault, as strace's option takes it.
    :returns: how the program ended, and the successful calls.
    """
    faults = ['-e', f'inject={inject}'] if inject else []
    done = subprocess.run(
        ['strace', '-f', '--seccomp-bpf', '-y', '-qq', '-s', '0', '-o', log,
         '-e',
         f'trace={_CALLS}', '-P', path, *faults, '--', *command],
        text=True, capture_output=True, timeout=600, check=False,
        env={**os.environ, **(environment or {})})
    return done, list(_calls(log.read_text(errors='replace'), path))


def _calls(log: str, path: str) -> Iterator[Call]:
    begun: dict[str, str] = {}
    for line in log.splitlines():
        found = _LINE.fullmatch(line)
        if not found:
            continue
        thread, call = found['thread'], found['call']
        if call.endswith('<unfinished ...>'):
            begun[thread] = call.removesuffix(
                '<unfinished ...>').rstrip()
            continue
        if _RESUMED.match(call):
            call = begun.pop(thread) + _RESUMED.sub('', call).lstrip()
        for kind, pattern in _KINDS.items():
            seen = pattern.match(call)
            if seen and seen['path'] == path and int(seen['result']) >= 0:
                numbers = seen.groupdict()
                yield Call(kind, int(numbers.get('start') or 0),
                           int(numbers.get('length') or 0))
