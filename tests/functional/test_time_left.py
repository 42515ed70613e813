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


"""The time left is right from the first tenth on, however slow the server."""

import gzip
import pathlib
import random
import time
import typing

from ironic_imagedeploy import engine
from tests.functional import base
from tests.support import images
from tests.support import web

MIB = base.MIB
#: Bytes a second that the server sends, and at once.
RATE = 2 * MIB
STEP = 32 << 10


class _Paced:
    """A way to the client that takes :data:`RATE`."""

    def __init__(self, stream: typing.Any) -> None:
        self._stream = stream
        self._due = time.monotonic()

    def write(self, content: bytes) -> None:
        for start in range(0, len(content), STEP):
            part = content[start:start + STEP]
            self._stream.write(part)
            self._due += len(part) / RATE
            time.sleep(max(self._due - time.monotonic(), 0))

    def __getattr__(self, name: str) -> typing.Any:
        return getattr(self._stream, name)


def paced(exchange: web.Exchange) -> None:
    """Answer with a body that comes slowly."""
    exchange.wfile = _Paced(exchange.wfile)  # type: ignore[assignment]
    exchange.serve()


class SlowServerTest(base.FunctionalTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.dice = random.Random(11)
        self.guest = self.directory / 'guest'
        self.server = web.Server(self.directory)
        self.addCleanup(self.server.stop)
        self.server.answer = paced

    def fill(self, size: int, *parts: tuple[int, bytes]) -> None:
        """Make the disk: contents at offsets, and zeroes."""
        with self.guest.open('wb') as disk:
            disk.truncate(size)
            for offset, content in parts:
                disk.seek(offset)
                disk.write(content)
        images.partition(self.guest)

    def assert_foretold(self, path: pathlib.Path) -> None:
        """What each call says is left is what is left then."""
        told: list[tuple[float, engine.Progress]] = []

        def tell(progress: engine.Progress) -> None:
            told.append((time.monotonic(), progress))

        with engine.open_source(self.server.url(path.name)) as source:
            inspection = engine.inspect(source)
            inspection.raise_if_refused()
            with engine.open_target(str(self.directory / 'disk'),
                                    create_size=inspection.largest) as target:
                engine.transfer(inspection, target, progress=tell)
        began = told[0][0]
        ended = next(moment for moment, progress in told
                     if progress.phase == 'finish')
        judged = 0
        for moment, progress in told:
            passed, left = moment - began, ended - moment
            if passed < (ended - began) / 10 or left < 1:
                continue
            judged += 1
            with self.subTest(passed=round(passed, 1)):
                assert progress.seconds_left is not None
                self.assertLess(abs(progress.seconds_left - left),
                                left / 5 + 0.5)
        self.assertGreater(judged, 4)

    def test_a_thin_image(self) -> None:
        self.fill(4096 * MIB, (2 * MIB, self.dice.randbytes(9 * MIB)),
                  (3000 * MIB, self.dice.randbytes(9 * MIB)))
        self.assert_foretold(images.convert(
            self.guest, self.directory / 'image'))

    def test_an_image_that_is_compressed_more_and_more(self) -> None:
        self.fill(64 * MIB, (2 * MIB, self.dice.randbytes(10 * MIB)),
                  (13 * MIB, (self.dice.randbytes(16 << 10)
                             + bytes(48 << 10)) * 16 * 50))
        self.assert_foretold(images.convert(
            self.guest, self.directory / 'image', compress=True))

    def test_a_thin_disk_that_is_compressed_as_a_whole(self) -> None:
        self.fill(512 * MIB, (2 * MIB, self.dice.randbytes(9 * MIB)),
                  (300 * MIB, self.dice.randbytes(9 * MIB)))
        path = self.directory / 'image.gz'
        with gzip.open(path, 'wb', compresslevel=1) as file:
            file.write(self.guest.read_bytes())
        self.assert_foretold(path)
