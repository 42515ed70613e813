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


import unittest

from ironic_imagedeploy.cmd.images import mend
from ironic_imagedeploy.cmd.images import metadata

RECORD = {'name': 'n', 'disk_format': 'qcow2', 'container_format': 'bare',
          'min_disk': 3, 'img_type': 'whole-disk', 'color': 'blue'}
WANTED = metadata.Metadata(
    name='n', disk_format='qcow2', min_disk=3,
    properties={'img_type': 'whole-disk'})


class DifferencesTest(unittest.TestCase):

    def found(self, **changes: object) -> dict[str, tuple[object, object]]:
        return {each['name']: (each['is'], each['should_be'])
                for each in mend.differences({**RECORD, **changes}, WANTED)}

    def test_none(self) -> None:
        self.assertEqual({}, self.found())

    def test_a_larger_disk_is_somebodys_choice(self) -> None:
        self.assertEqual({}, self.found(min_disk=40))
        self.assertEqual({'min_disk': (0, 3)}, self.found(min_disk=0))
        self.assertEqual({'min_disk': (None, 3)}, self.found(min_disk=None))

    def test_boot_files_of_a_whole_disk_go(self) -> None:
        self.assertEqual({'kernel_id': ('x', None)},
                         self.found(kernel_id='x'))

    def test_boot_files_of_a_partition_image_stay(self) -> None:
        wanted = metadata.Metadata(
            name='n', disk_format='raw', min_disk=3,
            properties={'img_type': 'partition'})
        record = {**RECORD, 'img_type': 'partition', 'disk_format': 'raw',
                  'kernel_id': 'x', 'ramdisk_id': 'y'}
        self.assertEqual([], mend.differences(record, wanted))

    def test_what_the_content_does_not_tell_stays(self) -> None:
        self.assertEqual({}, self.found(hw_firmware_type='uefi',
                                        os_distro='mine'))
