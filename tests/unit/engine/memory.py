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

"""Image files in memory, whose stream can go wrong."""

from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.sources import base


class MemorySource(base.Source):
    """A file in memory.

    :param content: what is read at offsets.
    :param streamed: what the stream gives; the same when None.
    :param step: bytes that one read of the stream gives at most.
    :param failure: raised by the stream after ``fail_at`` bytes.
    """

    def __init__(self, content: bytes | bytearray, *,
                 streamed: bytes | bytearray | None = None,
                 step: int = 1 << 30, fail_at: int = 0,
                 failure: BaseException | None = None) -> None:
        self.name = 'memory'
        self.size = len(content)
        self.content = content
        self.streamed = content if streamed is None else streamed
        self.step = step
        self.fail_at = fail_at
        self.failure = failure
        self.reads: list[tuple[int, int]] = []
        self.streams: list[MemoryStream] = []

    def read_at(self, offset: int, length: int) -> bytes:
        self.reads.append((offset, length))
        if offset + length > min(self.size, len(self.content)):
            raise exceptions.SourceTruncated(
                self.name, expected=f'{offset + length} bytes',
                found=f'{self.size} bytes', fix='Do not.')
        return bytes(self.content[offset:offset + length])

    def open_stream(self) -> base.Stream:
        self.streams.append(MemoryStream(self))
        return self.streams[-1]


class MemoryStream:
    """The file in order.

    :ivar closed: how often it was closed.
    """

    def __init__(self, source: MemorySource) -> None:
        self.closed = 0
        self._source = source
        self._position = 0

    def readinto(self, buffer: memoryview) -> int:
        source = self._source
        end = min(self._position + min(len(buffer), source.step),
                  len(source.streamed))
        if source.failure:
            end = min(end, max(source.fail_at, self._position))
            if self._position >= source.fail_at:
                raise source.failure
        part = source.streamed[self._position:end]
        buffer[:len(part)] = part
        self._position = end
        return len(part)

    def close(self) -> None:
        self.closed += 1
