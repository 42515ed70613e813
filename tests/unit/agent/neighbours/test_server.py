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


import contextlib
import os
import socket
import ssl
import threading
import time

from ironic_imagedeploy.agent.neighbours import server as servers
from ironic_imagedeploy.contract import neighbours as contract
from tests.unit.agent.neighbours import images

MIB = images.MIB
ROOT = images.MANIFEST.root.encode()
HEAD = (f'GET /v1/chunks/{images.MANIFEST.root}/0 HTTP/1.1\r\n'
        f'Host: a\r\nAuthorization: Bearer {images.TICKET}\r\n\r\n').encode()


class RawTestCase(images.ServerTestCase):
    """What a stranger can send."""

    def plain(self, address=''):
        connection = socket.create_connection(
            (images.ADDRESS, self.port), source_address=(address, 0))
        self.addCleanup(connection.close)
        connection.settimeout(10)
        return connection

    def secured(self, address=''):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context.wrap_socket(self.plain(address))

    def status(self, message):
        """The status of the answer; None when there is none."""
        with contextlib.suppress(OSError), self.secured() as connection:
            connection.sendall(message)
            answer = connection.recv(4096)
            return int(answer[9:12]) if answer else None
        return None

    def is_closed(self, connection, seconds):
        """Whether the server closes a connection in that time."""
        connection.settimeout(seconds)
        try:
            while connection.recv(65536):
                pass
        except TimeoutError:
            return False
        except OSError:
            return True
        return True

    def settle(self):
        """Wait until the server has no connection."""
        end = time.monotonic() + 10
        while self.server._open and time.monotonic() < end:
            time.sleep(0.01)
        self.assertEqual({}, self.server._open)
        self.assertEqual(({}, {}), (self.server.gate._unproven,
                                    self.server.gate._connections))


class AnswerTest(RawTestCase):

    def test_a_chunk(self):
        with self.secured() as connection:
            connection.sendall(HEAD)
            received = b''
            while len(received) < MIB:
                received += connection.recv(1 << 16)
        head, _, body = received.partition(b'\r\n\r\n')
        self.assertEqual(
            b'HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n'
            b'Content-Type: application/octet-stream', head)
        self.assertEqual(images.chunk(0), body)

    def test_a_part_counts_by_its_bytes(self):
        with self.secured() as connection:
            connection.sendall(HEAD.replace(b'Host: a',
                                            b'Range: bytes=1000-1004'))
            received = b''
            while not received.endswith(images.chunk(0)[1000:1005]):
                part = connection.recv(1 << 16)
                self.assertTrue(part)
                received += part
        self.settle()
        self.assertEqual(5, self.server.gate.total)

    def test_requests_that_come_together(self):
        last = HEAD.replace(b'/0 ', b'/4 ')
        with self.secured() as connection:
            connection.sendall(HEAD + HEAD.replace(b'/0 ', b'/2 ') + last)
            received = b''
            while not (received.count(b'HTTP/1.1 404') == 2
                       and received.endswith(b'\r\n\r\n')):
                part = connection.recv(1 << 16)
                self.assertTrue(part)
                received += part
        self.assertEqual(
            [b'200', b'404', b'404'],
            [part[:3] for part in received.split(b'HTTP/1.1 ')[1:]])
        self.assertIn(images.chunk(0), received)

    def test_a_link_is_filled(self):
        with socket.create_server((images.ADDRESS, 0)) as listener:
            option = socket.IPPROTO_TCP, socket.TCP_CONGESTION
            try:
                listener.setsockopt(*option, b'bbr')
            except OSError:
                self.skipTest('this kernel has no BBR')
            servers._fill_link(listener)
            found = listener.getsockopt(*option, 16).rstrip(b'\0')
        self.assertIn(found, (b'cubic', b'reno'))

    def test_statuses(self):
        for message, status in (
                (HEAD, 200), (HEAD.replace(b'/0 ', b'/2 '), 404),
                (HEAD.replace(b'/0 ', b'/../0 '), 404),
                (HEAD.replace(b'chunks', b'x'), 404),
                (HEAD.replace(ROOT, b'0' * 64), 404),
                (HEAD.replace(ROOT, b'f' * 64), 404),
                (HEAD.replace(images.TICKET.encode(), b'x'), 401),
                (HEAD.replace(b'Bearer', b'Basic'), 401),
                (HEAD.replace(b'GET', b'PUT'), 405),
                (b'\0\r\n\r\n', 400),
                (HEAD.replace(b'Host: a', b'Range: bytes=5-6'), 206),
                (HEAD.replace(b'Host: a', b'Range: bytes=5-1048575'), 206),
                (HEAD.replace(b'Host: a', b'Range: bytes=5-1048576'), 416)):
            self.assertEqual(status, self.status(message), message)
        self.settle()

    def test_who_has_no_ticket_learns_nothing(self):
        wrong = HEAD.replace(images.TICKET.encode(), images.OTHER.encode())
        for message in (wrong, wrong.replace(b'/0 ', b'/2 '),
                        wrong.replace(b'/0 ', b' '),
                        wrong.replace(b'chunks', b'anything')):
            with self.secured() as connection:
                connection.sendall(message)
                self.assertEqual(
                    b'HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n'
                    b'WWW-Authenticate: Bearer\r\nConnection: close\r\n\r\n',
                    connection.recv(4096))
                self.assertTrue(self.is_closed(connection, 10))
        self.assertEqual(0, self.server.gate.total)


class StrangerTest(RawTestCase):
    """A stranger on the network cannot exhaust the node."""

    def test_garbage(self):
        for message in (b'GET / HTTP/1.1\r\n\r\n', os.urandom(5000), b''):
            connection = self.plain()
            with contextlib.suppress(OSError):
                connection.sendall(message)
                connection.shutdown(socket.SHUT_WR)
            self.assertTrue(self.is_closed(connection, 10))
        self.settle()
        self.assertEqual(200, self.status(HEAD))

    def test_a_head_that_is_too_long(self):
        self.assertEqual(400, self.status(b'GET / HTTP/1.1\r\n' + b'a' * 9999))
        self.settle()

    def test_no_handshake(self):
        self.restart(handshake_seconds=0.3)
        self.assertTrue(self.is_closed(self.plain(), 5))
        self.settle()

    def test_a_head_that_has_begun(self):
        self.restart(idle_seconds=60.0, head_seconds=0.5)
        with self.secured() as connection:
            connection.sendall(HEAD.replace(b'/0 ', b'/2 ') + HEAD[:20])
            self.assertTrue(self.is_closed(connection, 5))

    def test_a_byte_now_and_then(self):
        self.restart(head_seconds=0.3)
        with self.secured() as connection:
            began = time.monotonic()
            with contextlib.suppress(OSError):
                for byte in HEAD:
                    connection.sendall(bytes([byte]))
                    time.sleep(0.05)
                    if time.monotonic() - began > 5:
                        break
            self.assertLess(time.monotonic() - began, 5)
        self.settle()

    def test_records_that_are_no_data(self):
        """The TLS library reads on past its time while there are some."""
        class Reading(ssl.SSLSocket):
            def recv(self, *arguments):
                self.settimeout(None)
                return super().recv(*arguments)

        context = images.CERTIFICATE.context
        self.addCleanup(setattr, context, 'sslsocket_class', ssl.SSLSocket)
        context.sslsocket_class = Reading
        self.restart(head_seconds=0.3)
        with self.secured() as connection:
            self.assertTrue(self.is_closed(connection, 5))
        self.settle()

    def test_many_connections(self):
        self.restart(unproven=3, connections_of_one=99)
        waiting = [self.plain() for _ in range(20)]
        closed = sum(self.is_closed(each, 0.2) for each in waiting)
        self.assertEqual(17, closed)
        self.assertLessEqual(len(self.server._open), 3)
        for each in waiting:
            each.close()
        self.settle()
        self.assertEqual(200, self.status(HEAD))

    def test_threads_end(self):
        before = threading.active_count()
        for _ in range(40):
            self.plain().close()
        self.settle()
        self.assertLessEqual(threading.active_count(), before + 1)


class PeerWithTicketTest(RawTestCase):
    """A ramdisk that was taken over has a ticket, and no more than that."""

    def test_does_not_read(self):
        self.restart(floor=64 << 20, head_seconds=0.3)
        with self.secured() as connection:
            # The buffers of the kernel take some of them.
            connection.sendall(HEAD * 12)
            self.settle()

    def test_bytes(self):
        self.restart(most_of_one=2 * MIB)
        self.assertEqual([200, 200, 503],
                         [self.status(HEAD) for _ in range(3)])
        self.restart(most=MIB + 5)
        self.assertEqual([200, 503], [self.status(HEAD) for _ in range(2)])

    def test_requests_that_cost_no_bytes(self):
        self.restart(answers=50)
        for message in (HEAD.replace(b'/0 ', b' '),
                        HEAD.replace(b'/0 ', b'/2 '),
                        HEAD.replace(b'Host: a', b'Range: bytes=0-0')):
            answers = 0
            with self.secured() as connection:
                connection.sendall(message * 500)
                connection.settimeout(0.2)
                end = time.monotonic() + 1
                with contextlib.suppress(TimeoutError):
                    while time.monotonic() < end:
                        answers += connection.recv(1 << 16).count(b'HTTP/1.1')
            self.assertTrue(5 <= answers <= 70, answers)

    def test_other_connections_are_still_answered(self):
        slow = [self.secured() for _ in range(6)]
        for connection in slow:
            connection.sendall(HEAD * 12)
        self.assertEqual(200, self.status(
            HEAD.replace(b'/0 ', b' ')))
        for connection in slow:
            connection.close()

    def test_many_addresses(self):
        """One node with all addresses of its network has its places only."""
        held = []
        for number in range(2, 26):
            with contextlib.suppress(OSError):
                connection = self.secured(f'127.0.0.{number}')
                held.append(connection)
                connection.sendall(HEAD.replace(b'/0 ', b' '))
                if not connection.recv(4096).startswith(b'HTTP/1.1 200'):
                    self.assertTrue(self.is_closed(connection, 5))
        self.assertEqual([8], [*self.server.gate._connections.values()])
        other = HEAD.replace(images.TICKET.encode(),
                             contract.ticket(images.KEY).encode())
        self.assertEqual(200, self.status(other))
        for connection in held:
            connection.close()
        self.settle()

    def test_another_ticket_on_the_same_connection(self):
        other = contract.ticket(images.KEY).encode()
        news = HEAD.replace(b'/0 ', b' ')
        with self.secured() as connection:
            connection.sendall(news)
            received = b''
            while not received.endswith(b'\r\n\r\n\x0b'):
                received += connection.recv(4096)
            connection.sendall(news.replace(images.TICKET.encode(), other))
            self.assertIn(b'401 Unauthorized', connection.recv(4096))
        self.settle()

    def test_idles(self):
        self.restart(idle_seconds=0.3)
        with self.secured() as connection:
            connection.sendall(HEAD)
            self.assertTrue(self.is_closed(connection, 5))


class StopTest(RawTestCase):

    def test_all_connections_end(self):
        connections = [self.plain(), self.secured(), self.secured()]
        connections[2].sendall(HEAD * 3)
        began = time.monotonic()
        self.server.stop()
        self.assertLess(time.monotonic() - began, 2)
        for connection in connections:
            self.assertTrue(self.is_closed(connection, 5))
        with self.assertRaises(OSError):
            self.plain()
        self.settle()

    def test_who_waits_for_news_is_woken(self):
        with self.secured() as connection:
            message = HEAD.replace(b'/0 ', b' ').replace(
                b'Host: a', b'If-None-Match: "3"')
            connection.sendall(message)
            time.sleep(0.1)
            began = time.monotonic()
            self.server.stop()
            self.assertLess(time.monotonic() - began, 1)

    def test_twice(self):
        self.server.stop()
        self.server.stop()
