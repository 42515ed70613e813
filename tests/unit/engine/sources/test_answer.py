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

import http.client
import io
import math
import socket
import ssl
import unittest
from unittest import mock

import requests
import urllib3

from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.sources import answer

MIB = 1 << 20


class ClockTestCase(unittest.TestCase):
    """The time is what the test says."""

    def setUp(self) -> None:
        super().setUp()
        self.clock = self.enterContext(mock.patch.object(
            answer, 'time', autospec=True)).monotonic
        self.clock.return_value = 1000.0


class DeadlineTest(ClockTestCase):

    def assert_over(self, deadline: answer.Deadline, seconds: str) -> None:
        with self.assertRaises(exceptions.SourceTooSlow) as caught:
            deadline.remaining('image')
        self.assertIn(f'within {seconds} seconds', caught.exception.expected)
        self.assertEqual('image', caught.exception.subject)

    def test_a_look_has_its_seconds(self) -> None:
        deadline = answer.Deadline(10)
        self.assertEqual(10, deadline.remaining('image'))
        self.clock.return_value = 1009.5
        self.assertEqual((0.5, 0.5), (deadline.remaining('image'),
                                      deadline.seconds_left))
        self.clock.return_value = 1010.0
        self.assert_over(deadline, '10')
        self.clock.return_value = 1012.0
        self.assertEqual(-2, deadline.seconds_left)
        self.assert_over(deadline, '10')

    def test_a_second_more_for_each_mib(self) -> None:
        deadline = answer.Deadline(10)
        deadline.allow(2 * MIB)
        deadline.allow(MIB // 2)
        self.assertEqual(12.5, deadline.seconds_left)
        self.clock.return_value = 1013.0
        self.assert_over(deadline, '12')

    def test_what_follows_may_take_any_time(self) -> None:
        for deadline in (answer.Deadline(10), answer.Deadline(0)):
            deadline.lift()
            self.clock.return_value = 1e9
            deadline.allow(MIB)
            self.assertEqual(math.inf, deadline.remaining('image'))

    def test_no_seconds_are_any_time(self) -> None:
        for deadline in (answer.Deadline(), answer.Limits().deadline):
            self.clock.return_value = 1e9
            self.assertEqual(math.inf, deadline.seconds_left)


class LimitsTest(unittest.TestCase):

    def test_what_is_not_said(self) -> None:
        limits = answer.Limits()
        self.assertEqual((60.0, 0, 0), (limits.timeout, limits.floor,
                                        len(limits.bodies)))
        self.assertIsNot(limits.bodies, answer.Limits().bodies)


class BodyTest(ClockTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.limits = answer.Limits(timeout=10.0)
        self.closed: list[str] = []

    def body(self, content: bytes, length: int | None = None,
             **options: object) -> answer.Body:
        """An answer with these bytes.

        :param length: bytes that were announced.
        """
        response = requests.Response()
        response.raw = urllib3.HTTPResponse(io.BytesIO(content),
                                            preload_content=False)
        response.raw.release_conn = lambda: self.closed.append('kept')
        response.close = lambda: self.closed.append('dropped')
        return answer.Body(response, len(content) if length is None
                           else length, 'image', self.limits)

    def fails(self, error: Exception, length: int = 5) -> answer.Body:
        """An answer whose connection fails like that."""
        body = self.body(b'', length)
        body._response.raw.read1 = mock.Mock(side_effect=error)
        return body

    def test_as_many_bytes_as_were_announced(self) -> None:
        body = self.body(b'content and more', 7)
        buffer = memoryview(bytearray(b'.' * 9))
        self.assertEqual(4, body.readinto(buffer[:4]))
        self.assertEqual(3, body.remaining)
        self.assertEqual(3, body.readinto(buffer[4:]))
        self.assertEqual((b'content..', 0), (buffer, body.remaining))

    def test_all_of_it(self) -> None:
        body = self.body(b'content')
        self.assertEqual(b'content', body.read())
        self.assertEqual(['kept'], self.closed)
        self.assertEqual(0, len(self.limits.bodies))

    def test_what_was_not_read_to_its_end_is_dropped(self) -> None:
        body = self.body(b'content')
        self.assertEqual([body], list(self.limits.bodies))
        body.readinto(memoryview(bytearray(6)))
        body.close()
        self.assertEqual(['dropped'], self.closed)
        self.assertEqual(0, len(self.limits.bodies))

    def test_it_may_be_dropped_also_when_it_was_read(self) -> None:
        body = self.body(b'')
        body.drop()
        self.assertEqual(['dropped'], self.closed)
        self.assertEqual(0, len(self.limits.bodies))

    def test_a_connection_that_ends_early(self) -> None:
        for body in (self.body(b'con', 8), self.fails(
                urllib3.exceptions.IncompleteRead(3, 5)), self.fails(
                urllib3.exceptions.ProtocolError(
                    'x', http.client.IncompleteRead(b'', 5)))):
            with self.assertRaises(exceptions.ConnectionDropped) as caught:
                body.read()
            self.assertEqual('5 more bytes', caught.exception.expected)
            self.assertEqual('image', caught.exception.subject)
        self.assertEqual(['dropped'] * 3, self.closed)

    def test_a_connection_that_fails(self) -> None:
        for error, kind in (
                (TimeoutError(), exceptions.SourceTimeout),
                (urllib3.exceptions.ReadTimeoutError(None, '', ''),
                 exceptions.SourceTimeout),
                (ConnectionResetError(104, 'reset'),
                 exceptions.SourceUnavailable)):
            with self.assertRaises(exceptions.SourceError) as caught:
                self.fails(error).readinto(memoryview(bytearray(5)))
            self.assertIs(kind, type(caught.exception))
            self.assertIs(error, caught.exception.__cause__)

    def test_a_look_that_takes_too_long(self) -> None:
        self.limits = answer.Limits(deadline=answer.Deadline(5))
        body = self.body(b'content')
        self.clock.return_value = 1005.0
        with self.assertRaises(exceptions.SourceTooSlow):
            body.readinto(memoryview(bytearray(1)))

    def come(self, body: answer.Body, *pieces: tuple[float, int]) -> None:
        """Let bytes come, each piece after some seconds."""
        for seconds, count in pieces:
            def receive(raw: object, view: memoryview, count: int = count,
                        seconds: float = seconds) -> int:
                self.clock.return_value += seconds
                return count
            with mock.patch.object(answer.heads, 'receive', receive):
                body.readinto(memoryview(bytearray(count)))
            # Whoever takes them takes his time, too.
            self.clock.return_value += 50

    def assert_stalls(self, *pieces: tuple[float, int]) -> None:
        with self.assertRaises(exceptions.SourceTimeout) as caught:
            self.come(self.body(b'', 1 << 30), *pieces)
        self.assertEqual('at least 1024 bytes/s', caught.exception.expected)
        count = sum(count for _, count in pieces)
        self.assertIn(f'{count} bytes in ', caught.exception.found)

    def test_a_trickle_is_silence(self) -> None:
        self.come(self.body(b'', 1 << 30), (10.0, 10 * 1024))
        self.assert_stalls((10.0, 10 * 1024 - 1))
        self.assert_stalls((9.9, 1), (0.2, 5000))
        self.come(self.body(b'', 1 << 30), (9.9, 1))

    def test_each_window_is_judged_for_itself(self) -> None:
        fast = (10.0, 100 * 1024)
        with self.assertRaises(exceptions.SourceTimeout) as caught:
            self.come(self.body(b'', 1 << 30), fast, fast, (20.0, 1000))
        self.assertEqual('1000 bytes in 20 seconds', caught.exception.found)

    def test_a_speed_that_has_to_be_reached(self) -> None:
        self.limits = answer.Limits(timeout=10.0, floor=5000)
        self.come(self.body(b'', 1 << 30), (10.0, 50000))
        with self.assertRaises(exceptions.SourceTooSlow) as caught:
            self.come(self.body(b'', 1 << 30), (10.0, 49999))
        self.assertEqual('at least 5000 bytes/s', caught.exception.expected)
        self.assertEqual('49999 bytes in 10 seconds', caught.exception.found)

    def test_several_share_the_speed(self) -> None:
        others = [self.body(b'', 5) for _ in range(3)]
        self.come(self.body(b'', 1 << 30), (10.0, 2560))
        self.assert_stalls((10.0, 2559))
        others[0].drop()
        self.assert_stalls((10.0, 2560))

    def test_what_was_dropped_while_it_waited_has_its_speed(self) -> None:
        body = self.body(b'', 1 << 30)
        body.drop()
        self.come(body, (10.0, 10 * 1024))


class NetworkFailureTest(unittest.TestCase):

    def failure(self, error: Exception) -> exceptions.SourceError:
        found = answer.network_failure('image', error, 7.5)
        self.assertEqual('image', found.subject)
        for part in (found.expected, found.found, found.fix):
            self.assertTrue(part)
        return found

    def test_silence(self) -> None:
        for error in (TimeoutError(), requests.ReadTimeout(),
                      urllib3.exceptions.ReadTimeoutError(None, '', ''),
                      requests.ConnectionError(TimeoutError())):
            found = self.failure(error)
            self.assertIs(exceptions.SourceTimeout, type(found))
            self.assertIn('within 7.5 seconds', found.expected)

    def test_a_refusal_is_no_silence(self) -> None:
        """Although urllib3 derives the one from the other."""
        refused = urllib3.exceptions.NewConnectionError(None, 'refused')
        self.assertIs(exceptions.SourceUnavailable,
                      type(self.failure(refused)))
        refused.__cause__ = ConnectionRefusedError(111, 'refused')
        self.assertIs(exceptions.SourceUnreachable,
                      type(self.failure(refused)))

    def test_tls(self) -> None:
        for reason, kind in (
                ('TLSV1_ALERT_PROTOCOL_VERSION', exceptions.TlsTooOld),
                ('WRONG_VERSION_NUMBER', exceptions.SourceUnreachable),
                ('INTERNAL_ERROR', exceptions.SourceUnavailable)):
            error = ssl.SSLError(1, 'tls')
            error.reason = reason
            self.assertIs(kind, type(self.failure(
                requests.exceptions.SSLError(error))))

    def test_no_name(self) -> None:
        self.assertIs(exceptions.SourceUnreachable, type(self.failure(
            socket.gaierror(socket.EAI_NONAME, 'no name'))))
