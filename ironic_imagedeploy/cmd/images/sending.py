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


"""A file on its way to Glance, hashed as it passes."""

from collections.abc import Iterator
import contextlib

from ironic_imagedeploy.cmd import progress_bar
from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import manifest as manifests
from ironic_imagedeploy.engine import manifest_builder
from ironic_imagedeploy.engine.transfer import meter as meters

#: The algorithm that Glance takes when it is not told another one.
ALGORITHM = 'sha512'
_PIECE = 1 << 20


class Body:
    """Bytes of a file, in pieces, once.

    :param expected: checksum of the file; None to compute one.
    :param builder: of its manifest.
    :param inspection: that its bytes must agree with.
    """

    def __init__(self, source: engine.Source, display: progress_bar.Display,
                 expected: engine.Checksum | None = None,
                 builder: manifest_builder.Builder | None = None,
                 inspection: engine.Inspection | None = None) -> None:
        self._size = source.size
        self._builder = builder
        self._meter = meters.Meter(
            lambda progress: display(progress._replace(bottleneck='')),
            source.local)
        self._stream = engine.VerifiedStream(
            source, expected, algorithm=ALGORITHM, replay=(
                inspection.source.replay_check() if inspection else None))
        self._is_begun = False

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[bytes]:
        """Pieces of the file.

        :raises SourceError: when it cannot be read to its end.
        :raises ChecksumMismatch: at its end, when it is another file.
        """
        if self._is_begun:
            raise RuntimeError('the bytes of an upload are sent once')
        self._is_begun = True
        self._meter.enter('upload', self._size)
        view = memoryview(bytearray(_PIECE))
        with contextlib.closing(self._stream):
            while count := self._stream.readinto(view):
                if self._builder:
                    self._builder.update(view[:count])
                yield bytes(view[:count])
                self._meter.advance(data=count)
                self._meter.tick_if_due()

    @property
    def checksum(self) -> engine.Checksum:
        """Checksum of the file, when all of it has passed."""
        return self._stream.checksum

    def manifest(self) -> manifests.Manifest:
        """Manifest of the file, when all of it has passed."""
        assert self._builder is not None
        return self._builder.finish(self.checksum)


def checksum(source: engine.Source, algorithm: str) -> engine.Checksum:
    """Checksum of a file, by another reading.

    :raises SourceError: when it cannot be read.
    """
    stream = engine.VerifiedStream(source, None, algorithm=algorithm)
    view = memoryview(bytearray(_PIECE))
    with contextlib.closing(stream):
        while stream.readinto(view):
            pass
    return stream.checksum
