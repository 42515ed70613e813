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

"""What the tests of whole transfers share."""

import random
import typing

from ironic_imagedeploy import engine
from tests.unit.engine import base
from tests.unit.engine import memory
from tests.unit.engine import qcow2_builder as qcow2
from tests.unit.engine import recording

MIB = base.MIB
Action = recording.Action


def wiped(size: int) -> list[Action]:
    """The actions that wipe the ends of a disk of two MiB or more."""
    return [Action('zero', 0, 512), Action('flush'),
            Action('zero', 32 << 10, 512), Action('flush'),
            Action('zero', 512, MIB - 512),
            Action('zero', size - MIB, MIB), Action('flush')]


def finished(size: int, *, verified: bool = False) -> list[Action]:
    """The actions that put the ends there in the end.

    :param verified: each is read back.
    """
    return [action for start, length in (
        (size - MIB, MIB), (512, MIB - 512), (0, 512)) for action in (
            Action('write', start, length), Action('flush'),
            *((Action('drop_cache'), Action('read', start, length))
              if verified else ()))]


class TransferTestCase(base.EngineTestCase):
    """Images in memory, and disks that keep a log."""

    def raw(self, size: int = 4 * MIB, **faults: typing.Any
            ) -> engine.Inspection:
        """A raw image of noise.

        :param faults: of the source.
        """
        content = faults.pop('content', None) or noise(size)
        return engine.inspect(memory.MemorySource(content, **faults),
                              engine.Expectation(disk_format='raw'))

    def qcow2(self, size: int = 5 * MIB, *, seed: int = 1,
              **expectation: typing.Any) -> engine.Inspection:
        """An image with data, compressed clusters and zeroes.

        What its guest sees is :attr:`disk` from then on.
        """
        builder = qcow2.fill(qcow2.Builder(size, seed=seed), 'dcczZ.')
        file = builder.build()
        self.disk = builder.disk
        self.places = builder.places
        return engine.inspect(memory.MemorySource(file),
                              engine.Expectation(**expectation))

    def assert_boots_nothing(self, target: recording.RecordingTarget
                             ) -> None:
        """The first and the last MiB of the disk are zero."""
        self.assert_holds(target.disk[:MIB], 0)
        self.assert_holds(target.disk[-MIB:], 0)

    def assert_untouched(self, target: recording.RecordingTarget) -> None:
        """Nothing was written."""
        self.assertEqual([], [action for action in target.log
                              if action.changes])
        self.assert_holds(target.disk, recording.OLD)


def partition_table(disk: bytearray) -> None:
    """An MBR with one partition, so that a disk is recognised."""
    disk[446:462] = bytes.fromhex('80000000 83000000 00080000 00400000')
    disk[510:512] = b'\x55\xaa'


def noise(size: int) -> bytes:
    """Bytes that no signature matches."""
    return bytes(16) + random.Random(size).randbytes(size - 16)


def source_of(inspection: engine.Inspection) -> memory.MemorySource:
    """The file in memory under an inspection."""
    source: memory.MemorySource = inspection.source._source
    return source


def source_bytes(inspection: engine.Inspection) -> bytes | bytearray:
    """The stored bytes of an image."""
    return source_of(inspection).content
