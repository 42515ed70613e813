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

"""Loop devices, and files that are compared byte by byte."""

from collections.abc import Iterator
import hashlib
import os
import pathlib
import tempfile
import time

from tests.support import commands

MIB = 1 << 20
#: What disks hold before a test: a byte that is forgotten shows.
OLD = 0xa5
_CHUNK = 4 * MIB
#: Where no TMPDIR is set: memory, which spares the machine's disk.
_MEMORY = pathlib.Path('/dev/shm')


def make_directory() -> pathlib.Path:
    """A fresh directory, in memory unless TMPDIR says where."""
    parent = None
    if 'TMPDIR' not in os.environ and os.access(_MEMORY, os.W_OK):
        parent = _MEMORY
    return pathlib.Path(tempfile.mkdtemp(prefix='imagedeploy-', dir=parent))


def run(*command: str | pathlib.Path) -> str:
    """Standard output of a tool that must succeed, without its newline.

    :raises: :class:`commands.CommandFailed`
    """
    return commands.run(*command, timeout=1200).strip()


def attach(backing: pathlib.Path, *, sector_size: int = 512,
           read_only: bool = False) -> str:
    """The loop device that a file was attached to.

    Others attach devices too: losetup may lose the race for a free one.
    """
    options = ['-b', str(sector_size), *(['-r'] if read_only else [])]
    for attempt in range(20):
        try:
            return run('losetup', '-f', '--show', *options, backing)
        except commands.CommandFailed:
            if attempt == 19:
                raise
            time.sleep(0.1)
    raise AssertionError('unreachable')


def checksum(path: pathlib.Path, algorithm: str = 'sha512') -> str:
    """The checksum of a file, as options take it."""
    with path.open('rb') as file:
        digest = hashlib.file_digest(file, algorithm)
    return f'{algorithm}:{digest.hexdigest()}'


def fill(path: pathlib.Path, size: int, byte: int = OLD) -> None:
    """Make a file of one byte, again and again; zeroes take no space."""
    block = bytes([byte]) * _CHUNK
    with path.open('wb') as file:
        if not byte:
            file.truncate(size)
            return
        for start in range(0, size, _CHUNK):
            file.write(block[:size - start])


def holds(path: pathlib.Path, start: int, end: int, byte: int) -> bool:
    """Whether all bytes in that range of the file are this one."""
    block = bytes([byte]) * _CHUNK
    return all(chunk == block[:len(chunk)]
               for chunk in _chunks(path, start, end))


def first_difference(one: pathlib.Path, other: pathlib.Path, size: int
                     ) -> int | None:
    """Offset of the first byte, of that many, that two files differ in."""
    position = 0
    for ours, theirs in zip(_chunks(one, 0, size), _chunks(other, 0, size),
                            strict=True):
        if ours != theirs:
            return position + next(
                index for index, (a, b) in enumerate(
                    zip(ours, theirs, strict=True))
                if a != b)
        position += len(ours)
    return None


def _chunks(path: pathlib.Path, start: int, end: int) -> Iterator[bytes]:
    with path.open('rb') as file:
        file.seek(start)
        while start < end:
            chunk = file.read(min(_CHUNK, end - start))
            if not chunk:
                raise AssertionError(f'{path} ends at {start}, before {end}')
            yield chunk
            start += len(chunk)


def first_bytes(path: str | pathlib.Path, length: int) -> bytes:
    """How a disk begins."""
    with open(path, 'rb') as disk:
        return disk.read(length)
