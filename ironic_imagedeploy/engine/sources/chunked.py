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


"""A file of which each chunk is verified before anybody sees it.

Any place may give a chunk: the digests of a trusted manifest decide whether
it is the right one. So the origin of the file is asked last, and whoever else
has it first.
"""

import collections
from collections.abc import Callable
from collections.abc import Sequence
import dataclasses
import hashlib
import logging
import threading
import time
import typing

from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine import manifest as manifests
from ironic_imagedeploy.engine import memory
from ironic_imagedeploy.engine.sources import base
from ironic_imagedeploy.engine.sources import chunked_stream
from ironic_imagedeploy.engine.sources import kept_chunks

LOG = logging.getLogger(__name__)
#: Zeroes that are fetched along, since another request costs more.
GAP = 256 << 10
#: Times that the origin is asked for a chunk. Each time but the first it is
#: by another connection, of the next mirror where there is one.
_ATTEMPTS = 3


class ChunkAbsent(exceptions.SourceError):
    """A supplier does not have a chunk, or not yet."""

    summary = 'the chunk is not there'


class Supplier(typing.Protocol):
    """A place that has chunks of the file; several threads ask it."""

    @property
    def name(self) -> str:
        """Name of the place, without secrets."""

    def fetch(self, start: int, view: memoryview) -> None:
        """Fill the view with the file's bytes from an offset on.

        They are of one chunk, mostly the whole of it; what is zero by the
        manifest is not asked for.

        :raises ChunkAbsent: when it does not have them: it may have others.
        :raises SourceError: when it is not to be asked again.
        """

    def close(self) -> None:
        """Release connections."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SourceReport:
    """Bytes that one place gave.

    :ivar name: of the place, without secrets.
    :ivar bytes: of the file.
    :ivar bad_chunks: chunks that had other bytes than the manifest says.
    """

    name: str
    bytes: int
    bad_chunks: int = 0


class Filled(typing.NamedTuple):
    """Cost of a chunk.

    :ivar fetched: bytes that came for it.
    :ivar verifying: seconds that its digest took.
    """

    fetched: int = 0
    verifying: float = 0.0


class ChunkedSource(base.Source):
    """A file whose bytes are verified, chunk by chunk, when they are read.

    :param manifest: of the file, which is trusted.
    :param origin: the file; its owner closes it.
    :param suppliers: other places, in the order of preference. Their owner
        closes them. One that fails or gives a wrong chunk is closed at once,
        and not asked again.
    :param verified: called with the index and the bytes of each chunk that
        was verified, by the thread that did it; they are there during the
        call only.
    :param disk: manifest of the disk in the file, when there is one.
    :ivar manifest: of the file.
    :ivar disk: that of the disk.
    :raises SourceChanged: when the origin has another size.
    """

    def __init__(self, manifest: manifests.Manifest, origin: base.Source,
                 suppliers: Sequence[Supplier] = (), *,
                 verified: Callable[[int, memoryview], None] | None = None,
                 disk: manifests.Manifest | None = None) -> None:
        if origin.size != manifest.size:
            raise exceptions.SourceChanged(
                origin.name, expected=f'{manifest.size} bytes, as the '
                'manifest says', found=f'{origin.size} bytes',
                fix='Deploy again once the image is no longer being '
                    'replaced.')
        self.manifest = manifest
        self.disk = disk
        self.size = manifest.size
        self.local = origin.local
        self.declared_format = origin.declared_format
        self.declared_checksum = (origin.declared_checksum
                                  or manifest.checksum)
        self._origin = origin
        self._suppliers = list(suppliers)
        self._verified = verified
        self._lock = threading.Lock()
        self._bytes: collections.Counter[str] = collections.Counter()
        self._bad: collections.Counter[str] = collections.Counter()
        # Between a look at the image and its transfer, and from one thread
        # to another.
        self._kept = kept_chunks.KeptChunks()

    def ask_first(self, suppliers: Sequence[Supplier],
                  verified: Callable[[int, memoryview], None]) -> None:
        """Ask these places before the origin, from now on.

        :param suppliers: in the order of preference.
        :param verified: as above.
        """
        self._suppliers = list(suppliers)
        self._verified = verified

    @property
    def name(self) -> str:  # type: ignore[override]
        return self._origin.name

    @property
    def resumes(self) -> int:  # type: ignore[override]
        return self._origin.resumes

    @property
    def reports(self) -> tuple[SourceReport, ...]:
        """Reports of all places that gave something so far."""
        with self._lock:
            return tuple(
                SourceReport(name=name, bytes=self._bytes[name],
                             bad_chunks=self._bad[name])
                for name in {**self._bytes, **self._bad})

    def read_at(self, offset: int, length: int) -> bytes:
        end = offset + length
        if end > self.size:
            raise exceptions.SourceTruncated(
                self.name, expected=f'at least {end} bytes',
                found=f'a file of {self.size} bytes',
                fix='Upload the whole image file.')
        read = bytearray()
        while len(read) < length:
            position = offset + len(read)
            index = position // self.manifest.chunk_size
            start = self.manifest.bounds(index)[0]
            read += self._chunk(index)[position - start:end - start]
        return bytes(read)

    def fill(self, offset: int, view: memoryview, until: int) -> None:
        view[:] = self.read_at(offset, len(view))

    def end_look(self) -> None:
        self._origin.end_look()

    def open_stream(self) -> base.Stream:
        self.end_look()
        return chunked_stream.ChunkedStream(self.manifest, self.fill_chunk)

    def fill_chunk(self, index: int, view: memoryview,
                   last: int | None = None, *, shared: bool = False
                   ) -> Filled:
        """Fill the view with a chunk, which is verified then.

        :param view: as long as the chunk.
        :param last: chunk that this thread will have gone on to by its next
            calls.
        :param shared: another thread wants the chunk, too, and only once.
        :raises SourceError: when it cannot be had.
        :raises ChunkMismatch: when nobody gives the right one.
        """
        def fetch() -> Filled:
            return self._fill_from_any(index, view, last)

        if shared:
            return self._kept.fill_shared(index, view, fetch) or Filled()
        kept = self._kept.take(index)
        if kept is None:
            return fetch()
        view[:] = kept
        return Filled()

    def fill_chunks(self, indexes: range, view: memoryview,
                    last: int | None = None) -> Filled:
        """Fill the view with neighbouring chunks, which are verified then.

        The parameters are those of :meth:`fill_chunk`.
        """
        if self._only_origin_has(indexes):
            try:
                return self._fill_from(
                    self._ahead(indexes[0], last or indexes[-1]), indexes,
                    view)
            except exceptions.ChunkMismatch as problem:
                LOG.warning('%s', problem)
                self._origin.distrust()
        fetched, verifying, start = 0, 0.0, 0
        for index in indexes:
            low, high = self.manifest.bounds(index)
            filled = self.fill_chunk(index, view[start:start + high - low],
                                     last)
            fetched += filled.fetched
            verifying += filled.verifying
            start += high - low
        return Filled(fetched, verifying)

    def _only_origin_has(self, indexes: range) -> bool:
        # Who is told of chunks gives them to others, who wait for each.
        return (not self._suppliers and self._verified is None
                and self._kept.last_before(
                    indexes[0] - 1, indexes[-1]) == indexes[-1])

    def _ahead(self, first: int, last: int) -> '_Ahead':
        """The origin, asked for all up to a chunk at once."""
        last = self._kept.last_before(first, last)
        return _Ahead(self._origin, self.manifest,
                      self.manifest.bounds(last)[1])

    def _fill_from_any(self, index: int, view: memoryview,
                       last: int | None) -> Filled:
        one = range(index, index + 1)
        for supplier in tuple(self._suppliers):
            try:
                return self._fill_from(supplier, one, view)
            except ChunkAbsent:
                continue
            except (exceptions.SourceError,
                    exceptions.ChunkMismatch) as problem:
                self._drop(supplier, problem)
        # What follows may come from a supplier again.
        if last is None or self._suppliers:
            last = index
        origin = self._ahead(index, last)
        for _ in range(_ATTEMPTS - 1):
            try:
                return self._fill_from(origin, one, view)
            except exceptions.ChunkMismatch as problem:
                LOG.warning('%s', problem)
                self._origin.distrust()
        return self._fill_from(origin, one, view)

    def _fill_from(self, supplier: Supplier, indexes: range,
                   view: memoryview) -> Filled:
        """Fill the view with chunks of that supplier, and verify them."""
        start = self.manifest.bounds(indexes[0])[0]
        fetched = self._fetch(supplier, start, view)
        seconds = 0.0
        for index in indexes:
            low, high = self.manifest.bounds(index)
            chunk = view[low - start:high - start]
            began = time.monotonic()
            good = self.manifest.matches(index, chunk)
            seconds += time.monotonic() - began
            if not good:
                with self._lock:
                    self._bad[supplier.name] += 1
                raise self._mismatch(supplier.name, index, chunk)
            if self._verified:
                self._verified(index, chunk)
        with self._lock:
            self._bytes[supplier.name] += fetched
        return Filled(fetched, seconds)

    def _fetch(self, supplier: Supplier, start: int, view: memoryview) -> int:
        """Bytes that were fetched to fill the view.

        What is zero by the manifest is cleared, also where it was fetched
        along: so the digest is one of the zero map as well.
        """
        position, fetched, end = start, 0, start + len(view)
        for low, high in self.manifest.data_ranges(start, end, gap=GAP):
            supplier.fetch(low, view[low - start:high - start])
            fetched += high - low
        for low, high in self.manifest.data_ranges(start, end):
            memory.clear(view[position - start:low - start])
            position = high
        memory.clear(view[position - start:])
        return fetched

    def _drop(self, supplier: Supplier, problem: Exception) -> None:
        with self._lock:
            if supplier not in self._suppliers:
                return
            self._suppliers.remove(supplier)
        supplier.close()
        LOG.warning('Not asked again for chunks of %(image)s: %(problem)s',
                    {'image': self.name, 'problem': problem})

    def _mismatch(self, name: str, index: int, view: memoryview
                  ) -> exceptions.ChunkMismatch:
        start, end = self.manifest.bounds(index)
        return exceptions.ChunkMismatch(
            name, expected=f'bytes {start} to {end - 1} with sha256 '
            f'{self.manifest.digest(index).hex()}',
            found=hashlib.sha256(view).hexdigest(),
            fix='The image was changed or damaged on its way or in its '
                'store, or the manifest is that of another image. Deploy '
                'again; if it happens again, upload the image again.')

    def _chunk(self, index: int) -> memoryview:
        """A verified chunk, which is kept for a while."""
        if (kept := self._kept.get(index)) is not None:
            return kept
        start, end = self.manifest.bounds(index)
        chunk = memoryview(bytearray(end - start))
        self.fill_chunk(index, chunk)
        self._kept.put(index, chunk)
        return chunk


class _Ahead:
    """The origin, asked for what follows a chunk in the same request.

    :param end: offset after the last byte that will be asked for.
    """

    def __init__(self, origin: base.Source, manifest: manifests.Manifest,
                 end: int) -> None:
        self._origin = origin
        self._manifest = manifest
        self._end = end

    @property
    def name(self) -> str:
        return self._origin.name

    def fetch(self, start: int, view: memoryview) -> None:
        _, until = next(self._manifest.data_ranges(start, self._end, gap=GAP))
        self._origin.fill(start, view, until)

    def close(self) -> None:
        """Do nothing: the owner of the origin closes it."""
