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

import bz2
from collections.abc import Callable
import gzip
import lzma
import random
import shutil
import subprocess
import time

from ironic_imagedeploy.engine import budget
from ironic_imagedeploy.engine.codecs import libraries
from ironic_imagedeploy.engine.contents import initramfs_bytes
from ironic_imagedeploy.engine import exceptions
from tests.unit.engine import base

CONTENT = b'content' * 1000 + random.Random(1).randbytes(70_000)


def _lz4(content: bytes) -> bytes:
    return subprocess.run(('lz4', '-l', '-9', '-c'), input=content,
                          check=True, capture_output=True).stdout


def packers() -> dict[str, Callable[[bytes], bytes]]:
    """Compressions that Linux unpacks, but LZO."""
    made: dict[str, Callable[[bytes], bytes]] = {
        'gz': gzip.compress, 'bz2': bz2.compress,
        'xz': lambda content: lzma.compress(content, preset=1),
        'lzma': lambda content: lzma.compress(
            content, lzma.FORMAT_ALONE, preset=1)}
    if libraries.zstd_available():
        made['zstd'] = libraries.zstd.compress
    if shutil.which('lz4'):
        made['lz4'] = _lz4
    return made


class BytesTest(base.EngineTestCase):

    def whole(self, stored: bytes, piece: int = 4096
              ) -> initramfs_bytes.Bytes:
        return initramfs_bytes.Bytes(
            stored[at:at + piece] for at in range(0, len(stored), piece))

    def test_each_compression(self) -> None:
        for name, pack in packers().items():
            stored = pack(CONTENT)
            for piece in (7, 4096, 1 << 20):
                with self.subTest(name, piece=piece):
                    whole = self.whole(bytes(99) + stored + bytes(9) + b'next',
                                       piece)
                    front = whole.next_front()
                    self.assertEqual(99, whole.position)
                    self.assertEqual(
                        name, initramfs_bytes.compression(front))
                    self.assertEqual(CONTENT, b''.join(
                        whole.unpacked(name, budget.Budget())))
                    if name != 'lz4':
                        self.assertEqual(99 + len(stored), whole.position)
                    self.assertEqual(b'next', whole.next_front())
                    self.assertEqual(99 + len(stored) + 9, whole.position)

    def test_taken_and_left(self) -> None:
        whole = self.whole(bytes(range(1, 100)), 10)
        whole.leave(12)
        self.assertEqual(bytes(range(13, 38)), whole.take(25))
        self.assertEqual(37, whole.position)
        for too_many in (whole.take, whole.leave):
            with self.assertRaises(exceptions.UnreadableContent):
                too_many(99)

    def test_damage(self) -> None:
        for name, pack in packers().items():
            stored = pack(CONTENT)
            # LZ4 ends where no size of a block follows.
            damaged = stored[:9] + b'\xff' * 99 + stored[108:]
            for wrong in (stored[:len(stored) // 2], stored[:5],
                          stored[:2] if name == 'lz4' else damaged):
                with (self.subTest(name, wrong=wrong[:20]),
                      self.assertRaises(exceptions.UnreadableContent)):
                    for _ in self.whole(wrong).unpacked(
                            name, budget.Budget()):
                        pass

    def test_nobody_unpacks_lzo(self) -> None:
        with self.assertRaises(exceptions.UnreadableContent) as caught:
            list(self.whole(b'x').unpacked('lzo', budget.Budget()))
        self.assertIn('lzo', caught.exception.found)


class BombTest(base.EngineTestCase):
    """However much may be unpacked, it ends soon."""

    def ended_after(self, name: str, stored: bytes,
                    allowed: budget.Budget) -> float:
        whole = initramfs_bytes.Bytes([stored])
        begin = time.thread_time()
        with self.assertRaises(exceptions.TooComplex):
            for _ in whole.unpacked(name, allowed):
                pass
        return time.thread_time() - begin

    def test_zeroes(self) -> None:
        """They end by what comes out of how little."""
        for name, pack in packers().items():
            stored = pack(bytes(96 << 20))
            with self.subTest(name):
                self.assertLess(self.ended_after(
                    name, stored, budget.Budget(
                        bytes=1 << 50, entries=1 << 50)), 2)

    def test_slow_bytes(self) -> None:
        """They end by their work, whose count is near the time it takes.

        A block of LZ4 is unpacked as a whole.
        """
        dice = random.Random(1)
        slow = bytes(dice.choices(b'abcdefgh', k=8 << 20))
        repeated = dice.randbytes(1000) * (8 << 10)
        for name, pack in packers().items():
            for content in (slow, repeated):
                with self.subTest(name, content=content[:8]):
                    self.assertLess(self.ended_after(
                        name, pack(content), budget.Budget(
                            bytes=1 << 50, entries=2000)),
                        10 if name == 'lz4' else 2)
