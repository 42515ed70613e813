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

"""Behaviour of ironic-python-agent that we rely on and it does not promise.

A failure here, with a new release, means that the page "What we lean on" of
the contributor guide and the code that it names need another look.
"""

import inspect
import ssl
from unittest import mock

from ironic_python_agent import config  # noqa: F401 (first)
from ironic_python_agent import agent  # noqa: H306
from ironic_python_agent.api import app
from ironic_python_agent import efi_utils
from ironic_python_agent import errors
from ironic_python_agent.extensions import standby
from ironic_python_agent import partition_utils
from ironic_python_agent import raid_utils
from ironic_python_agent import utils

from tests.support import ramdisk
from tests.support.simulation import certificate


class StandbyTest(ramdisk.AgentTestCase):

    def test_an_image_that_is_cached_is_not_written(self):
        writers = [self.patched(standby.StandbyExtension, name) for name in (
            '_cache_and_write_image', '_stream_raw_image_onto_device')]
        self.standby.partition_uuids = {}
        self.standby.cached_image_id = 'the-image'
        self.standby.prepare_image(image_info=self.image_info()).wait()
        for writer in writers:
            writer.assert_not_called()
        self.validated.assert_called_once_with(str(self.disk))

    def test_another_image_is_written(self):
        write = self.patched(standby.StandbyExtension,
                             '_cache_and_write_image')
        self.standby.partition_uuids = {}
        self.standby.cached_image_id = 'another-image'
        self.standby.prepare_image(image_info=self.image_info()).wait()
        write.assert_called_once()

    def test_uuids_that_are_set_are_told(self):
        uuids = {'root uuid': '58d52f60', 'bootloader': 'i386-pc'}
        self.standby.partition_uuids = dict(uuids)
        self.standby.cached_image_id = 'the-image'
        self.standby.prepare_image(
            image_info=self.image_info(image_type='partition')).wait()
        answer = self.agent.execute_command('standby.get_partition_uuids')
        self.assertEqual(uuids, answer.serialize()['command_result'])

    def test_uuids_are_not_told_before_there_are_any(self):
        answer = self.agent.execute_command('standby.get_partition_uuids')
        self.assertEqual({}, answer.serialize()['command_result'])

    def test_an_extension_knows_the_commands_of_its_agent(self):
        self.assertIs(self.agent.command_results,
                      self.standby.agent.command_results)


class CertificateTest(ramdisk.AgentTestCase):

    def test_the_api_knows_its_certificate(self):
        self.patched(app.wsgi, 'Server')
        self.patched(app, 'TLSEnforcingSSLAdapter')
        here = agent.Host('192.0.2.1', 9999)
        found = agent.IronicPythonAgent(
            None, here, here, 1, 1, None, 1, 1, True, None)
        key = self.directory / 'both.pem'
        certificate.make('192.0.2.1', keep=key)
        found.api.start(str(key), str(key))
        found.api.server_thread.join()
        self.assertEqual(
            (str(key), str(key), '192.0.2.1'),
            (found.api.tls_cert_file, found.api.tls_key_file,
             found.listen_address.hostname))

    def test_a_context_of_a_server(self):
        self.assertIs(ssl.PROTOCOL_TLS_SERVER,
                      utils.create_ssl_context('server').protocol)


class PartitionsTest(ramdisk.AgentTestCase):

    def test_a_fat_is_made_of_a_partition_and_a_file(self):
        # What it does there, LargeSectorsTest sees on a real disk.
        make = partition_utils._try_build_fat32_config_drive
        self.assertEqual(['partition', 'confdrive_file'],
                         list(inspect.signature(make).parameters))

    def test_partitions_are_made_without_an_image(self):
        wanted = inspect.signature(partition_utils.work_on_disk)
        wanted.bind('/dev/sda', 1, 1, 1, 'ext4', None, 'uuid',
                    preserve_ephemeral=False, configdrive=None,
                    boot_mode='uefi', disk_label='gpt', cpu_arch='x86_64')

    def test_boot_partitions_of_a_mirror(self):
        inspect.signature(raid_utils.prepare_boot_partitions_for_softraid
                          ).bind('/dev/md0', ['/dev/sda'], None, 'uefi')
        self.assertIsInstance(raid_utils.ESP_SIZE_MIB, int)

    def test_boot_entries_of_an_image(self):
        # What they do there, ImageTest of the boot entries sees.
        for function, expected in (
                (efi_utils._get_efi_bootloaders, ['location']),
                (efi_utils._run_efibootmgr, [
                    'valid_efi_bootloaders', 'device', 'efi_partition',
                    'mount_point', 'label_suffix'])):
            self.assertEqual(expected, list(
                inspect.signature(function).parameters))

    def test_a_mirror_of_an_esp_is_known_by_its_fat(self):
        for kind, expected in (('vfat', '/dev/md126'), ('', None)):
            with mock.patch.object(
                    raid_utils.utils, 'execute', autospec=True,
                    return_value=(f'NAME="md126" TYPE="raid1" FSTYPE="{kind}"',
                                  '')):
                self.assertEqual(expected, raid_utils.find_esp_raid())

    def test_an_unknown_file_system_has_its_sentence_in_message(self):
        error = errors.FileSystemNotSupported('zfs')
        self.assertIn('zfs', error.message)
        # The agent cannot send it: it has no type and no code.
        self.assertRaises(AttributeError, error.serialize)
