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

"""What a server can do wrong, and a write of an image from it."""

import contextlib
import functools
import pathlib
import shutil
import typing
from unittest import mock

from ironic_imagedeploy import engine
from ironic_imagedeploy.engine.sources import mirrors
from tests.functional import base
from tests.support import disks
from tests.support.faults import table
from tests.support import images
from tests.support import web

MIB = base.MIB
serve = web.Exchange.serve
#: Seconds of silence, and failures in a row, that these tests wait for.
TIMEOUT, RETRIES = 1.0, 2
#: Requests for the head and the tail come first, counted from 0.
STREAM = 2


def serving(**how: typing.Any) -> web.Answer:
    """An answer with the file, with something wrong about it."""
    return lambda exchange: exchange.serve(**how)


def refusing(status: int, **headers: str) -> web.Answer:
    """An answer with that status; underscores in headers are hyphens."""
    return lambda exchange: exchange.refuse(status, {
        name.replace('_', '-'): value for name, value in headers.items()})


def redirecting(location: str) -> web.Answer:
    """An answer that sends the client elsewhere."""
    return refusing(302, Location=location)


def after_drop(answer: web.Answer) -> web.Answer:
    """An answer to who continues after the connection dropped."""
    return web.in_turn(*[serve] * STREAM, serving(stop_after=2 * MIB),
                       last=answer)


def garbage(exchange: web.Exchange) -> None:
    """No HTTP at all."""
    exchange.wfile.write(b'\x16\x03\x01\x02\x00\x01\x00\xff' * 64)
    exchange.hang_up('close')


def silence(exchange: web.Exchange) -> None:
    """Not a word."""
    exchange.hang_up('stall')


def continued(exchange: web.Exchange) -> None:
    """An answer that is about to come, for ever."""
    with contextlib.suppress(OSError):
        while not exchange.server.stopping.wait(0.1):
            exchange.wfile.write(b'HTTP/1.1 100 Continue\r\n\r\n')


def drip(exchange: web.Exchange) -> None:
    """An answer at some bytes a second."""
    exchange.serve(stop_after=1, how='drip')
    with contextlib.suppress(OSError):
        while not exchange.server.stopping.wait(0.1):
            exchange.wfile.write(b'!')


class FaultTestCase(base.FunctionalTestCase):
    """A server, an image on it, and less patience than in production."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.shared = disks.make_directory()
        cls.addClassCleanup(shutil.rmtree, cls.shared)
        cls.make_image(cls.shared / 'image')

    @classmethod
    def make_image(cls, image: pathlib.Path) -> None:
        """The image, of some MiB, and what its guest sees."""
        guest = images.make_guest(cls.shared / 'guest', 16 * MIB, seed=2)
        images.convert(guest, image)
        cls.raw = images.as_raw(image)

    def setUp(self) -> None:
        super().setUp()
        self.image = self.shared / 'image'
        self.server = web.Server(self.shared)
        self.addCleanup(self.server.stop)
        self.enterContext(mock.patch.object(mirrors, '_PAUSE', 0.01))
        self.enterContext(mock.patch.object(
            engine, 'open_source', functools.partial(
                engine.open_source, timeout=TIMEOUT, retries=RETRIES)))

    @functools.cached_property
    def target(self) -> base.Disk:
        return self.disk(19 * MIB)

    def write(self, *options: typing.Any, url: str = '') -> base.Outcome:
        """Write the image as the server gives it."""
        return self.invoke('write', url or self.server.url('image'),
                           self.target.device, '--progress', 'none', *options)

    def assert_identical(self, answer: web.Answer, *, resumes: int = 0,
                         url: str = '') -> None:
        """In spite of the fault the disk holds the image."""
        self.server.answer = answer
        outcome = self.write('--json', url=url)
        self.assert_status(0, outcome)
        self.assert_written(self.raw, self.target)
        self.assertEqual(resumes, outcome.json['resumes'])
        self._count(survived=1)

    def assert_fails(self, answer: web.Answer, *words: str,
                     status: int = 3, options: typing.Any = ()) -> None:
        """The write ends with that status; the disk boots nothing."""
        self.server.answer = answer
        outcome = self.write(*options)
        self.assert_status(status, outcome)
        self.assert_one_sentence(outcome, *words)
        self.assert_boots_nothing(self.target)
        self._count(refused=1)

    def assert_never_begins(self, answer: web.Answer, *words: str,
                            status: int = 3, url: str = '') -> None:
        """The write ends with that status before it touches the disk."""
        self.server.answer = answer
        outcome = self.write(url=url)
        self.assert_status(status, outcome)
        self.assert_one_sentence(outcome, *words)
        self.assert_untouched(self.target)
        self._count(refused=1)

    def _count(self, **ended: int) -> None:
        table.add(table.Row('network', self._testMethodName.removeprefix(
            'test_').replace('_', ' '), tries=1, **ended))
