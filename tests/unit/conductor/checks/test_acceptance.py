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
import ssl

from oslo_utils import units

from ironic.common import exception
from ironic.conf import CONF

from ironic_imagedeploy.conductor.checks import acceptance
from ironic_imagedeploy.conductor import declared
from ironic_imagedeploy import engine
from tests.support import images as made
from tests.support import web
from tests.unit.conductor import base


class ChecksTestCase(base.ConductorTestCase):

    def check(self):
        with self.task() as task:
            return acceptance.check_image(task)

    def declared(self):
        with self.task() as task:
            return declared.image(task)

    def refusal(self, *words):
        error = self.assertRaises(exception.InvalidParameterValue, self.check)
        for word in words:
            self.assertIn(word, str(error))
        return str(error)


class SourcesTest(ChecksTestCase):

    def test_web(self):
        self.use()
        verdict = self.check()
        self.assertEqual('qcow2', verdict.format)
        self.assertEqual(self.server.url('disk.qcow2'), verdict.name)

    def test_glance(self):
        self.glance.register(self.qcow2)
        self.use(base.IMAGE_ID)
        self.assertEqual(f'glance:{base.IMAGE_ID}', self.check().name)
        self.assertEqual(engine.Checksum(
            'sha512', hashlib.sha512(self.image).hexdigest()),
            self.declared().checksum)
        self.use(f'glance://{base.IMAGE_ID}')
        self.check()

    def test_glance_is_read_by_ranges(self):
        self.glance.register(self.qcow2)
        self.use(base.IMAGE_ID)
        self.glance.requests.clear()
        self.check()
        ranges = [each for each in self.glance.requests if each]
        self.assertEqual('bytes=0-1048575', ranges[0])

    def test_glance_whose_store_has_no_ranges(self):
        def answer(exchange):
            if 'Range' in exchange.headers:
                exchange.refuse(400)
            else:
                exchange.serve()

        self.glance.register(self.qcow2)
        self.use(base.IMAGE_ID)
        self.glance.answer = answer
        self.assertEqual('qcow2', self.check().format)

    def test_file(self):
        self.config(file_url_allowed_paths=[str(self.web)], group='conductor')
        self.use(f'file://{self.qcow2}', image_os_hash_algo=None,
                 image_os_hash_value=None)
        self.assertEqual('qcow2', self.check().format)

    def test_file_that_is_not_allowed(self):
        self.use(f'file://{self.qcow2}')
        self.refusal('is not allowed for image source')

    def test_other_sources(self):
        mounted = ('[conductor]file_url_allowed_paths', 'image_source='
                   f'file:///PATH {self.node.uuid}')
        for scheme, remedy in (('nfs', mounted), ('cifs', mounted),
                               ('smb', mounted), ('ftp', ['Put it where'])):
            self.use(f'{scheme}://user:secret@files.example.com/image')
            self.assertNotIn('secret', self.refusal(
                f'{scheme}://files.example.com/image', f'found {scheme!r}',
                *remedy))

    def logins(self, **options):
        """The Authorization headers that the web server sees."""
        seen = set()

        def answer(exchange):
            seen.add(exchange.headers.get('Authorization'))
            exchange.serve()

        self.server.answer = answer
        self.config(image_server_auth_strategy='http_basic',
                    image_server_user='user', image_server_password='pass',
                    group='deploy', **options)
        self.check()
        return seen

    def test_web_server_that_wants_a_login(self):
        self.use()
        self.assertEqual({'Basic dXNlcjpwYXNz'}, self.logins())
        self.use(image_request_authorization_secret='Bearer token')
        self.assertEqual({'Bearer token'}, self.logins())

    def test_login_only_for_permitted_hosts(self):
        if 'image_server_auth_hosts' not in CONF.deploy:
            self.skipTest('this Ironic sends a login to every host')
        self.use()
        self.assertEqual({None}, self.logins(
            image_server_auth_hosts=['images.example.com']))

    def test_secrets_in_a_url_are_not_told(self):
        self.use(self.server.url('gone?temp_url_sig=verysecret'))
        self.assertNotIn('verysecret', self.refusal('image-not-found',
                                                    'was not found'))

    def test_page_instead_of_an_image(self):
        self.server.answer = lambda exchange: exchange.serve(
            content=b'<!DOCTYPE html><html>' + b'<p>Sorry.</p>' * 1000)
        self.use(image_disk_format=None)
        self.refusal('not-an-image')

    def test_server_out_of_order(self):
        self.server.stop()
        self.use()
        self.refusal('image-unreadable', 'cannot be reached')


class RefusalsTest(ChecksTestCase):

    def test_format(self):
        self.glance.register(self.qcow2, disk_format='raw')
        self.use(base.IMAGE_ID, image_disk_format='qcow2')
        self.refusal('format-mismatch', 'Expected raw', 'found qcow2')

    def test_format_by_ironics_own_name(self):
        self.use(self.serve(self.guest), image_disk_format='gpt',
                 **self.hashed(self.guest))
        self.assertEqual('raw', self.declared().disk_format)
        self.check()

    def test_format_that_is_not_permitted(self):
        self.config(permitted_formats=['raw'], group='imagedeploy')
        self.use()
        self.refusal('Expected raw', 'found qcow2')

    def test_whole_disk_image_that_is_called_a_partition_image(self):
        self.use()
        self.node.driver_internal_info = {'is_whole_disk_image': False}
        self.node.save()
        self.refusal('image-type-mismatch', 'Expected a partition image')

    def test_whole_disk_image_with_a_kernel(self):
        self.glance.register(self.qcow2, kernel_id='c6d2d0f5')
        self.use(base.IMAGE_ID)
        self.node.driver_internal_info = {'is_whole_disk_image': False}
        self.node.save()
        self.refusal('image-type-mismatch', '--property kernel_id')

    def test_boot_mode(self):
        self.use()
        self.node.properties = {'capabilities': 'boot_mode:uefi'}
        self.node.save()
        self.refusal('no-esp')

    def test_larger_than_the_disk(self):
        large = made.create(self.web / 'large', 3 * units.Gi)
        made.write_table(large)
        self.use(self.server.url('large'), **self.hashed(large))
        self.node.properties = {**self.node.properties, 'local_gb': 1}
        self.node.save()
        self.assertEqual(3 * units.Gi, self.check().virtual_size)
        made.write_table(made.create(large, 3 * units.Gi + 512 * 8))
        self.use(self.server.url('large'), **self.hashed(large))
        self.refusal('too-large')

    def test_root_device_hints_leave_the_size_to_the_agent(self):
        self.glance.register(self.qcow2, min_disk=100)
        self.use(base.IMAGE_ID)
        self.node.properties = {**self.node.properties, 'local_gb': 1}
        self.node.save()
        self.refusal('too-large', 'min_disk')
        self.node.properties = {**self.node.properties,
                                'root_device': {'size': '>= 200'}}
        self.node.save()
        self.check()

    def test_no_checksum(self):
        self.use(image_os_hash_algo=None, image_os_hash_value=None)
        self.refusal('checksum-missing')

    def test_weak_checksum(self):
        self.glance.register(self.qcow2, os_hash_algo=None,
                             os_hash_value=None)
        self.use(base.IMAGE_ID)
        self.refusal('checksum-weak')
        self.config(insecure_checksums_permitted=True, group='imagedeploy')
        self.check()

    def test_checksum_that_is_none(self):
        self.use(image_os_hash_value='abc')
        self.refusal('sha256', 'expected 64 hexadecimal digits')

    def test_checksum_from_a_url(self):
        digest = hashlib.sha256(self.image).hexdigest()
        (self.web / 'SHA256SUMS').write_text(
            f'{"0" * 64}  other.qcow2\n{digest}  disk.qcow2\n')
        self.use(image_os_hash_algo=None, image_os_hash_value=None,
                 image_checksum=self.server.url('SHA256SUMS'))
        self.assertEqual(digest, self.declared().checksum.value)
        self.check()
        # As the baremetal operator has it where the algorithm is named.
        for algorithm in ('sha256', 'md5'):
            self.use(image_os_hash_algo=algorithm, image_checksum=None,
                     image_os_hash_value=self.server.url('SHA256SUMS'))
            self.assertEqual(engine.Checksum('sha256', digest),
                             self.declared().checksum)
            self.check()

    def test_checksum_from_a_url_that_is_not_there(self):
        self.use(image_os_hash_algo='sha256',
                 image_os_hash_value=self.server.url('gone?key=53cret'))
        self.assertNotIn('53cret', self.refusal('checksum-invalid', 'gone'))

    def test_a_server_with_older_versions_of_tls_only(self):
        if not hasattr(CONF, 'webserver_tls_minimum_version'):
            self.skipTest('this release has no such option')
        context = web.self_signed(self.directory)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        server = web.Server(self.web, context=context)
        self.addCleanup(server.stop)
        self.config(webserver_verify_ca=str(
            self.directory / 'certificate.pem'))
        self.use(server.url('disk.qcow2'))
        self.refusal('image-unreadable', 'version of TLS',
                     '[DEFAULT]webserver_tls_minimum_version = 1.2')
        self.config(webserver_tls_minimum_version='1.2')
        self.check()

    def test_fields_that_are_empty(self):
        """The baremetal operator leaves them so when nobody told it."""
        disk = self.directory / 'uefi.raw'
        with disk.open('wb') as file:
            file.truncate(8 * units.Mi)
        made.partition(disk, 'gpt', 'start=2048, size=8192, type=U\n')
        made.fill_esp(disk, start=units.Mi, size=4 * units.Mi)
        for properties in ({'cpu_arch': ''}, {}):
            self.node.properties = {'capabilities': 'boot_mode:uefi',
                                    **properties}
            self.node.save()
            self.use(self.serve(disk), **self.hashed(disk),
                     image_disk_format='', kernel='', image_pull_secret='')
            self.assertEqual('raw', self.check().format)
        self.node.properties = {**self.node.properties,
                                'cpu_arch': 'aarch64'}
        self.node.save()
        self.refusal('arch-mismatch')

    def test_image_that_glance_does_not_have(self):
        self.use(base.IMAGE_ID)
        self.refusal(base.IMAGE_ID, 'could not be found')

    def test_glance_that_does_not_answer(self):
        self.glance.stop()
        self.use(base.IMAGE_ID)
        self.refusal(base.IMAGE_ID)

    def serve(self, path):
        (self.web / path.name).write_bytes(path.read_bytes())
        return self.server.url(path.name)

    @staticmethod
    def hashed(path):
        return {'image_os_hash_algo': 'sha256', 'image_os_hash_value':
                hashlib.sha256(path.read_bytes()).hexdigest()}
