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

import os
import pathlib
import tempfile
import unittest
from unittest import mock

from ironic_imagedeploy.agent import sysfs

TREE = ('pci0/block/vda/vda1', 'pci0/block/nvme0n1/nvme0n1p2',
        'virtual/block/md127/md127p3')


class SysfsTestCase(unittest.TestCase):
    """Two disks and an array on them, as the kernel shows such ones."""

    def setUp(self):
        super().setUp()
        top = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        links = top / 'class/block'
        links.mkdir(parents=True)
        for number, path in enumerate(TREE, 1):
            partition = top / 'devices' / path
            partition.mkdir(parents=True)
            (partition / 'partition').write_text(f'{number}\n')
            for device in (partition, partition.parent):
                (links / device.name).symlink_to(device)
        (links / 'md127/md').mkdir()
        (links / 'md127/slaves').mkdir()
        for name in ('vda1', 'nvme0n1p2'):
            (links / 'md127/slaves' / name).symlink_to(
                os.path.realpath(links / name))
        self.links = links
        self.enterContext(mock.patch.object(sysfs, '_BLOCK', str(links)))
