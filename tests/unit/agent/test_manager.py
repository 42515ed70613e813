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
import ssl
from unittest import mock

from ironic_python_agent import errors
from ironic_python_agent import hardware
from ironic_python_agent import partition_utils
from ironic_python_agent import tls_utils

from ironic_imagedeploy.agent.boot import grub
from ironic_imagedeploy.agent import handover
from ironic_imagedeploy.agent import partition_image
from ironic_imagedeploy.agent import progress
from ironic_imagedeploy.agent import whole_disk
from ironic_imagedeploy import engine
from tests.support import images
from tests.support import ramdisk
from tests.support import web


class ManagerTest(ramdisk.AgentTestCase):

    def test_tells_its_name_and_version(self):
        self.assertEqual('5', hardware.get_current_versions()[
            'ImageDeployHardwareManager'])

    def test_steps_of_the_agent_stay(self):
        ours = hardware.get_managers()[0]
        self.assertEqual(['stream_image'], [
            step['step'] for step in ours.get_deploy_steps(self.node, [])])
        self.assertEqual([], ours.get_clean_steps(self.node, []))

    def test_other_methods_go_to_the_stock_manager(self):
        hardware.dispatch_to_managers('wait_for_disks')
        self.assertEqual(1, self.machine.waited_for_disks)
        for method in ('list_block_devices', 'list_hardware_info',
                       'erase_devices'):
            with self.assertRaises(errors.IncompatibleHardwareMethodError,
                                   msg=method):
                ours = hardware.get_managers()[0]
                getattr(ours, method)(
                    *([self.node, []] if method == 'erase_devices' else []))

    def test_steps_aside_for_other_interfaces(self):
        self.node['deploy_interface'] = 'direct'
        self.assertEqual('written by the stock manager', self.written())
        self.assertEqual(1, len(self.machine.written))
        self.assert_untouched()

    def test_instance_info_names_the_interface_first(self):
        self.node['deploy_interface'] = 'direct'
        self.node['instance_info'] = {'deploy_interface': 'imagedeploy'}
        self.written()
        self.assert_written()
        self.node['deploy_interface'] = 'imagedeploy'
        self.node['instance_info'] = {'deploy_interface': 'direct'}
        self.assertEqual('written by the stock manager', self.written())


class WriteImageTest(ramdisk.AgentTestCase):

    def test_image_is_on_the_disk_and_reported(self):
        result = self.written()
        self.assert_written()
        report = result['imagedeploy']
        self.assertEqual(
            ('qcow2', self.guest.stat().st_size, self.image.stat().st_size,
             self.server.url('disk.qcow2')),
            (report['format'], report['virtual_size'], report['bytes_read'],
             report['source']))
        self.assertEqual(
            {'algorithm': 'sha512', 'verified': True,
             'value': self.image_info()['os_hash_value']},
            report['checksum'])
        self.assertIn('image (the-image) written to device', result['result'])
        self.assertTrue(self.machine.refreshed)
        self.assertEqual(['inspect', 'boot'], [
            report['phases'][place]['name'] for place in (0, -1)])

    def test_the_writer_is_that_of_its_kind(self):
        """Firmware learns of what is a whole disk, as after ours."""
        entry = self.patched(handover, 'add_boot_entry')
        ours = hardware.get_managers()[0]
        for kind, module in (('partition', partition_image),
                             ('whole-disk', whole_disk)):
            write = self.patched(module, 'write')
            write.return_value = {'imagedeploy': {'format': kind}}
            self.node['instance_info'] = {'root_gb': 1}
            result = ours.stream_image(
                self.node, [], image_url=self.server.url('disk.qcow2'),
                image_type=kind,
                checksum=self.image_info()['os_hash_value'])
            self.assertEqual(kind, result['imagedeploy']['format'])
            order, source, device, _ = write.call_args.args
            self.assertEqual((str(self.disk), self.image.stat().st_size),
                             (device, source.size))
            self.assertEqual(kind == 'whole-disk', entry.called)
        entry.assert_called_once_with(order)

    def test_agent_does_the_rest(self):
        configdrive = self.patched(partition_utils,
                                   'create_config_drive_partition')
        device = str(self.disk)
        self.written(configdrive='the config drive')
        self.rescanned.assert_called_once_with(device)
        self.validated.assert_called_once_with(device)
        configdrive.assert_called_once_with(ramdisk.NODE_ID, device,
                                            'the config drive')
        self.assertEqual('the-image', self.standby.cached_image_id)

    def test_an_image_that_was_there_before_is_written_again(self):
        self.standby.cached_image_id = 'the-image'
        self.written()
        self.assert_written()

    def test_raw(self):
        digest = ramdisk.hashlib.sha256(self.guest.read_bytes()).hexdigest()
        self.written(urls=[self.server.url('guest')], disk_format='raw',
                     os_hash_algo='sha256', os_hash_value=digest)
        self.assert_written()

    def test_mirror(self):
        self.written(urls=[self.server.url('gone'),
                           self.server.url('disk.qcow2')])
        self.assert_written()

    def test_resumes(self):
        self.server.answer = web.nth(
            1, lambda exchange: exchange.serve(stop_after=1000, how='reset'))
        self.conf.config(image_download_connection_retries=2)
        self.written()
        self.assert_written()

    def test_the_backup_of_a_gpt_goes_to_the_end_of_the_disk(self):
        images.partition(self.guest, 'gpt')
        images.convert(self.guest, self.image)
        report = self.written()['imagedeploy']
        self.assertEqual(self.disk.stat().st_size, report['target_size'])
        self.assertFalse(report['backup_gpt_misplaced'])
        self.assertEqual(b'EFI PART', self.disk.read_bytes()[-512:-504])

    def test_gpt_that_cannot_be_repaired_is_no_reason_to_fail(self):
        repair = self.patched(handover.engine, 'repair_gpt')
        repair.side_effect = engine.exceptions.TargetError(
            'disk', expected='a GPT', found='half of one', fix='Repair it.')
        images.partition(self.guest, 'gpt')
        images.convert(self.guest, self.image)
        report = self.written()['imagedeploy']
        self.assertTrue(report['backup_gpt_misplaced'])

    def test_progress_is_in_the_running_command(self):
        seen = []
        publish = progress.publish

        def spy(told):
            publish(told)
            # The agent lists a command only after it has started it.
            for command in self.agent.command_results.values():
                seen.append(command.serialize())

        with mock.patch.object(progress, 'publish', spy):
            self.written()
        self.assertTrue(seen)
        for command in seen:
            self.assertEqual('RUNNING', command['command_status'])
        told = [command['command_result']['imagedeploy']['progress']
                for command in seen]
        self.assertEqual(['finish', 'boot'],
                         [each['phase'] for each in told[-2:]])
        size = self.guest.stat().st_size
        for each in told[:-1]:
            if each['phase'] == 'write':
                # Its zeroes are apart.
                self.assertTrue(size / 4 < each['total'] < size)
            elif each['phase'] == 'finish':
                self.assertEqual(size, each['total'])


class FailuresTest(ramdisk.AgentTestCase):

    def test_format_mismatch(self):
        details = self.failed(disk_format='raw')
        self.assertIn('format-mismatch', details)
        self.assertIn('Expected raw, as declared, found qcow2', details)
        self.assert_untouched()

    def test_format_that_the_operator_does_not_permit(self):
        self.node['driver_internal_info'] = {'imagedeploy': {
            'permitted_formats': ['raw']}}
        self.assertIn('expected raw', self.failed(disk_format=None).lower())
        self.assert_untouched()

    def test_format_that_the_conductor_did_not_see(self):
        self.node['driver_internal_info'] = {'imagedeploy': {
            'disk_format': 'raw'}}
        self.assertIn('format-mismatch', self.failed(disk_format=None))
        self.assert_untouched()

    def test_whole_disk_image_as_partition_image(self):
        details = self.failed(image_type='partition', root_mb=8)
        self.assertIn('image-type-mismatch', details)
        self.assert_untouched()

    def test_partition_image_without_the_size_of_the_partition(self):
        details = self.failed(image_type='partition')
        self.assertIn('expected root_gb in instance_info', details)
        self.assert_untouched()

    def test_partitions_that_do_not_fit(self):
        details = self.failed(image_type='partition', root_mb=9, swap_mb=5)
        self.assertIn('expected at most 16 MiB, found 17 MiB (root 9, '
                      'swap 5, ephemeral 0, boot 1, config drive 0, '
                      'tables 2)', details)
        self.assert_untouched()

    def test_partition_image_in_a_ramdisk_without_grub2(self):
        self.patched(grub, '_LIBRARY', '/nowhere')
        details = self.failed(image_type='partition', root_mb=8)
        self.assertIn('The deploy ramdisk lacks', details)
        self.assertIn('/nowhere/i386-pc/normal.mod', details)
        self.assert_untouched()

    def test_wrong_checksum(self):
        details = self.failed(os_hash_value='0' * 128)
        self.assertIn('the checksum does not match', details)
        self.assert_boots_nothing()

    def test_checksum_of_the_conductor_is_the_one_that_counts(self):
        self.node['driver_internal_info'] = {'imagedeploy': {
            'checksum': 'sha256:' + '0' * 64}}
        self.assertIn('the checksum does not match', self.failed())

    def test_weak_checksum(self):
        digest = ramdisk.hashlib.md5(self.image.read_bytes()).hexdigest()
        md5 = {'os_hash_algo': 'md5', 'os_hash_value': digest}
        self.assertIn('checksum-weak', self.failed(**md5))
        self.assert_untouched()
        self.node['driver_internal_info'] = {'imagedeploy': {
            'insecure_checksums_permitted': True}}
        self.written(**md5)
        self.assert_written()

    def test_no_checksum(self):
        nothing = {'os_hash_algo': None, 'os_hash_value': None}
        self.assertIn('checksum-missing', self.failed(**nothing))
        self.assertIn('no usable checksum', self.failed(
            checksum='sha256 of it', **nothing))
        self.assert_untouched()

    def test_no_image(self):
        details = self.failed(urls=[self.server.url('gone')])
        self.assertIn('the image was not found', details)
        self.assert_untouched()

    def test_disk_too_small(self):
        self.disk.write_bytes(ramdisk.OLD * ramdisk.MIB)
        self.assertIn('too-large', self.failed())
        self.assertEqual(ramdisk.MIB,
                         self.disk.read_bytes().count(ramdisk.OLD))

    def test_a_disk_that_the_agent_finds_unusable_boots_nothing(self):
        self.validated.side_effect = errors.DeploymentError('no partitions')
        self.assertEqual('no partitions', self.failed())
        self.assert_boots_nothing()

    def test_a_config_drive_that_fails_leaves_a_disk_that_boots_nothing(self):
        self.patched(partition_utils, 'create_config_drive_partition'
                     ).side_effect = errors.DeploymentError('too large')
        self.assertEqual('too large', self.failed(configdrive='drive'))
        self.assert_boots_nothing()

    def test_no_memory(self):
        self.patched(engine, 'transfer').side_effect = MemoryError
        self.assertIn('memory ran out: expected', self.failed())

    def test_secrets_in_urls_are_not_told(self):
        self.conf.config(image_download_connection_retries=0)
        for url in (self.server.url('gone?temp_url_sig=verysecret'),
                    'http://user:verysecret@127.0.0.1:1/gone?verysecret'):
            self.assertNotIn('verysecret', self.failed(
                id='gone', urls=[url]))
        log = self.log.output.partition('execute_deploy_step')[2]
        for line in log.splitlines():
            if 'verysecret' in line:
                self.assertIn('Executing', line)


class LoginTest(ramdisk.AgentTestCase):
    """The options of the agent's own download hold here too."""

    def setUp(self):
        super().setUp()
        self.seen = set()
        self.server.answer = self.note

    def note(self, exchange):
        self.seen.add(exchange.headers.get('Authorization'))
        exchange.serve()

    def test_none(self):
        self.written()
        self.assertEqual({None}, self.seen)

    def test_given_with_the_image(self):
        self.conf.config(image_server_auth_strategy='http_basic',
                         image_server_user='other',
                         image_server_password='other')
        self.written(image_server_auth_strategy='http_basic',
                     image_server_user='user', image_server_password='pass')
        self.assertEqual({basic('user:pass')}, self.seen)

    def test_configured(self):
        self.conf.config(image_server_auth_strategy='http_basic',
                         image_server_user='user',
                         image_server_password='pass')
        self.written()
        self.assertEqual({basic('user:pass')}, self.seen)

    def test_supplied_by_the_user(self):
        header = base64.b64encode(b'Bearer token').decode()
        self.written(image_request_authorization=header,
                     image_server_auth_strategy='http_basic',
                     image_server_user='user', image_server_password='pass')
        self.assertEqual({'Bearer token'}, self.seen)

    def test_proxy(self):
        self.server.answer = web.Exchange.serve
        port = self.server.server_port
        info = {'urls': ['http://image.example.com/disk.qcow2'],
                'proxies': {'http': f'http://127.0.0.1:{port}'}}
        self.written(**info)
        self.assert_written()
        self.conf.config(image_download_connection_retries=0)
        self.failed(**info, no_proxy='.example.com')


class TransportSecurityTest(ramdisk.AgentTestCase):

    def setUp(self):
        super().setUp()
        self.certificate = str(self.directory / 'server.pem')
        key = str(self.directory / 'server.key')
        tls_utils._generate_tls_certificate(self.certificate, key,
                                            'localhost', '127.0.0.1')
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.certificate, key)
        self.server = web.Server(self.directory, context=context)
        self.addCleanup(self.server.stop)
        self.conf.config(image_download_connection_retries=0)

    def test_unknown_certificate(self):
        self.assertIn('certificate', self.failed())
        self.assert_untouched()

    def test_known_certificate(self):
        self.conf.config(cafile=self.certificate)
        self.written()
        self.assert_written()

    def test_insecure(self):
        self.conf.config(insecure=True)
        self.written()
        self.assert_written()


def basic(login):
    return 'Basic ' + base64.b64encode(login.encode()).decode()
