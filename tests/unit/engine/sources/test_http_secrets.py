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


from ironic_imagedeploy.engine import exceptions
from tests.support import web
from tests.unit.engine.sources import served

Exchange = web.Exchange


class SecretTest(served.ServedTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.seen: list[tuple[str, str | None]] = []
        self.server.answer = self.note

    def note(self, exchange: Exchange) -> None:
        self.seen.append((exchange.path,
                          exchange.headers.get('Authorization')))
        exchange.serve()

    def test_user_and_password(self) -> None:
        self.streamed(self.opened(auth=('user', 'word')))
        self.assertEqual([('/image', 'Basic dXNlcjp3b3Jk')] * 2, self.seen)

    def test_user_and_password_in_the_url(self) -> None:
        source = self.opened(self.url.replace('//', '//user:word@'))
        self.assertEqual('Basic dXNlcjp3b3Jk', self.seen[0][1])
        self.assertEqual(self.url, source.name)

    def test_a_temporary_url_keeps_its_query(self) -> None:
        source = self.opened(f'{self.url}?temp_url_sig=secret')
        self.assertEqual('/image?temp_url_sig=secret', self.seen[0][0])
        self.assertEqual(self.url, source.name)

    def test_another_server_does_not_get_the_password(self) -> None:
        other = self.serve()
        seen = []

        def note(exchange: Exchange) -> None:
            seen.append(exchange.headers.get('Authorization'))
            exchange.serve()

        other.answer = note
        self.server.answer = lambda exchange: exchange.refuse(
            302, {'Location': other.url('image')})
        self.opened(auth=('user', 'word'))
        self.assertEqual([None], seen)

    def test_a_mirror_does_not_get_the_password(self) -> None:
        mirror = self.serve()
        seen = []

        def note(exchange: Exchange) -> None:
            seen.append(exchange.headers.get('Authorization'))
            exchange.serve()

        mirror.answer = note
        self.server.answer = lambda exchange: exchange.refuse(404)
        self.streamed(self.opened(auth=('user', 'word'),
                                  mirrors=[mirror.url('image')]))
        self.assertEqual([None, None], seen)

    def test_no_error_tells_a_secret(self) -> None:
        location = self.url.replace('//', '//user:secret@') + '?sig=secret'
        dead = 'http://user:secret@127.0.0.1:9/image?sig=secret'
        answers = [
            lambda exchange, status=status: exchange.refuse(status)
            for status in (204, 400, 403, 404, 500, 503)]
        answers += [
            lambda exchange: exchange.serve(stop_after=1000),
            lambda exchange: exchange.serve(
                headers={'Content-Range': 'bytes 7-8/9'}),
            lambda exchange: exchange.refuse(
                302, {'Location': f'{location}&again'}),
            lambda exchange: exchange.refuse(
                302, {'Location': 'ftp://user:secret@x/'})]
        for url in (location, dead):
            for answer in answers:
                self.server.answer = answer
                with self.assertRaises(exceptions.SourceError) as caught:
                    self.streamed(self.opened(url, retries=0))
                self.assertNotIn('secret', str(caught.exception))
                self.assertIn('127.0.0.1', caught.exception.subject)
                if url == dead:
                    break
