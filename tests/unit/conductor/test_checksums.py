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

import hashlib
import time

from ironic.common import exception

from ironic_imagedeploy.conductor.checks import acceptance
from tests.unit.conductor import base

MIB = 1 << 20


class ChecksumFileTest(base.ConductorTestCase):
    """An image whose checksum stands in a file on a web server."""

    def setUp(self):
        super().setUp()
        self.digest = hashlib.sha256(self.image).hexdigest()
        self.list = self.web / 'SHA256SUMS'

    def check(self, name='SHA256SUMS', **info):
        self.use(**{'image_os_hash_algo': None, 'image_os_hash_value': None,
                    'image_checksum': self.server.url(f'{name}?sig=53cret'),
                    **info})
        with self.task() as task:
            return acceptance.check_image(task)

    def assert_refused(self, *words, **options):
        error = self.assertRaises(exception.InvalidParameterValue,
                                  self.check, **options)
        for word in ('checksum-invalid', 'openstack baremetal node set '
                     '--instance-info image_os_hash_algo=sha512', *words):
            self.assertIn(word, str(error))
        for word in ('53cret', 'ImageDownloadFailed', 'S3CR3T'):
            self.assertNotIn(word, str(error))

    def test_listed(self):
        self.list.write_text(f'\ufeff{"0" * 64}  other.qcow2\n'
                             f'{self.digest}  ./disk.qcow2\n')
        self.assertEqual((), self.check().findings)

    def test_reasons_are_told(self):
        self.assert_refused('SHA256SUMS', '404')
        for content, words in (
                ('', 'in 0 lines'),
                ('S3CR3T of somebody', "no checksum of 'disk.qcow2'"),
                (f'{self.digest}  other.qcow2', "no checksum of 'disk.qcow2'"),
                (f'{self.digest}  disk.qcow2\n{"0" * 64}  disk.qcow2',
                 'two values of sha256'),
                ('x' * (MIB + 1), f'a file of {MIB + 1} bytes')):
            self.list.write_text(content)
            self.assert_refused(words)
        self.assert_refused('127.0.0.1:1', image_checksum=(
            'http://127.0.0.1:1/SHA256SUMS?sig=53cret'))

    def test_files_that_the_operator_forbids(self):
        self.config(disable_support_for_checksum_files=True,
                    group='conductor')
        self.assert_refused('disable_support_for_checksum_files is set')

    def test_names_that_are_patterns(self):
        name = 'disk(1.qcow2'
        (self.web / name).write_bytes(self.image)
        self.list.write_text(f'{self.digest}  {name}\n')
        self.assertEqual((), self.check(
            image_source=self.server.url(name)).findings)

    def test_a_server_that_takes_its_time(self):
        self.list.write_text(f'{self.digest}  disk.qcow2\n')

        def trickle(exchange):
            exchange.serve(stop_after=0)
            while not exchange.server.stopping.wait(0.05):
                exchange.wfile.write(b'0')

        self.expect_quick_servers()
        self.server.answer = trickle
        start = time.monotonic()
        self.assert_refused('a part of them')
        self.assertLess(time.monotonic() - start, 20)

    def test_a_large_file_is_not_read(self):
        self.list.write_bytes(b'x' * 64 * MIB)
        sent = self.transferred(self.server)
        self.assert_refused('a file of')
        self.assertLess(sum(sent), 8 * MIB)
