#!/usr/bin/env python3
#
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

import socket
import ssl
import threading
import time
import unittest
from unittest import mock

from ironic_imagedeploy.agent.neighbours import connection as connections
from ironic_imagedeploy.agent.neighbours import protocol
from tests.unit.agent.neighbours import fakes
from tests.unit.agent.neighbours import images

KIB = 1 << 10
DER = ssl.PEM_cert_to_DER_cert(images.CERTIFICATE.pem)
REQUEST = protocol.Request(token='x', root='0' * 64)


class ConnectionTestCase(unittest.TestCase):

    def opened(self, answer, der=DER):
        """A connection to a peer that does what it likes."""
        self.liar = fakes.Liar(answer)
        self.addCleanup(self.liar.close)
        found = connections.Connection(
            'peer', (images.ADDRESS, self.liar.port), der)
        self.addCleanup(found.close)
        return found

    def says(self, *parts):
        """A connection by which these bytes come, and then nothing."""
        def answer(secured, stopped):
            for part in parts:
                secured.sendall(part)
                time.sleep(0.05)
            stopped.wait(30)
        return self.opened(answer)

    def receive(self, found, length, seconds=10.0, **more):
        content = bytearray(length)
        found.receive(memoryview(content), time.monotonic() + seconds, **more)
        return bytes(content)

    def assert_fails(self, words, call, *arguments):
        with self.assertRaises(connections.PeerFailed) as caught:
            call(*arguments)
        self.assertEqual(words, str(caught.exception))


class OpenTest(ConnectionTestCase):

    def test_another_certificate(self):
        for other in (b'', b'\xff', DER[:-1] + bytes([DER[-1] ^ 1])):
            with self.assertRaisesRegex(connections.PeerRefused,
                                        'another certificate'):
                self.opened(lambda secured, stopped: None, other)

    def test_nobody_is_there(self):
        self.assert_fails(
            'Connection refused', connections.Connection, 'peer',
            (images.ADDRESS, images.free_port()), DER)

    def test_somebody_without_tls(self):
        with socket.create_server((images.ADDRESS, 0)) as listener:
            def talk():
                plain, _ = listener.accept()
                with plain:
                    plain.sendall(b'SSH-2.0-OpenSSH\r\n')
                    plain.recv(4096)
            talking = threading.Thread(target=talk)
            talking.start()
            self.addCleanup(talking.join)
            with self.assertRaises(connections.PeerFailed):
                connections.Connection('peer', listener.getsockname(), DER)

    def test_silence(self):
        with (mock.patch.object(connections, 'PATIENCE', 0.2),
              socket.create_server((images.ADDRESS, 0)) as listener):
            began = time.monotonic()
            self.assert_fails('TimeoutError', connections.Connection, 'peer',
                              listener.getsockname(), DER)
        self.assertTrue(0.15 < time.monotonic() - began < 5)

    def test_small_pieces_do_not_wait_for_each_other(self):
        found = self.says()
        self.assertTrue(found._socket.getsockopt(
            socket.IPPROTO_TCP, socket.TCP_NODELAY))


class AnswerTest(ConnectionTestCase):

    def test_a_request_comes_as_it_is(self):
        seen = []

        def answer(secured, stopped):
            seen.append(secured.recv(4096))
            secured.sendall(protocol.Answer(404).head())
            stopped.wait(30)

        found = self.opened(answer)
        found.send(REQUEST)
        self.assertEqual(protocol.Answer(404), found.answer(10))
        self.assertEqual([REQUEST.head('peer')], seen)

    def test_heads_and_bodies_in_pieces(self):
        head = protocol.Answer(206, 5).head()
        found = self.says(head[:9], head[9:] + b'ab', b'cde' + head + b'fghi',
                          b'jk')
        for body in (b'abcde', b'fghij'):
            self.assertEqual((206, 5), found.answer(10)[:2])
            self.assertEqual(body, self.receive(found, 5))
        self.assertEqual(b'k', self.receive(found, 1))
        self.assertTrue(found.is_drained)

    def test_what_belongs_to_another_answer(self):
        head = protocol.Answer(206, 5).head()
        found = self.says(head + b'abcdefg')
        found.answer(10)
        for body, is_drained in ((b'ab', False), (b'cdef', False),
                                 (b'g', True)):
            self.assertEqual(body, self.receive(found, len(body)))
            self.assertEqual(is_drained, found.is_drained)

    def test_a_head_without_an_end(self):
        line = b'HTTP/1.1 200 OK\r\n'
        fits = line + b''.join(
            b'a%d: %s\r\n' % (number, b'x' * 480) for number in range(4))
        fits += b'c: '.ljust(protocol.MOST_HEAD - len(fits) - 1, b'd')
        # The end comes with the last byte that there is room for.
        found = self.says(fits, b'\r\n\r\n')
        self.assertEqual(200, found.answer(10).status)
        found = self.says(fits + b'd', b'\r\n\r\n')
        self.assert_fails('a head without an end', found.answer, 10)

    def test_the_end_of_the_connection(self):
        found = self.opened(lambda secured, stopped: secured.sendall(b'HT'))
        self.assert_fails('the end of the connection', found.answer, 10)

    def test_something_else(self):
        self.assert_fails('something else than HTTP',
                          self.says(b'no\r\n\r\n').answer, 10)

    def test_too_late(self):
        found = self.says()
        began = time.monotonic()
        with self.assertRaises(connections.PeerFailed):
            found.answer(0.2)
        self.assertTrue(0.15 < time.monotonic() - began < 1.5)
        self.assert_fails('too little in its time', found.answer, 0)

    def test_a_connection_that_was_closed(self):
        found = self.says()
        found.close()
        with self.assertRaises(connections.PeerFailed):
            found.send(REQUEST)

    def test_it_is_aborted_while_somebody_waits(self):
        found = self.says()
        timer = threading.Timer(0.2, found.abort)
        timer.start()
        self.addCleanup(timer.join)
        began = time.monotonic()
        with self.assertRaises(connections.PeerFailed):
            found.answer(10)
        self.assertLess(time.monotonic() - began, 5)
        found.abort()


class ReceiveTest(ConnectionTestCase):

    def test_what_may_be_sent_in_between(self):
        content = bytes(range(256)) * 2048
        found, calls = self.says(content), []
        self.assertEqual(content, self.receive(
            found, len(content), between=lambda: calls.append(0)))
        self.assertTrue(calls)

    def waits(self, length):
        """Bytes that are slept for, one time after the other."""
        found, waits = self.says(bytes(length)), []
        self.receive(found, length, between=lambda: waits.append(
            found._socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT)))
        return waits

    def test_it_does_not_wait_for_more_than_comes(self):
        """Bytes that the TLS library has are not in the socket any more."""
        waits = self.waits(512 * KIB)
        self.assertEqual((128 * KIB, 1), (waits[0], waits[-1]))
        self.assertEqual(sorted(waits, reverse=True), waits)
        self.assertGreater(len(set(waits)), 2)
        for length, wait in ((32 * KIB + 1, 1), (32 * KIB + 7, 7),
                             (160 * KIB, 128 * KIB), (1, 1), (100, 1),
                             (160 * KIB - 1, 128 * KIB - 1)):
            self.assertEqual(wait, self.waits(length)[0], length)

    def test_the_end_of_the_connection(self):
        found = self.opened(lambda secured, stopped: secured.sendall(b'abc'))
        self.assert_fails('the end of the connection', self.receive, found, 4)

    def test_silence(self):
        found = self.says(b'abc')
        with mock.patch.object(connections, 'PATIENCE', 0.2):
            began = time.monotonic()
            self.assert_fails('TimeoutError', self.receive, found, 4)
        self.assertTrue(0.15 < time.monotonic() - began < 5)

    def test_too_late(self):
        found = self.says(*(20 * [b'a']))
        began = time.monotonic()
        with self.assertRaises(connections.PeerFailed):
            self.receive(found, 20, 0.3)
        self.assertTrue(0.25 < time.monotonic() - began < 0.9)
