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

"""Inspections of disks whose layout a test states."""

from collections.abc import Sequence
import pathlib
import tempfile
import unittest

from ironic_imagedeploy import engine
from ironic_imagedeploy.engine.contents import partitions
from ironic_imagedeploy.engine.formats import base
from ironic_imagedeploy.engine.inspection import result
from ironic_imagedeploy.engine.sources import recorded

MIB = 1 << 20
DATA = engine.ExtentKind.DATA
COMPRESSED = engine.ExtentKind.COMPRESSED
ZERO = engine.ExtentKind.ZERO


class StatedImage(base.MappedImage):
    """A disk of stated extents."""

    format_name = 'qcow2'


class LayoutTestCase(unittest.TestCase):
    """Has a file that stands for the image."""

    def setUp(self) -> None:
        super().setUp()
        self.directory = pathlib.Path(self.enterContext(
            tempfile.TemporaryDirectory()))
        self.path = self.directory / 'image'
        self.path.write_bytes(bytes(4096))
        self.source = self.enterContext(engine.open_source(str(self.path)))

    def inspection(self, *extents: tuple[int, engine.ExtentKind],
                   parts: Sequence[engine.Partition] = ()
                   ) -> engine.Inspection:
        """The inspection of a disk.

        :param extents: length in bytes and kind, in order.
        """
        image = StatedImage(self.source)
        for length, kind in extents:
            image.map.append(length, kind, 0, 0)
        image.virtual_size = image.map.end
        table = partitions.PartitionTable(
            kind='gpt', sector_size=512, partitions=tuple(parts),
            boot_code=False)
        return result.Inspection(
            source=recorded.RecordedSource(self.source), image=image,
            format='qcow2',
            expectation=engine.Expectation(), table=table)


def part(number: int, start: int, length: int, *, name: str = '',
         type: str = '0x83') -> engine.Partition:
    """A partition; start and length in MiB."""
    return engine.Partition(number=number, start=start * MIB,
                            length=length * MIB, type=type, name=name)
