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

import dataclasses
import json
import resource
import unittest
from unittest import mock

from ironic_imagedeploy.engine.sources import chunked
from ironic_imagedeploy.engine.transfer import report
from ironic_imagedeploy.engine.transfer import timeline


class ReportTest(unittest.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.report = report.Report(
            source='disk.qcow2', format='qcow2', virtual_size=300,
            target_size=400, bytes_read=100, bytes_written=200,
            bytes_zeroed=100, zeroes_written=50, resumes=2, seconds=12.3,
            checksum=report.ChecksumReport(algorithm='sha512', value='ab',
                                           verified=True),
            sources=(chunked.SourceReport(name='conductor', bytes=100,
                                          bad_chunks=1),),
            reused=7, verified_by='chunks',
            read_back='sample', bottleneck='decode', peak_rss=1 << 20,
            phases=(timeline.Phase(name='write', start=0.5, seconds=11.0),),
            throughput=(timeline.Sample(seconds=11.0, read=100, written=300,
                                        bottleneck='disk'),),
            partitions=(report.PartitionReport(
                number=1, start=1, length=2, type='0x83', name='root'),))

    def test_the_json_has_the_promised_keys(self) -> None:
        self.assertEqual(
            {'source': 'disk.qcow2', 'format': 'qcow2', 'virtual_size': 300,
             'target_size': 400, 'backup_gpt_misplaced': False,
             'bytes_read': 100, 'bytes_written': 200, 'bytes_zeroed': 100,
             'zeroes_written': 50, 'resumes': 2, 'seconds': 12.3,
             'checksum': {'algorithm': 'sha512', 'value': 'ab',
                          'verified': True},
             'sources': [{'name': 'conductor', 'bytes': 100,
                          'bad_chunks': 1}],
             'reused': 7, 'verified_by': 'chunks',
             'read_back': 'sample', 'bottleneck': 'decode',
             'phases': [{'name': 'write', 'start': 0.5, 'seconds': 11.0}],
             'throughput': [{'seconds': 11.0, 'read': 100, 'written': 300,
                             'bottleneck': 'disk'}],
             'partitions': [{'number': 1, 'start': 1, 'length': 2,
                             'type': '0x83', 'name': 'root'}],
             'peak_rss': 1 << 20},
            json.loads(json.dumps(self.report.to_dict())))

    def test_the_memory_is_that_of_this_program(self) -> None:
        held = bytearray(b'x') * (200 << 20)
        fields = {field.name: getattr(self.report, field.name)
                  for field in dataclasses.fields(self.report)
                  if field.name != 'peak_rss'}
        self.assertGreater(report.Report(**fields).peak_rss, len(held))
        # The most of this program: whoever started it had less.
        self.assertAlmostEqual(
            resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            report.peak_rss(), delta=160 << 10)

    def test_a_kernel_that_does_not_tell_the_memory(self) -> None:
        with mock.patch.object(report, 'open', mock.mock_open(
                read_data='Name:\tpython\nVmRSS:\t  123 kB\n'),
                create=True):
            self.assertEqual(0, report.peak_rss())

    def test_what_need_not_be_said(self) -> None:
        shortest = report.Report(**{
            field.name: getattr(self.report, field.name)
            for field in dataclasses.fields(self.report)
            if field.default is dataclasses.MISSING
            and field.default_factory is dataclasses.MISSING})
        self.assertEqual(
            ((), 0, None, (), (), (), False),
            (shortest.sources, shortest.reused, shortest.verified_by,
             shortest.phases, shortest.throughput, shortest.partitions,
             shortest.backup_gpt_misplaced))
