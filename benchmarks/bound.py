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

"""What this machine can do at best: each part of the work on its own.

``python -m benchmarks.bound fetch|decode|write|look ...`` does one of them, as
fast as it can, and prints one line of JSON.
"""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
import http.client
import json
import mmap
import os
import pathlib
import resource
import sys
import threading
import time
import typing
import urllib.parse

from ironic_imagedeploy import engine
from ironic_imagedeploy.engine.codecs import compressions
from ironic_imagedeploy.engine.formats import base
from ironic_imagedeploy.engine import manifest as manifests
from ironic_imagedeploy.engine import memory
from ironic_imagedeploy.engine.targets import block
from ironic_imagedeploy.engine.transfer import held_ends
from ironic_imagedeploy.engine.transfer import meter
from ironic_imagedeploy.engine.transfer import reuse

MIB = 1 << 20
_WRITE = MIB
_BATCH = 16

Part = tuple[int, int]
_T = typing.TypeVar('_T')


def fetch(url: str, path: str) -> Callable[[], None]:
    """Receive the chunks that are not zero, and hash them, on all processors.

    :param path: of the manifest.
    """
    parts = urllib.parse.urlsplit(url)
    manifest = manifests.Manifest.decode(pathlib.Path(path).read_bytes())
    chunks = [index for index in range(manifest.count)
              if not manifest.is_zero(index)]
    of_thread = threading.local()

    def part(indexes: list[int]) -> None:
        if not hasattr(of_thread, 'connection'):
            of_thread.connection = http.client.HTTPConnection(parts.netloc)
            of_thread.memory = memoryview(mmap.mmap(-1, manifest.chunk_size))
        for first, last in _neighbours(indexes):
            start, end = manifest.bounds(first)[0], manifest.bounds(last)[1]
            of_thread.connection.request(
                'GET', parts.path, headers={
                    'Range': f'bytes={start}-{end - 1}'})
            body = of_thread.connection.getresponse()
            for index in range(first, last + 1):
                start, end = manifest.bounds(index)
                view = of_thread.memory[:end - start]
                rest = view
                while rest:
                    rest = rest[body.readinto(rest):]
                if not manifest.matches(index, view):
                    raise ValueError(f'chunk {index}')
            body.read()
    return lambda: _on_all([chunks[first:first + _BATCH] for first in
                            range(0, len(chunks), _BATCH)], part)


def decode(path: str) -> Callable[[], None]:
    """Decode everything that is compressed, on all processors.

    A file that is compressed as a whole is one stream, for one processor.
    """
    if path.endswith('.zst'):
        return lambda: _decode_stream(path)
    with engine.open_source(path) as source:
        image = engine.inspect(source).image
        assert isinstance(image, base.MappedImage)
        stored = [extent for extent in image.by_source()
                  if extent.kind is engine.ExtentKind.COMPRESSED]
    descriptor = os.open(path, os.O_RDONLY)

    def part(extents: list[engine.Extent]) -> None:
        for extent in extents:
            image.decode(extent, os.pread(
                descriptor, extent.source_length, extent.source_offset))
    return lambda: _on_all([stored[first:first + _BATCH] for first in
                            range(0, len(stored), _BATCH)], part)


def write(path: str, device: str) -> Callable[[], None]:
    """Write as many bytes to the same places, and zero the others."""
    writes, zeroes = _plan(path)
    target = engine.open_target(device)
    noise = mmap.mmap(-1, _WRITE)
    noise[:] = os.urandom(_WRITE)
    view = memoryview(noise)

    def part(extents: list[Part]) -> None:
        for start, length in extents:
            target.write(start, view[:length])

    def run() -> None:
        for start, length in zeroes:
            target.zero(start, length)
        _on_all([writes[first:first + _BATCH] for first in
                 range(0, len(writes), _BATCH)], part)
        target.flush()
    return run


def look(path: str, manifest_path: str, device: str
         ) -> Callable[[], dict[str, int]]:
    """Look for the chunks of an image on a disk, as a rebuild does."""
    manifest = manifests.Manifest.decode(
        pathlib.Path(manifest_path).read_bytes())
    source = engine.open_source(path)
    image = engine.inspect(source).image
    assert isinstance(image, base.MappedImage)
    target = CountingTarget(device)

    def run() -> dict[str, int]:
        found = reuse.find(image, manifest, target,
                           held_ends.HeldEnds(image.virtual_size),
                           meter.Meter())
        return {'read': target.count,
                'found': sum(end - start for start, end
                             in map(manifest.bounds, found))}
    return run


class CountingTarget(block.BlockTarget):
    """A disk that counts the bytes that are read."""

    count = 0

    def read(self, offset: int, length: int,
             memory: memoryview | None = None) -> memoryview:
        self.count += length
        return super().read(offset, length, memory)


def _plan(path: str) -> tuple[list[Part], list[Part]]:
    """What is written, by one call each, and what is zeroed."""
    with engine.open_source(path) as source:
        image = engine.inspect(source).image
        assert isinstance(image, base.MappedImage)
        if image.format_name == 'raw':
            return _scan(path, image.virtual_size)
        writes: list[Part] = []
        for extent in image.by_source():
            writes.extend(_cut(extent.start, extent.length))
        zeroes = [(extent.start, extent.length) for extent in image.extents()
                  if extent.kind is engine.ExtentKind.ZERO]
    return list(_join(writes)), zeroes


def _cut(start: int, length: int) -> Iterator[Part]:
    for first in range(start, start + length, _WRITE):
        yield first, min(_WRITE, start + length - first)


def _join(parts: list[Part]) -> Iterator[Part]:
    """Neighbours become one, as far as one call goes."""
    start, length = 0, 0
    for first, more in parts:
        if first == start + length and length + more <= _WRITE:
            length += more
            continue
        if length:
            yield start, length
        start, length = first, more
    if length:
        yield start, length


def _scan(path: str, size: int) -> tuple[list[Part], list[Part]]:
    """A raw image does not tell its zeroes."""
    parts: tuple[list[Part], list[Part]] = [], []
    with open(path, 'rb') as file:
        for start in range(0, size, _WRITE):
            piece = memoryview(file.read(_WRITE))
            parts[memory.is_zero(piece)].append((start, len(piece)))
    return parts[0], parts[1]


def _neighbours(indexes: list[int]) -> Iterator[tuple[int, int]]:
    """First and last of those that follow each other."""
    first = 0
    for at, index in enumerate(indexes):
        if at + 1 == len(indexes) or indexes[at + 1] != index + 1:
            yield indexes[first], index
            first = at + 1


def _decode_stream(path: str) -> None:
    start = compressions.COMPRESSIONS['zstd'].start
    with open(path, 'rb', buffering=0) as file:
        frame = start(compressions.MEMORY)
        tail = b''
        while data := tail or file.read(MIB):
            tail = b''
            if frame.eof:
                frame = start(compressions.MEMORY)
            frame.decompress(data, MIB)
            while not (frame.eof or frame.needs_input):
                frame.decompress(b'', MIB)
            if frame.eof:
                tail = frame.unused_data


def _on_all(jobs: list[list[_T]], work: Callable[[list[_T]], None]) -> None:
    """Give the jobs, in order, to a thread for each processor."""
    todo = iter(jobs)
    lock = threading.Lock()

    def run() -> None:
        while True:
            with lock:
                job = next(todo, None)
            if job is None:
                return
            work(job)
    threads = [threading.Thread(target=run) for _ in range(
        os.cpu_count() or 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def say(run: Callable[[], Mapping[str, int | float] | None]) -> None:
    """Print what a part says, and what it took, as one line of JSON."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    start = time.monotonic()
    said = run()
    seconds = time.monotonic() - start
    after = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({
        **(said or {}), 'seconds': seconds,
        'processor': (after.ru_utime - before.ru_utime
                      + after.ru_stime - before.ru_stime)}))


def main() -> None:
    parts: dict[str, Callable[..., Callable[[], dict[str, int] | None]]] = {
        'fetch': fetch, 'decode': decode, 'write': write, 'look': look}
    say(parts[sys.argv[1]](*sys.argv[2:]))


if __name__ == '__main__':
    main()
