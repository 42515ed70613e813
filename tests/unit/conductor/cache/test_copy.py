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

import hashlib
import io
import os

from ironic_imagedeploy.conductor.cache import copy
from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import manifest_builder
from tests.unit.engine import base

KIB, MIB = 1 << 10, 1 << 20


class Dribble:
    """A stream that gives a different number of bytes each time."""

    def __init__(self, content: bytes) -> None:
        self._content = memoryview(content)
        self._counts = 0

    def readinto(self, buffer: memoryview) -> int:
        self._counts += 1
        count = min(self._counts * 7919 % 90_001 + 1, len(buffer),
                    len(self._content))
        buffer[:count] = self._content[:count]
        self._content = self._content[count:]
        return count


class CopyTest(base.EngineTestCase):

    def copied(self, content: bytes) -> bytes:
        path = self.directory / 'copy'
        with path.open('wb') as file:
            copy.copy(Dribble(content), file=file)
        self.blocks = path.stat().st_blocks
        return path.read_bytes()

    def test_every_byte_whatever_is_zero(self) -> None:
        noise = os.urandom(MIB)
        for content in (b'', b'\0', b'x', bytes(64 * KIB), bytes(3 * MIB + 1),
                        noise + bytes(MIB) + noise, bytes(MIB) + noise,
                        noise[:5], bytes(64 * KIB - 1) + b'x',
                        noise + bytes(2 * MIB), b'x' + bytes(200 * KIB) + b'y'
                        + bytes(63 * KIB)):
            self.assertEqual(content, self.copied(content))

    def test_holes(self) -> None:
        self.copied(b'x' + bytes(16 * MIB) + b'y' + bytes(MIB))
        self.assertLessEqual(self.blocks * 512, 256 * KIB)

    def test_a_stream_that_is_longer_than_it_said(self) -> None:
        """Whoever reads it tells so; nobody falls over it before."""
        content = os.urandom(2 * MIB + 9)
        with manifest_builder.Builder(MIB) as builder:
            copy.copy(Dribble(content), builder=builder)
            made = builder.finish(engine.Checksum(
                'sha256', hashlib.sha256(content[:MIB]).hexdigest()))
        self.assertTrue(made.matches(0, content[:MIB]))

    def test_both_at_once(self) -> None:
        """The file and the manifest get the same bytes of one reading."""
        content = os.urandom(2 * MIB + 9)
        path = self.directory / 'copy'
        with (manifest_builder.Builder(len(content)) as builder,
              path.open('wb') as file):
            copy.copy(Dribble(content), builder=builder, file=file)
            made = builder.finish(engine.Checksum(
                'sha256', hashlib.sha256(content).hexdigest()))
        self.assertEqual(content, path.read_bytes())
        self.assertEqual(3, made.count)
        for index in range(made.count):
            start, end = made.bounds(index)
            self.assertTrue(made.matches(index, content[start:end]))


class Recorder(io.BytesIO):
    """A file that keeps what is done to it: offsets and bytes in KiB."""

    def __init__(self) -> None:
        super().__init__()
        self.done: list[tuple[str, float, float]] = []

    def write(self, data: bytes) -> int:
        if len(data):
            self.done.append(('write', self.tell() / KIB, len(data) / KIB))
        return super().write(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self.done.append(('skip', self.tell() / KIB, offset / KIB))
        return super().seek(offset, whence)


class RequestsTest(base.EngineTestCase):
    """What is asked of the file, as far as no buffer ends in between."""

    def done(self, content: bytes) -> list[tuple[str, float, float]]:
        file = Recorder()
        copy.copy(Dribble(content), file=file)
        self.assertEqual(content, file.getvalue().ljust(len(content), b'\0'))
        return file.done

    def test_data(self) -> None:
        self.assertEqual([('write', 0, 1024), ('write', 1024, 1024),
                          ('write', 2048, 1)],
                         self.done(b'x' * (2 * MIB + KIB)))

    def test_holes_between_data(self) -> None:
        block = b'x' * (64 * KIB)
        self.assertEqual(
            [('write', 0, 64), ('skip', 64, 64), ('skip', 128, 64),
             ('write', 192, 128), ('skip', 320, 64), ('write', 384, 1)],
            self.done(block + bytes(128 * KIB) + 2 * block
                      + bytes(64 * KIB) + block[:KIB]))

    def test_blocks_with_a_byte_in_them(self) -> None:
        for content in (b'x' + bytes(64 * KIB - 1),
                        bytes(64 * KIB - 1) + b'x', bytes(64 * KIB - 1)):
            self.assertEqual([('write', 0, len(content) / KIB)],
                             self.done(content))

    def test_no_hole_begins_within_a_block(self) -> None:
        self.assertEqual([('write', 0, 128)], self.done(
            b'x' + bytes(126 * KIB) + b'x' * (2 * KIB - 1)))
