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
import functools
import gzip
import lzma
import random
import sys
import typing

from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import exceptions
from tests.unit.engine import base
from tests.unit.engine import disks
from tests.unit.engine import memory
from tests.unit.engine import recording
from tests.unit.engine import transfers

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

KIB = base.KIB
Target = recording.RecordingTarget
# Noise is stored as it is by zstd, and only a checksum tells its damage.
_CHECKED = {zstd.CompressionParameter.checksum_flag: 1}
PACK: dict[str, Callable[[bytes], bytes]] = {
    name: functools.lru_cache(8)(pack) for name, pack in {
        'gz': lambda content: gzip.compress(content, 1),
        'xz': lambda content: lzma.compress(content, preset=0),
        'bz2': lambda content: bz2.compress(content, 1),
        'zstd': lambda content: zstd.compress(content, options=_CHECKED),
    }.items()}


class PackedTestCase(transfers.TransferTestCase):

    def disk(self, size: int, *, seed: int = 1) -> bytes:
        """A GPT with its backup, and noise with a hole of a fifth."""
        disk = disks.gpt(size, [disks.Entry(64, size // 512 - 40)])
        noise = random.Random(seed).randbytes(size)
        disk[32 * KIB:-20 * KIB] = noise[32 * KIB:-20 * KIB]
        hole = size // 5
        disk[3 * hole:4 * hole] = bytes(hole)
        return bytes(disk)

    def inspect(self, stored: bytes, *, streamed: bytes | None = None,
                step: int = 1 << 30, **expectation: typing.Any
                ) -> engine.Inspection:
        """Inspect a file in memory."""
        return engine.inspect(
            memory.MemorySource(stored, streamed=streamed, step=step),
            engine.Expectation(**expectation))

    def assert_refused(self, code: str, stored: bytes,
                       **expectation: typing.Any) -> engine.Finding:
        """Refused at the front, for that reason alone."""
        inspection = self.inspect(stored, **expectation)
        self.assertEqual([code], [each.code for each in inspection.findings
                                  if each.severity == 'error'])
        self.assert_complete(inspection.findings[0])
        return inspection.findings[0]

    def assert_fails(self, code: str, stored: bytes, target: Target,
                     **expectation: typing.Any) -> None:
        """Accepted at the front, refused in the stream."""
        inspection = self.inspect(stored, **expectation)
        self.assertEqual('accept', inspection.verdict, inspection.findings)
        with self.assertRaises(exceptions.ImageRefused) as caught:
            engine.transfer(inspection, target)
        self.assertEqual([code], [
            each.code for each in caught.exception.findings])
        self.assert_complete(caught.exception)
        self.assert_boots_nothing(target)
        self.assert_no_threads()
