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


import errno
import io
import socket
import typing
import unittest
from unittest import mock

from ironic_imagedeploy.engine.sources import heads


class Pieces(io.RawIOBase):
    """A socket that gives one piece after the other, each after a second."""

    def __init__(self, clock: mock.Mock, *pieces: int | None) -> None:
        self._clock = clock
        self._pieces = list(pieces)

    def readinto(self, buffer: typing.Any) -> int | None:
        self._clock.return_value += 1
        return self._pieces.pop(0)


class TimedReaderTest(unittest.TestCase):
    """Reads that have five seconds together."""

    def setUp(self) -> None:
        super().setUp()
        self.clock = self.enterContext(mock.patch.object(
            heads, 'time', autospec=True)).monotonic
        self.clock.return_value = 100.0
        self.socket = mock.create_autospec(socket.socket, instance=True)

    def reader(self, *pieces: int | None) -> heads._TimedReader:
        return heads._TimedReader(Pieces(self.clock, *pieces), self.socket,
                                  5.0)

    def read(self, reader: heads._TimedReader, *expected: int | None) -> None:
        for count in expected:
            self.assertEqual(count, reader.readinto(bytearray(9)))

    def timeouts(self) -> list[float]:
        """What the socket was set to since the last time."""
        found = [call.args[0] for call in self.socket.settimeout.mock_calls]
        self.socket.reset_mock()
        return found

    def test_one_read_has_the_timeout_of_the_socket(self) -> None:
        reader = self.reader(3, 4)
        for count in (3, 4):
            with reader.together():
                self.read(reader, count)
        self.assertEqual([], self.timeouts())

    def test_the_next_ones_have_what_is_left(self) -> None:
        reader = self.reader(3, None, 5, 2, 6, 1)
        with reader.together():
            self.read(reader, 3, None, 5)
        self.assertEqual([4.0, 3.0, 5.0], self.timeouts())
        with reader.together():
            self.read(reader, 2, 6)
        self.assertEqual([4.0, 5.0], self.timeouts())
        # Those that come later have all of it again.
        self.clock.return_value = 200.0
        with reader.together():
            self.read(reader, 1)
        self.assertEqual([], self.timeouts())

    def test_nothing_is_left(self) -> None:
        reader = self.reader(1, 1, 1)
        with self.assertRaises(TimeoutError) as caught, reader.together():
            self.read(reader, 1)
            self.clock.return_value = 105.0
            self.read(reader, 1)
        self.assertIn(' 5 seconds', str(caught.exception))

    def test_bytes_that_are_too_many(self) -> None:
        reader = self.reader(4, None, 6, 4, 7, 11)
        with reader.together(10):
            self.read(reader, 4, None, 6)
        with self.assertRaises(heads.EndlessHeadError), reader.together(10):
            self.read(reader, 4, 7)
        with reader.together():
            self.read(reader, 11)

    def test_a_document_has_them_as_a_whole(self) -> None:
        reader = self.reader(*[1] * 6)
        self.read(reader, *[1] * 5)
        self.assertEqual([5.0, 4.0, 3.0, 2.0, 1.0], self.timeouts())
        self.assertRaises(TimeoutError, self.read, reader, 1)

    def test_a_document_that_is_too_large(self) -> None:
        with mock.patch.object(heads, 'MOST_OF_A_DOCUMENT', 10):
            self.read(self.reader(4, None, 6), 4, None, 6)
            with self.assertRaises(OSError) as caught:
                self.read(self.reader(4, 7), 4, 7)
        self.assertEqual(errno.EFBIG, caught.exception.errno)
        self.assertIn('more than 10 bytes', str(caught.exception))

    def test_it_is_closed_with_the_socket(self) -> None:
        raw = Pieces(self.clock)
        reader = heads._TimedReader(raw, self.socket, 5.0)
        self.assertTrue(reader.readable())
        reader.close()
        self.assertEqual((True, True), (raw.closed, reader.closed))
