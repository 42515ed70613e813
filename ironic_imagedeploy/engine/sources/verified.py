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

"""A stream that ends only when its bytes are the right ones."""

import hashlib

from ironic_imagedeploy.engine import checksum
from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.sources import base
from ironic_imagedeploy.engine.sources import recorded


class VerifiedStream:
    """Stream of a whole file that is hashed, and compared at its end.

    :param source: of the file; its owner closes it.
    :param expected: checksum of the file; None to compute one only.
    :param algorithm: what is computed when nothing is expected.
    :param replay: check against what was read of the file before.
    """

    def __init__(self, source: base.Source,
                 expected: checksum.Checksum | None, *,
                 algorithm: str = 'sha256',
                 replay: recorded.ReplayCheck | None = None) -> None:
        self._source = source
        self._stream = source.open_stream()
        self._expected = expected
        self._algorithm = expected.algorithm if expected else algorithm
        self._hash = hashlib.new(self._algorithm, usedforsecurity=False)
        self._replay = replay
        self._position = 0

    def readinto(self, buffer: memoryview) -> int:
        """Fill the front of the buffer; 0 at the end of the right file.

        :raises SourceError: also when the file ends before its size.
        :raises SourceChanged: when it is not what was read before.
        :raises ChecksumMismatch: when it is not what is expected.
        """
        count = self._stream.readinto(buffer)
        if not count:
            self._check()
            return 0
        if self._replay:
            self._replay.update(self._position, buffer[:count])
        self._hash.update(buffer[:count])
        self._position += count
        return count

    @property
    def checksum(self) -> checksum.Checksum:
        """Checksum of what was read: of the file, at its end."""
        return checksum.Checksum(self._algorithm, self._hash.hexdigest())

    def close(self) -> None:
        """Stop reading."""
        self._stream.close()

    def _check(self) -> None:
        if self._position != self._source.size:
            raise exceptions.SourceTruncated(
                self._source.name, expected=f'{self._source.size} bytes',
                found=f'the end after {self._position} bytes',
                fix='Upload the image again.')
        if self._expected:
            self._expected.check(self._source.name, self._hash.hexdigest())
