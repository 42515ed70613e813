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

from ironic_imagedeploy.cmd import contents_summary
from ironic_imagedeploy.engine.contents.system import contents
from ironic_imagedeploy.engine.contents.system import first_boot
from ironic_imagedeploy.engine.contents.system import installed_kernels
from ironic_imagedeploy.engine.contents.system import menus
from ironic_imagedeploy.engine.contents.system import os_release
from ironic_imagedeploy.engine.contents.system import volumes

DEBIAN = contents.Contents(
    root=volumes.Volume(number=1, length=1 << 30, kind='ext4'),
    system=os_release.OperatingSystem(id='debian', version='12',
                                      name='Debian \x1b[31m12'),
    kernels=(installed_kernels.InstalledKernel(
        path='boot/vmlinuz-6.1', version='6.1', arch='x86_64'),
        installed_kernels.InstalledKernel(path='boot/vmlinuz')),
    loaders=tuple('abcdef'), first_boot=first_boot.FirstBoot(
        agents=('cloud-init',), data_sources=('ConfigDrive', 'None')),
    command_lines=(menus.CommandLine(path='x', options=(
        'root=UUID=x', 'console=tty0', 'console=ttyS0,115200')),),
    growth=('growroot',), unread=('partition 2: an LVM physical volume',))


class ContentsSummaryTest(unittest.TestCase):

    def rows(self, found: contents.Contents) -> dict[str, str]:
        return {label: value for label, value
                in contents_summary.rows(found) if value}

    def test_a_system(self) -> None:
        self.assertEqual({
            'system': 'Debian \\x1b[31m12',
            'root': 'partition 1, ext4, named UUID=x',
            'kernels': '6.1 (x86_64), boot/vmlinuz',
            'loaders': 'a, b, c, d and 2 more',
            'consoles': 'tty0, ttyS0,115200',
            'first boot': 'cloud-init (ConfigDrive, None)',
            'grows by': 'growroot',
            'not read': 'partition 2: an LVM physical volume'},
            self.rows(DEBIAN))

    def test_nothing(self) -> None:
        self.assertEqual({}, self.rows(contents.Contents()))

    def test_nobody_reads_a_word_without_an_end(self) -> None:
        word = 'x' * (256 << 10)
        rows = self.rows(contents.Contents(
            root=volumes.Volume(length=1, kind='xfs', logical=(word, 'y')),
            system=os_release.OperatingSystem(id='x', name=word),
            loaders=(word,), unread=(word,)))
        self.assertLess(sum(map(len, rows.values())), 5000)

    def test_a_system_without_a_name(self) -> None:
        self.assertEqual({'system': 'x 1', 'root': 'xfs'}, self.rows(
            contents.Contents(
                root=volumes.Volume(length=1, kind='xfs'),
                system=os_release.OperatingSystem(id='x', version='1'))))
