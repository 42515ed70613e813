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

#: Each was deployed twice, the second time over the first.
NAMES = ('RAID1, partition image, BIOS, MBR',
         'RAID1, partition image, BIOS, GPT', 'RAID1, partition image, UEFI')


class RecordedTest(array_images.ArrayTestCase):
    """Each has a name, and maybe a system that was there before."""

    def record(self, name: str) -> None:
        """Deploy what is used, as after the machine was switched on."""
        self.outside.begin(name)
        self.assemble()
        self.written(root_mb=20)
        about = self.about()
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
        self.record(f'{name}/OLD')
        self.use_partition_image(b'a newer kernel', boot_mode,
                                 **capabilities)
        self.record(f'{name}/NEW')

    def test_bios_with_mbr(self) -> None:
        self.check(NAMES[0], 'bios')

    def test_bios_with_gpt(self) -> None:
        self.check(NAMES[1], 'bios', disk_label='gpt')

    def test_uefi(self) -> None:
        self.check(NAMES[2], 'uefi', disk_label='gpt')
