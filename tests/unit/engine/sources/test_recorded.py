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

import random

from ironic_imagedeploy.engine import checksum
from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.sources import recorded
from tests.unit.engine import base
from tests.unit.engine import memory

KIB = base.KIB
CHUNK = 64 * KIB


class RecordedSourceTest(base.EngineTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.content = random.Random(1).randbytes(10 * CHUNK + 77)
        self.source = memory.MemorySource(self.content)
        self.recorded = recorded.RecordedSource(self.source)

    def replay(self, content: bytes | bytearray, step: int = CHUNK) -> None:
        """Give a stream of the file to the check."""
        check = self.recorded.replay_check()
        for start in range(0, len(content), step):
            check.update(start, memoryview(content)[start:start + step])

    def assert_noticed(self, at: int, *, step: int = CHUNK) -> None:
        changed = bytearray(self.content)
        changed[at] ^= 1
        with self.assertRaises(exceptions.SourceChanged) as caught:
            self.replay(changed, step)
        self.assert_complete(caught.exception)

    def assert_not_noticed(self, at: int) -> None:
        changed = bytearray(self.content)
        changed[at] ^= 1
        self.replay(changed)

    def test_it_is_the_source_to_everybody(self) -> None:
        self.source.declared_format = 'qcow2'
        self.source.declared_checksum = checksum.Checksum('md5', '0' * 32)
        self.source.random_access = False
        self.recorded = recorded.RecordedSource(self.source)
        self.source.resumes = 3
        for name in ('name', 'size', 'random_access', 'declared_format',
                     'declared_checksum', 'resumes'):
            self.assertEqual(getattr(self.source, name),
                             getattr(self.recorded, name), name)
        self.assertEqual(self.content[5:10], self.recorded.read_at(5, 5))
        self.assertIs(self.recorded.open_stream(), self.source.streams[-1])

    def test_the_same_bytes_again(self) -> None:
        for offset, length in ((0, 512), (100, CHUNK), (3, 9 * CHUNK),
                               (len(self.content) - 5, 5), (7, 0)):
            self.recorded.read_at(offset, length)
        for step in (1000, CHUNK, 3 * CHUNK, len(self.content)):
            self.replay(self.content, step)

    def test_one_bit_of_what_was_read(self) -> None:
        self.recorded.read_at(CHUNK, 100)
        for at in (CHUNK, CHUNK + 50, CHUNK + 99):
            self.assert_noticed(at)

    def test_what_was_not_read_is_not_remembered(self) -> None:
        self.recorded.read_at(CHUNK, 100)
        for at in (0, CHUNK - 1, CHUNK + 100, len(self.content) - 1):
            self.assert_not_noticed(at)

    def test_ranges_across_chunks(self) -> None:
        self.recorded.read_at(CHUNK - 10, 3 * CHUNK)
        for at in (CHUNK - 10, CHUNK - 1, CHUNK, 3 * CHUNK,
                   4 * CHUNK - 11):
            for step in (CHUNK, 1000):
                self.assert_noticed(at, step=step)

    def test_overlapping_ranges(self) -> None:
        self.recorded.read_at(0, 2 * CHUNK)
        self.recorded.read_at(CHUNK, 2 * CHUNK)
        self.recorded.read_at(CHUNK + 5, 10)
        self.recorded.read_at(0, 512)
        self.replay(self.content)
        for at in (0, 511, CHUNK + 5, CHUNK + 50, 2 * CHUNK,
                   3 * CHUNK - 1):
            self.assert_noticed(at)

    def test_the_end_of_the_file(self) -> None:
        self.recorded.read_at(len(self.content) - 5, 5)
        self.assert_noticed(len(self.content) - 1)

    def test_the_first_of_two_different_answers_counts(self) -> None:
        self.recorded.read_at(100, 50)
        self.source.content = bytes(len(self.content))
        with self.assertRaises(exceptions.SourceChanged) as caught:
            self.recorded.read_at(100, 50)
        self.assert_complete(caught.exception)
        self.assertEqual('bytes 100 to 149 as they were when they were read '
                         'first', caught.exception.expected)
        self.replay(self.content)
        self.assertRaises(exceptions.SourceChanged, self.replay,
                          bytes(len(self.content)))

    def test_each_replay_check_starts_anew(self) -> None:
        self.recorded.read_at(CHUNK, 100)
        first = self.recorded.replay_check()
        first.update(0, memoryview(self.content)[:CHUNK + 50])
        self.replay(self.content)
        self.assert_noticed(CHUNK + 99)

    def test_any_ranges_in_any_steps(self) -> None:
        dice = random.Random(2)
        for _ in range(60):
            offset = dice.randrange(len(self.content))
            self.recorded.read_at(offset, dice.randrange(
                min(2 * CHUNK, len(self.content) - offset) + 1))
        read = bytearray(len(self.content))
        for offset, length in self.source.reads:
            read[offset:offset + length] = b'\1' * length
        self.replay(self.content, 12345)
        for _ in range(60):
            at = dice.randrange(len(self.content))
            if read[at]:
                self.assert_noticed(at, step=dice.choice((CHUNK, 7777)))
            else:
                self.assert_not_noticed(at)
