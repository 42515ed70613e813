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


import json
import unittest

from ironic_imagedeploy.contract import names
from ironic_imagedeploy.contract import report
from ironic_imagedeploy import engine
from ironic_imagedeploy.engine.transfer import report as transfer_report
from tests.unit.contract import before

REPORT = before.REPORT['deploy_result'][names.KEY]
HUGE = 10 ** 400
WORDS = 'A\x1b[31m\n' * 50000


class ReportTest(unittest.TestCase):

    def test_agent_before(self):
        self.assertEqual(REPORT, report.checked(REPORT))

    def test_agent_of_this_release(self):
        told = engine.Report(
            source='disk.img', format='raw', virtual_size=1, target_size=8,
            bytes_read=2,
            bytes_written=3, bytes_zeroed=4, zeroes_written=5, resumes=6,
            seconds=7.5, read_back='none', bottleneck='disk',
            verified_by='file', checksum=transfer_report.ChecksumReport(
                algorithm='sha512', value='0a', verified=True)).to_dict()
        self.assertEqual(told, report.checked(told))

    def test_sources(self):
        told = {'sources': [
            {'name': f'https://192.0.2.{index}:9998', 'bytes': 1 << 30,
             'bad_chunks': 1} for index in range(4)],
            'reused': 1 << 20, 'verified_by': 'chunks'}
        self.assertEqual(told, report.checked(told))
        hostile = report.checked({'sources': [
            {'name': WORDS, 'bytes': -1, 'secret': 'x'}] * 99,
            'reused': '1', 'verified_by': 5})
        self.assertEqual({'sources'}, set(hostile))
        self.assertEqual(16, len(hostile['sources']))
        self.assertEqual({'name'}, set(hostile['sources'][0]))
        self.assertLess(len(json.dumps(hostile)), 8192)

    def test_numbers(self):
        for wrong in (HUGE, -1, float('nan'), float('inf'), 1 << 63, True,
                      '12', [1], None):
            checked = report.checked({'seconds': wrong, 'bytes_read': wrong,
                                      'resumes': 1})
            self.assertEqual({'resumes': 1}, checked, wrong)

    def test_texts(self):
        checked = report.checked({
            'format': WORDS, 'source': WORDS, 'read_back': 5,
            'checksum': {'algorithm': WORDS, 'value': WORDS, 'verified': 1}})
        self.assertEqual({'format', 'source', 'checksum'}, set(checked))
        self.assertEqual({'algorithm', 'value'}, set(checked['checksum']))
        for text in (checked['format'], checked['source'],
                     *checked['checksum'].values()):
            self.assertTrue(text.isprintable())

    def test_size(self):
        hostile = {name: WORDS for name in REPORT} | {
            'bootloader': {'kernels': [WORDS] * 100000, 'menu': WORDS},
            'warnings': [{'code': WORDS, 'message': WORDS, 'fix': WORDS,
                          'expected': WORDS, 'found': WORDS}] * 100000,
            'invented': WORDS, **{str(number): WORDS for number in range(99)}}
        self.assertLess(len(json.dumps(report.checked(hostile))), 1 << 17)

    def test_each_part_is_bounded(self):
        long = 'x' * 5000
        checked = report.checked({
            'source': long, 'format': long, 'checksum': {'value': long},
            'sources': [{'name': long}] * 99,
            'phases': [{'name': long}] * 99,
            'throughput': [{'bottleneck': long}] * 99,
            'partitions': [{'type': long, 'name': long}] * 99,
            'bootloader': {'platform': long, 'menu': long,
                           'kernels': [long] * 99},
            'warnings': [{name: long for name in (
                'code', 'message', 'expected', 'found', 'fix')}] * 99})
        for name, count in (('sources', 16), ('phases', 16),
                            ('throughput', 64), ('partitions', 32),
                            ('warnings', 16)):
            self.assertEqual(count, len(checked[name]), name)
        loader = checked['bootloader']
        self.assertEqual(32, len(loader['kernels']))
        for text, length in (
                (checked['source'], 1024), (checked['format'], 32),
                (checked['checksum']['value'], 256),
                (checked['sources'][0]['name'], 256),
                (checked['phases'][0]['name'], 32),
                (checked['throughput'][0]['bottleneck'], 32),
                (checked['partitions'][0]['type'], 64),
                (checked['partitions'][0]['name'], 64),
                (loader['platform'], 32), (loader['menu'], 256),
                (loader['kernels'][0], 256),
                (checked['warnings'][0]['code'], 32),
                (checked['warnings'][0]['fix'], 1024)):
            self.assertEqual(length, len(text))

    def test_something_else(self):
        for told in (None, 5, 'report', [REPORT]):
            self.assertIsNone(report.checked(told))
        self.assertEqual({}, report.checked({'checksum': 'sha512'}))
