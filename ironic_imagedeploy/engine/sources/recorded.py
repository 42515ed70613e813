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

"""A source that remembers what was read, and a check of its replay.

The tables of an image are read before its data, in requests of their own. A
file that changes in between, or a mirror that lies, could show a harmless
table first. So every byte that a decision was based on is remembered by its
digest and compared with the same byte of the one stream that is hashed and
written.
"""

import hashlib

from ironic_imagedeploy.engine import budget as _budget
from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.sources import base
from ironic_imagedeploy.engine.sources import chunked


class RecordedSource(base.Source):
    """A source that records digests of what is read at offsets.

    :param source: the source underneath; its owner closes it.
    :param budget: that reads at offsets draw from.
    """

    def __init__(self, source: base.Source,
                 budget: _budget.Budget | None = None) -> None:
        self.budget = budget or _budget.Budget()
        self._source = source
        self.name = source.name
        self.size = source.size
        self.random_access = source.random_access
        self.local = source.local
        self.declared_format = source.declared_format
        self.declared_checksum = source.declared_checksum
        self._seen: dict[tuple[int, int], bytes] = {}

    @property
    def chunked(self) -> chunked.ChunkedSource | None:
        """The source underneath, when its bytes are verified by chunks."""
        return (self._source
                if isinstance(self._source, chunked.ChunkedSource) else None)

    @property
    def resumes(self) -> int:  # type: ignore[override]
        return self._source.resumes

    def read_at(self, offset: int, length: int) -> bytes:
        self.budget.draw_read(length, local=self.local)
        read = self._source.read_at(offset, length)
        digest = hashlib.sha256(read).digest()
        if self._seen.setdefault((offset, length), digest) != digest:
            raise _changed(self.name, offset, length)
        return read

    def open_stream(self) -> base.Stream:
        return self._source.open_stream()

    def replay_check(self) -> 'ReplayCheck':
        """A check of a stream against what has been read so far."""
        return ReplayCheck(self.name, self._seen)


class ReplayCheck:
    """Comparison of a stream of the file with what was read before."""

    def __init__(self, name: str,
                 seen: dict[tuple[int, int], bytes]) -> None:
        self._name = name
        self._ahead = sorted(
            ((offset, length, digest)
             for (offset, length), digest in seen.items() if length),
            reverse=True)
        self._open: list[tuple[int, int, bytes, hashlib._Hash]] = []

    def update(self, position: int, passing: memoryview) -> None:
        """Compare the next bytes of the stream.

        :param position: offset in the file of the first of them: the end of
            the bytes before.
        :raises SourceChanged: when they differ from what was read before.
        """
        end = position + len(passing)
        while self._ahead and self._ahead[-1][0] < end:
            offset, length, digest = self._ahead.pop()
            self._open.append((offset, length, digest, hashlib.sha256()))
        still_open = []
        for offset, length, digest, seen in self._open:
            seen.update(passing[max(offset - position, 0):
                                offset + length - position])
            if offset + length > end:
                still_open.append((offset, length, digest, seen))
            elif seen.digest() != digest:
                raise _changed(self._name, offset, length)
        self._open = still_open


def _changed(name: str, offset: int, length: int
             ) -> exceptions.SourceChanged:
    return exceptions.SourceChanged(
        name, expected=f'bytes {offset} to {offset + length - 1} as they were '
        'when they were read first', found='other bytes',
        fix='Deploy again; if it happens again, the server or a mirror gives '
            'different files under one address.')
