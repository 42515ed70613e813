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

"""The config drive beside a partition image."""

import base64
import gzip
import hashlib
import pathlib
from unittest import mock

from ironic_python_agent import config  # noqa: F401 (first)
from ironic_python_agent import partition_utils

from tests.functional import base
from tests.functional import partition_images

MIB = base.MIB


class ConfigDriveTestCase(partition_images.PartitionImageTestCase):

    SIZE = 1024 * MIB
    drive = hashlib.shake_256(b'config drive').digest(MIB // 2)

    def deploy(self) -> None:
        self.drives: list[bytes] = []
        self.replacement = self.patched(partition_utils,
                                        '_try_build_fat32_config_drive')
        self.replacement.side_effect = lambda _, path: self.drives.append(
            pathlib.Path(path).read_bytes())
        self.conf.config(efi_system_partition_size=300, group='disk_utils')
        self.use(partition_images.debian, boot_mode='uefi')
        self.encoded = base64.b64encode(
            gzip.compress(self.drive)).decode()
        self.written(configdrive=self.encoded)


class ConfigDriveTest(ConfigDriveTestCase):

    def test_it_is_written_as_it_comes(self):
        self.deploy()
        content = pathlib.Path(self.partition('configdrive')).read_bytes()
        self.assertEqual(self.drive, content[:len(self.drive)])
        self.replacement.assert_not_called()


class LargeSectorsTest(ConfigDriveTestCase):
    """No kernel mounts an ISO 9660 from sectors of 4096 bytes."""

    SECTOR_SIZE = 4096

    def test_it_is_written_as_it_comes(self):
        self.deploy()
        self.replacement.assert_called_once_with(
            self.partition('configdrive'), mock.ANY)
        self.assertEqual([self.drive], self.drives)
