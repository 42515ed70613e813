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

"""Deployments to a software RAID that are recorded, outside of the machine."""

from tests.functional import array_images
from tests.functional import partition_images
from tests.support.faults import systems
from tests.support import images

#: Each was deployed twice, the second time over the first.
NAMES = ('RAID1, partition image, BIOS, MBR',
         'RAID1, partition image, BIOS, GPT', 'RAID1, partition image, UEFI',
         'RAID1, whole disk, UEFI')


class RecordedTest(array_images.ArrayTestCase):
    """Each has a name, and maybe a system that was there before."""

    def record(self, name: str, root: str = '', **info: object) -> None:
        """Deploy what is used, as after the machine was switched on.

        :param root: its partition, when the agent does not tell.
        """
        self.outside.begin(name)
        self.assemble()
        self.written(**info)
        about = self.about(root or self.partition())
        self.stop()
        self.outside.end(name, **about)

    def use_partition_image(self, kernel: bytes, boot_mode: str,
                            **capabilities: str) -> None:
        self.use(partition_images.debian, lambda tree: partition_images.put(
            tree, 'boot/vmlinuz-6.2', kernel), boot_mode=boot_mode,
            **capabilities)

    def check(self, name: str, boot_mode: str, **capabilities: str) -> None:
        """Record a deployment, and one over it."""
        self.use_partition_image(b'a kernel', boot_mode, **capabilities)
        self.create()
        self.stop()
        self.record(f'{name}/OLD', root_mb=20)
        self.use_partition_image(b'a newer kernel', boot_mode,
                                 **capabilities)
        self.record(f'{name}/NEW', root_mb=20)

    def test_bios_with_mbr(self) -> None:
        self.check(NAMES[0], 'bios')

    def test_bios_with_gpt(self) -> None:
        self.check(NAMES[1], 'bios', disk_label='gpt')

    def test_uefi(self) -> None:
        self.check(NAMES[2], 'uefi', disk_label='gpt')

    def test_whole_disk(self) -> None:
        self.node['properties'] = {
            'capabilities': 'boot_mode:uefi,disk_label:gpt'}
        self.node['driver_internal_info'] = {
            'imagedeploy': {'own_boot_loader': True}}
        self.create()
        self.stop()
        for name in ('OLD', 'NEW'):
            self.guest = self.directory / 'guest'
            self.guest.write_bytes(systems.make('both', name).content)
            self.image = images.convert(self.guest,
                                        self.directory / 'disk.qcow2')
            self.record(f'{NAMES[3]}/{name}', f'{self.device}p3',
                        image_type='whole-disk')
