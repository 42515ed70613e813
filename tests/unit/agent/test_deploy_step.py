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

import base64
import hashlib
import json
import re
import ssl
from unittest import mock

import fixtures

from ironic_python_agent.extensions import base
from ironic_python_agent.extensions import image as image_extension
from ironic_python_agent import hardware
from ironic_python_agent import partition_utils
from ironic_python_agent import utils

from ironic_imagedeploy.agent import deploy_step
from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import manifest_builder
from tests.support import images
from tests.support import ramdisk
from tests.support import registry
from tests.support import web


class StreamImageTestCase(ramdisk.AgentTestCase):
    """A node of the deploy interface custom-agent."""

    def setUp(self):
        super().setUp()
        self.node['deploy_interface'] = 'custom-agent'
        self.url = self.server.url('disk.qcow2')
        self.sha512 = hashlib.sha512(self.image.read_bytes()).hexdigest()
        self.given = {'image_url': self.url,
                      'checksum': f'sha512:{self.sha512}'}

    def stream(self, **arguments):
        """Let Ironic execute the deploy step: the command as it ended."""
        command = self.agent.execute_command(
            'deploy.execute_deploy_step', ports=[], node=self.node, step={
                'interface': 'deploy', 'step': 'stream_image',
                'priority': 80, 'args': arguments})
        return command.join().serialize()

    def streamed(self, **arguments):
        command = self.stream(**arguments)
        self.assertEqual('SUCCEEDED', command['command_status'],
                         command['command_error'])
        return command['command_result']['deploy_result']

    def refused(self, *words, **arguments):
        command = self.stream(**arguments)
        self.assertEqual('FAILED', command['command_status'])
        details = command['command_error'].serialize()['details']
        for word in words:
            self.assertIn(word, details)
        return details


class StepTest(StreamImageTestCase):

    def test_it_is_offered(self):
        command = self.agent.execute_command(
            'deploy.get_deploy_steps', node=self.node, ports=[])
        steps = command.serialize()['command_result']['deploy_steps'][
            'ImageDeployHardwareManager']
        self.assertEqual(
            [('stream_image', 'deploy', 0, False)],
            [(step['step'], step['interface'], step['priority'],
              step['reboot_requested']) for step in steps])
        for name, info in steps[0]['argsinfo'].items():
            self.assertRegex(name, re.compile('[a-z_]+'))
            self.assertEqual({'description', 'required'}, set(info))
            self.assertFalse(info['required'])

    def test_image_and_checksum(self):
        report = self.streamed(**self.given)['imagedeploy']
        self.assert_written()
        self.assertEqual(('qcow2', True, self.sha512), (
            report['format'], report['checksum']['verified'],
            report['checksum']['value']))
        self.validated.assert_called_once_with(str(self.disk))

    def test_all_from_the_node(self):
        """As the baremetal operator of Metal3 asks for it."""
        drive = self.patched(partition_utils, 'create_config_drive_partition')
        self.node['instance_info'] = {
            'image_source': self.url, 'image_os_hash_algo': 'sha512',
            'image_os_hash_value': self.sha512,
            'image_disk_format': 'qcow2', 'configdrive': 'the drive'}
        self.streamed()
        self.assert_written()
        drive.assert_called_once_with(ramdisk.NODE_ID, str(self.disk),
                                      'the drive')

    def test_arguments_come_before_the_node(self):
        self.node['instance_info'] = {
            'image_source': self.server.url('gone'),
            'image_os_hash_algo': 'sha512', 'image_os_hash_value': '0' * 128,
            'image_disk_format': 'raw', 'image_type': 'partition'}
        self.streamed(**self.given, disk_format='qcow2',
                      image_type='whole-disk')
        self.assert_written()

    def test_an_order_of_an_earlier_deployment_is_not_followed(self):
        self.node['driver_internal_info'] = {'imagedeploy': {
            'checksum': 'sha256:' + '0' * 64, 'version': 99}}
        self.streamed(**self.given)
        self.assert_written()

    def test_checksums(self):
        for given in ({'checksum': self.sha512},
                      {'checksum': self.sha512,
                       'checksum_algorithm': 'SHA-512'}):
            self.disk.write_bytes(ramdisk.OLD * ramdisk.DISK_SIZE)
            self.streamed(image_url=self.url, **given)
            self.assert_written()

    def test_a_file_of_checksums(self):
        (self.directory / 'SHA512SUMS').write_text(
            f'{"0" * 128}  other\n{self.sha512}  disk.qcow2\n')
        self.streamed(image_url=self.url,
                      checksum=self.server.url('SHA512SUMS'))
        self.assert_written()
        self.node['instance_info'] = {
            'image_source': self.url,
            'image_checksum': self.server.url('SHA512SUMS')}
        self.streamed()

    def test_a_file_of_checksums_without_an_end(self):
        (self.directory / 'SHA512SUMS').write_bytes(bytes(1 + (1 << 20)))
        self.refused('file of 1048577 bytes', image_url=self.url,
                     checksum=self.server.url('SHA512SUMS'))

    def test_checksums_of_the_baremetal_operator(self):
        """The algorithm is empty where the host does not name it."""
        (self.directory / 'SHA512SUMS').write_text(self.sha512)
        listed = self.server.url('SHA512SUMS')
        for algorithm, value in (('', self.sha512), ('', listed),
                                 ('sha512', self.sha512), ('sha512', listed)):
            with self.subTest(algorithm=algorithm, value=value):
                self.disk.write_bytes(ramdisk.OLD * ramdisk.DISK_SIZE)
                self.node['instance_info'] = {
                    'image_source': self.url,
                    'image_os_hash_algo': algorithm,
                    'image_os_hash_value': value}
                report = self.streamed()['imagedeploy']
                self.assertEqual(
                    (self.sha512, True), (report['checksum']['value'],
                                          report['checksum']['verified']))
                self.assert_written()

    def test_no_checksum_of_the_baremetal_operator(self):
        self.node['instance_info'] = {
            'image_source': self.url, 'image_os_hash_algo': '',
            'image_os_hash_value': ''}
        self.refused('checksum')

    def test_a_manifest_is_enough(self):
        content = self.image.read_bytes()
        with manifest_builder.Builder(len(content)) as builder:
            builder.update(content)
            made = builder.finish(engine.Checksum('sha512', self.sha512))
        (self.directory / 'manifest').write_bytes(made.encode())
        given = {'image_url': self.url, 'manifest_root': made.root,
                 'manifest_url': self.server.url('manifest')}
        report = self.streamed(**given)['imagedeploy']
        self.assert_written()
        self.assertEqual('chunks', report['verified_by'])
        self.refused('the manifest cannot be used', **{
            **given, 'manifest_root': '0' * 64})

    def test_policy(self):
        report = self.streamed(**self.given, policy={
            'read_back': 'full', 'workers': '2'})['imagedeploy']
        self.assertEqual('full', report['read_back'])
        self.refused('Expected raw', policy={'permitted_formats': ['raw']},
                     **self.given)

    def test_the_firmware_learns_of_it_as_after_direct(self):
        extension = base.get_extension('image')
        setup = self.patched(image_extension, '_efi_boot_setup')
        setup.return_value = True
        self.node['properties'] = {'capabilities': 'boot_mode:bios'}
        self.streamed(**self.given)
        setup.assert_called_once_with(str(self.disk), None, 'bios')
        self.assertIsNotNone(extension)

    def test_a_firmware_that_does_not_take_it(self):
        setup = self.patched(image_extension, '_efi_boot_setup')
        setup.side_effect = RuntimeError('no space in the NVRAM')
        self.refused('no space in the NVRAM', **self.given)
        self.assert_boots_nothing()

    def test_progress_is_in_the_running_command(self):
        seen = []

        def look(exchange):
            seen.extend(command.serialize()['command_result']
                        for command in self.agent.command_results.values())
            exchange.serve()

        self.server.answer = web.in_turn(web.Exchange.serve, last=look)
        self.streamed(**self.given)
        self.assertIn('imagedeploy', str(seen))


class TlsTest(StreamImageTestCase):

    def test_a_server_with_older_versions_only(self):
        context = web.self_signed(self.directory)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        server = web.Server(self.directory, context=context)
        self.addCleanup(server.stop)
        self.conf.config(cafile=str(self.directory / 'certificate.pem'),
                         tls_min_version='1.3')
        given = {**self.given, 'image_url': server.url('disk.qcow2')}
        self.refused('version of TLS', 'tls_min_version = 1.2', **given)
        self.assert_untouched()
        self.conf.config(tls_min_version='1.2')
        self.streamed(**given)
        self.assert_written()


class RegistryTest(StreamImageTestCase):
    """Images that a registry names."""

    def setUp(self):
        super().setUp()
        # Whoever runs the tests may have logins.
        self.useFixture(fixtures.EnvironmentVariable(
            'REGISTRY_AUTH_FILE', str(self.directory / 'auth.json')))
        (self.directory / 'auth.json').write_text('{}')
        self.registry = registry.Registry(self.directory)
        self.addCleanup(self.registry.stop)
        self.registry.push(self.image.read_bytes(), kind='qcow2')
        self.name = f'oci://{self.registry.host}/disks/debian:12'

    def test_as_the_baremetal_operator_names_it(self):
        self.node['instance_info'] = {
            'image_source': self.name, 'image_os_hash_algo': '',
            'image_os_hash_value': ''}
        report = self.streamed()['imagedeploy']
        self.assert_written()
        self.assertEqual(
            (self.name, registry.digest_of(self.image.read_bytes()), True),
            (report['source'], 'sha256:' + report['checksum']['value'],
             report['checksum']['verified']))

    def test_a_checksum_as_well(self):
        self.streamed(image_url=self.name,
                      checksum=f'sha512:{self.sha512}')
        self.assert_written()
        self.refused('checksum', image_url=self.name,
                     checksum='sha512:' + '0' * 128)

    def test_a_token_for_everybody(self):
        self.registry.ask_for_tokens()
        self.streamed(image_url=self.name)
        self.assert_written()

    def test_a_login_that_is_in_the_ramdisk(self):
        self.registry.ask_for_tokens(registry.basic('user', '53cret'))
        self.assertNotIn('53cret', self.refused('401', image_url=self.name))
        self.assert_untouched()
        (self.directory / 'auth.json').write_text(json.dumps({'auths': {
            self.registry.host: {'auth': base64.b64encode(
                b'user:53cret').decode()}}}))
        self.assertNotIn('53cret', str(self.streamed(image_url=self.name)))
        self.assert_written()
        self.assertNotIn('53cret', self.log.output)

    def test_another_blob(self):
        digest = registry.digest_of(self.image.read_bytes())
        blob = bytearray(self.image.read_bytes())
        blob[-1] ^= 1
        (self.directory / digest.partition(':')[2]).write_bytes(blob)
        self.refused('checksum', image_url=self.name)

    def test_the_options_of_the_agent(self):
        """Its session has its certificates and versions of TLS."""
        made = []
        ordinary = utils.get_requests_session

        def session():
            made.append(ordinary())
            made[-1].close = mock.Mock(wraps=made[-1].close)
            return made[-1]

        self.patched(utils, 'get_requests_session', session)
        self.conf.config(insecure=True)
        self.streamed(image_url=self.name)
        self.assertFalse(made[0].verify)
        made[0].close.assert_called()


class ArgumentsTest(StreamImageTestCase):

    def test_names(self):
        self.refused('argument of another name', image='x', **self.given)
        self.assert_untouched()

    def test_values(self):
        for name, value in (
                ('image_url', 7), ('image_url', ''), ('image_url', None),
                ('image_url', 'file:///etc/passwd'), ('image_url', 'x' * 9000),
                ('image_url', 'oci://user:53cret@host/name'),
                ('image_url', 'oci://host/NAME'),
                ('manifest_url', 'oci://host/name'),
                ('image_url', '1be26c0b-03f2-4d2e-ae87-c02d7f33c781'),
                ('image_url', 'http://host/\n'), ('image_url', 'http://[x/'),
                ('checksum', ['x']), ('checksum', 'sha512:00'),
                ('checksum', 'none'), ('checksum', 'ftp://host/x'),
                ('checksum_algorithm', 7), ('disk_format', 'iso'),
                ('disk_format', {}), ('image_type', 'kernel'),
                ('configdrive', {'other': {}}), ('policy', 'full'),
                ('policy', {'read_back': 'some'}), ('policy', {'verify': 7}),
                ('policy', {'workers': -1}), ('policy', {'invented': 1}),
                ('policy', {'neighbours': True}),
                ('policy', {'permitted_formats': ['exe']}),
                ('manifest_root', '0' * 64), ('manifest_root', 'x'),
                ('manifest_url', 'http://host/manifest')):
            with self.subTest(name=name, value=str(value)[:40]):
                details = self.refused(**{**self.given, name: value})
                self.assertIn('xpected', details)
                self.assertNotIn('Unexpected exception', details)
                self.assertNotIn('53cret', details)
        self.assert_untouched()

    def test_nothing_states_what_the_image_must_be(self):
        self.refused('checksum-missing', image_url=self.url)
        self.assert_untouched()

    def test_sizes_of_partitions(self):
        for size in ('x', -1, 10 ** 10, 1.5, True):
            self.node['instance_info'] = {'root_gb': size}
            with self.subTest(size):
                self.refused('root_gb', image_type='partition', **self.given)
        self.node['instance_info'] = {}
        self.refused('root_gb', image_type='partition', **self.given)
        self.assert_untouched()

    def test_secrets_are_not_told(self):
        self.conf.config(image_download_connection_retries=0)
        for url in (self.server.url('gone?signature=verysecret'),
                    'http://user:verysecret@127.0.0.1:1/gone'):
            self.assertNotIn('verysecret', self.refused(
                **{**self.given, 'image_url': url}))
        order = deploy_step.Arguments.read(self.node, {
            **self.given, 'configdrive': 'verysecret'})
        self.assertNotIn('verysecret', repr(order))

    def test_failures_leave_what_boots_nothing(self):
        self.refused('the checksum does not match', **{
            **self.given, 'checksum': 'sha512:' + '0' * 128})
        self.assert_boots_nothing()
        self.assertIsNone(self.standby.cached_image_id)

    def test_whole_disk_image_as_partition_image(self):
        self.node['instance_info'] = {'root_gb': 0}
        images.partition(self.guest, 'gpt')
        self.refused(image_type='partition', **self.given)
        self.assert_untouched()

    def test_managers_of_the_agent_do_not_have_it(self):
        self.assertFalse(hasattr(hardware.GenericHardwareManager,
                                 'stream_image'))
