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


import unittest

from ironic_imagedeploy.agent.neighbours import protocol
from tests.unit.agent.neighbours import images

ROOT = images.MANIFEST.root
REQUEST = protocol.Request(token=images.TICKET, root=ROOT, index=7,
                           span=(4096, 8192))


def sent(message, *arguments):
    return message.head(*arguments).removesuffix(protocol.END_OF_HEAD)


class RequestTest(unittest.TestCase):

    def test_both_sides(self):
        for request in (
                REQUEST, protocol.Request(token='', root=ROOT),
                protocol.Request(token=images.TICKET, root=ROOT, version=5)):
            self.assertEqual(request, protocol.Request.parse(
                sent(request, '192.0.2.1:9998')))

    def test_of_others(self):
        found = protocol.Request.parse(
            b'GET /v1/chunks/' + ROOT.encode() + b'/0 HTTP/1.1\r\n'
            b'hOST: a\r\naccept: */*\r\nauthorization: Bearer abc ')
        self.assertEqual(protocol.Request(token='abc', root=ROOT, index=0),
                         found)

    def test_something_else_has_no_root(self):
        for path in ('/', '/v1/chunks/', f'/v1/chunks/{ROOT}/', '/etc/passwd',
                     f'/v1/chunks/{ROOT[1:]}', f'/v1/chunks/{ROOT}/01',
                     f'/v1/chunks/{ROOT}/-1', f'/v1/chunks/{ROOT}/../1',
                     f'/v1/chunks/{ROOT.upper()}/1',
                     f'/v1/chunks/{ROOT}/1?x=1'):
            self.assertEqual('', protocol.Request.parse(
                f'GET {path} HTTP/1.1'.encode()).root, path)

    def test_is_refused(self):
        line = f'GET /v1/chunks/{ROOT}/0 HTTP/1.1'
        for head, status in (
                ('', 400), ('GET', 400), ('GET / HTTP/1.0', 400),
                ('GET / HTTP/1.1\nHost: a', 400), ('get / HTTP/1.1', 400),
                ('GET  / HTTP/1.1', 400), ('GET http://a/ HTTP/1.1', 400),
                (f'{line}\r\nContent-Length: 5', 400),
                (f'{line}\r\nTransfer-Encoding: chunked', 400),
                (f'{line}\r\nA: 1\r\na: 2', 400), (f'{line}\r\nA', 400),
                (f'{line}\r\n folded: 1', 400), (f'{line}\r\nA : 1', 400),
                (f'{line}\r\nA: \0', 400), (f'{line}\r\nA: \xe4', 400),
                (f'{line}\r\nRange: bytes=5-', 416),
                (f'{line}\r\nRange: bytes=5-4', 416),
                (f'{line}\r\nRange: bytes=0-1,3-4', 416),
                (f'{line}\r\nRange: bytes=0-99999999999', 416),
                ('PUT / HTTP/1.1', 405), ('DELETE / HTTP/1.1', 405),
                ('HEAD / HTTP/1.1', 405)):
            with self.assertRaises(protocol.BadMessage, msg=head) as caught:
                protocol.Request.parse(head.encode('latin-1'))
            self.assertEqual(status, caught.exception.status, head)

    def test_bytes(self):
        self.assertEqual(
            f'GET /v1/chunks/{ROOT}/7 HTTP/1.1\r\nHost: a:1\r\n'
            f'Authorization: Bearer {images.TICKET}\r\n'
            'Range: bytes=4096-8191\r\n\r\n'.encode(), REQUEST.head('a:1'))
        self.assertEqual(
            f'GET /v1/chunks/{ROOT} HTTP/1.1\r\nHost: a:1\r\n'
            'Authorization: Bearer x\r\nIf-None-Match: "0"\r\n\r\n'.encode(),
            protocol.Request(token='x', root=ROOT, version=0).head('a:1'))

    def test_parts(self):
        line = f'GET /v1/chunks/{ROOT}/0 HTTP/1.1'
        for field, span, version in (
                ('Range: bytes=0-0', (0, 1), None),
                ('Range: bytes=5-5', (5, 6), None),
                ('Range: bytes=5-6', (5, 7), None),
                ('If-None-Match: "7"', None, 7),
                ('If-None-Match: 7', None, None)):
            found = protocol.Request.parse(f'{line}\r\n{field}'.encode())
            self.assertEqual((span, version), (found.span, found.version))

    def test_a_request_without_a_ticket(self):
        line = f'GET /v1/chunks/{ROOT}/0 HTTP/1.1'
        for field in ('', '\r\nAuthorization: Basic abc',
                      '\r\nAuthorization: Zearer abc',
                      '\r\nAuthorization: bearer abc',
                      '\r\nAuthorization: Bearer'):
            self.assertEqual('', protocol.Request.parse(
                f'{line}{field}'.encode()).token)

    def test_no_secret_is_shown(self):
        self.assertNotIn(images.TICKET, repr(REQUEST))


class AnswerTest(unittest.TestCase):

    def test_both_sides(self):
        for answer in (protocol.Answer(206, 1 << 20),
                       protocol.Answer(304, version=3),
                       protocol.Answer(401, keeps=False),
                       protocol.Answer(200, 4, 0)):
            self.assertEqual(answer, protocol.Answer.parse(sent(answer)))

    def test_bytes(self):
        for answer, lines in (
                (protocol.Answer(206, 5), (
                    'HTTP/1.1 206 Partial Content', 'Content-Length: 5',
                    'Content-Type: application/octet-stream')),
                (protocol.Answer(200, 0, 0), (
                    'HTTP/1.1 200 OK', 'Content-Length: 0', 'ETag: "0"')),
                (protocol.Answer(304, 0, 3), (
                    'HTTP/1.1 304 Not Modified', 'ETag: "3"')),
                (protocol.Answer(401, keeps=False), (
                    'HTTP/1.1 401 Unauthorized', 'Content-Length: 0',
                    'WWW-Authenticate: Bearer', 'Connection: close')),
                (protocol.Answer(503), (
                    'HTTP/1.1 503 Service Unavailable',
                    'Content-Length: 0'))):
            self.assertEqual('\r\n'.join([*lines, '', '']).encode(),
                             answer.head())

    def test_whether_it_was_the_last_one(self):
        for value, keeps in (('close', False), ('Close', False),
                             ('keep-alive', True), ('a', True),
                             ('zzz', True)):
            self.assertIs(keeps, protocol.Answer.parse(
                f'HTTP/1.1 404 x\r\nConnection: {value}'.encode()).keeps)
        found = protocol.Answer.parse(b'HTTP/1.1 404 x')
        self.assertEqual((404, 0, None, True), found)

    def test_is_refused(self):
        for head in ('', 'HTTP/1.1 200', 'HTTP/1.0 200 OK', 'ICY 200 OK',
                     'HTTP/1.1 2000 OK', 'HTTP/1.1 200 OK\r\n\0',
                     'HTTP/1.1 200 OK\r\nContent-Length: -1',
                     'HTTP/1.1 200 OK\r\nContent-Length: 9999999999',
                     'HTTP/1.1 200 OK\r\nContent-Length: 1\r\n'
                     'Content-Length: 2',
                     'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked'):
            with self.assertRaises(protocol.BadMessage, msg=head):
                protocol.Answer.parse(head.encode())
