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
import random
import typing

from ironic_imagedeploy.engine import checksum
from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.sources import recorded
from ironic_imagedeploy.engine.sources import verified
from tests.unit.engine import base
from tests.unit.engine import memory

KIB = base.KIB


class VerifiedStreamTest(base.EngineTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.content = random.Random(1).randbytes(300 * KIB + 77)
        self.expected = checksum.Checksum(
            'sha512', hashlib.sha512(self.content).hexdigest())

    def read(self, source: memory.MemorySource,
             expected: checksum.Checksum | None, **options: typing.Any
             ) -> checksum.Checksum:
        """Read it all; what has come stays in self.came."""
        stream = verified.VerifiedStream(source, expected, **options)
        self.came = b''
        buffer = memoryview(bytearray(64 * KIB))
        try:
            while count := stream.readinto(buffer):
                self.came += buffer[:count]
        finally:
            stream.close()
        self.assertEqual(1, source.streams[0].closed)
        return stream.checksum

    def test_right_file_in_any_pieces(self) -> None:
        for step in (1 << 30, 1000):
            source = memory.MemorySource(self.content, step=step)
            self.assertEqual(self.expected, self.read(source, self.expected))
            self.assertEqual(self.content, self.came)

    def test_nothing_expected(self) -> None:
        found = self.read(memory.MemorySource(self.content), None)
        self.assertEqual(checksum.Checksum(
            'sha256', hashlib.sha256(self.content).hexdigest()), found)

    def test_wrong_file_has_no_end(self) -> None:
        changed = bytearray(self.content)
        changed[-1] ^= 1
        with self.assertRaises(exceptions.ChecksumMismatch) as caught:
            self.read(memory.MemorySource(self.content, streamed=changed),
                      self.expected)
        self.assert_complete(caught.exception)
        self.assertEqual(f'sha512 {self.expected.value}',
                         caught.exception.expected)

    def test_a_file_of_another_length(self) -> None:
        for streamed in (self.content[:-1], self.content + b'x'):
            with self.assertRaises(exceptions.SourceTruncated) as caught:
                self.read(memory.MemorySource(
                    self.content, streamed=streamed), None)
            self.assertIn(f'{len(streamed)} bytes', caught.exception.found)

    def test_other_bytes_than_were_read_before(self) -> None:
        changed = bytearray(self.content)
        changed[200 * KIB] ^= 1
        source = memory.MemorySource(self.content, streamed=changed)
        seen = recorded.RecordedSource(source)
        seen.read_at(190 * KIB, 20 * KIB)
        with self.assertRaises(exceptions.SourceChanged):
            self.read(source, None, replay=seen.replay_check())
