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

import os

from ironic_imagedeploy.engine.contents import partitions
from ironic_imagedeploy.engine import exceptions
from tests.unit.engine import base

MIB = base.MIB


def read_table(disk: bytes | bytearray, size: int | None = None
               ) -> partitions.PartitionTable | None:
    """The table of a disk in memory."""
    return partitions.read_table(
        lambda offset, length: bytes(disk[offset:offset + length]),
        len(disk) if size is None else size)


class PartitionsTestCase(base.EngineTestCase):

    def table(self, disk: bytes | bytearray) -> partitions.PartitionTable:
        """The table, which there is."""
        table = read_table(disk)
        assert table is not None
        return table

    def made_by(self, *command: str, size: int = 64 * MIB,
                script: str | None = None) -> bytes:
        """The front of a disk that a tool has partitioned."""
        path = self.directory / 'disk'
        path.touch()
        os.truncate(path, size)
        base.run(*command, path, text=script)
        with path.open('rb') as disk:
            return disk.read(MIB)

    def assert_bad(self, code: str, disk: bytes | bytearray,
                   *words: str) -> None:
        with self.assertRaises(exceptions.BadContent) as caught:
            read_table(disk)
        self.assertEqual(code, caught.exception.code)
        self.assertTrue(caught.exception.expected)
        self.assertTrue(caught.exception.found)
        for word in words:
            self.assertIn(word, str(caught.exception))
