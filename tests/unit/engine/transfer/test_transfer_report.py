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

"""What a report says of the image, and of what limited the speed."""

import time
import typing
from unittest import mock

from ironic_imagedeploy import engine
from ironic_imagedeploy.engine.transfer import meter
from tests.unit.engine import disks
from tests.unit.engine import memory
from tests.unit.engine import recording
from tests.unit.engine import transfers

MIB = transfers.MIB


class ReportTest(transfers.TransferTestCase):

    def report(self, content: bytes | bytearray, *, local: bool = False,
               **options: typing.Any) -> engine.Report:
        source = memory.MemorySource(content)
        source.local = local
        return engine.transfer(engine.inspect(
            source, engine.Expectation(disk_format='raw')),
            recording.RecordingTarget(len(content)), **options)

    def test_partitions_are_the_first_ones_of_the_disk(self) -> None:
        entries = [disks.Entry(100 + 10 * number, 104 + 10 * number,
                               name=f'a\n{number}'.encode('utf-16-le'))
                   for number in range(40, 0, -1)]
        report = self.report(disks.gpt(4 * MIB, entries))
        self.assertEqual(32, len(report.partitions))
        self.assertEqual(
            [(41 - number, 512 * (100 + 10 * number), 2560, disks.LINUX)
             for number in range(1, 33)],
            [(each.number, each.start, each.length, each.type)
             for each in report.partitions])
        self.assertNotIn('\n', report.partitions[0].name)
        self.assertTrue(report.partitions[0].name.endswith('1'))

    def test_seconds_are_in_milliseconds(self) -> None:
        with mock.patch.object(meter.Meter, 'elapsed',
                               new_callable=mock.PropertyMock,
                               return_value=12.3456789):
            self.assertEqual(12.346, self.report(
                transfers.noise(2 * MIB)).seconds)

    def test_what_a_slow_source_is(self) -> None:
        """A disk of this machine, or a network."""
        def slow(stream: memory.MemoryStream, buffer: memoryview) -> int:
            time.sleep(0.02)
            return readinto(stream, buffer)

        readinto = memory.MemoryStream.readinto
        with mock.patch.object(memory.MemoryStream, 'readinto', slow):
            for local, expected in ((True, 'disk'), (False, 'network')):
                self.assertEqual(expected, self.report(
                    transfers.noise(4 * MIB), local=local).bottleneck)

    def test_phases(self) -> None:
        content = transfers.noise(4 * MIB)
        for read_back, phases in (('none', ['write', 'finish']),
                                  ('full', ['write', 'read-back',
                                            'finish'])):
            report = self.report(content, read_back=read_back)
            self.assertEqual(phases, [each.name for each in report.phases])
            self.assertEqual(4 * MIB, sum(
                each.read for each in report.throughput))
            self.assertEqual(4 * MIB, sum(
                each.written for each in report.throughput))
