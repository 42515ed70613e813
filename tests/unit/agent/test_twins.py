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


import pathlib
import shutil
import subprocess
import tempfile
from unittest import mock

import fixtures
from oslotest import base

from ironic_python_agent import config  # noqa: F401 (before errors)
from ironic_python_agent import errors

from ironic_imagedeploy.agent.boot import menu
from ironic_imagedeploy.agent import commands
from ironic_imagedeploy.agent import twins
from ironic_imagedeploy import engine

MIB = 1 << 20


class TwinsTestCase(base.BaseTestCase):
    """A machine whose devices are files."""

    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger())
        self.directory = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.directory)
        #: Devices by what lsblk is asked for.
        self.devices = {(): []}
        patcher = mock.patch.object(
            twins, '_names', autospec=True,
            side_effect=lambda *asked: self.devices.get(asked, []))
        patcher.start()
        self.addCleanup(patcher.stop)

    def run_program(self, *command):
        subprocess.run(command, check=True, capture_output=True)

    def file_system(self, name, uuid, kind='ext4'):
        """A file with a file system, as a device of the machine."""
        path = self.directory / name
        with path.open('wb') as file:
            file.truncate(16 * MIB)
        self.run_program('mke2fs', '-q', '-F', '-t', kind, '-U', uuid,
                         str(path))
        self.devices[()].append(str(path))
        return path

    def disk(self, name, guid, uuid):
        """A file with a GPT and one partition."""
        path = self.file_system(f'{name}1', uuid)
        self.devices[()].remove(str(path))
        disk = self.directory / name
        with disk.open('wb') as file:
            file.truncate(20 * MIB)
        subprocess.run(
            ['sfdisk', '-q', str(disk)], check=True, capture_output=True,
            input=f'label: gpt\nlabel-id: {guid}\nstart=2048\n'.encode())
        with disk.open('r+b') as file:
            file.seek(MIB)
            file.write(path.read_bytes())
        self.devices[()].append(str(disk))
        return disk

    def find(self, image, image_type='partition', device='/dev/target'):
        with engine.open_source(str(image)) as source:
            return twins.find(engine.inspect(source, engine.Expectation(
                image_type=image_type, disk_format='raw')), device)


ONE = '11111111-2222-4333-8444-555555555555'
OTHER = 'aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee'


class PartitionTest(TwinsTestCase):

    def test_same_file_system(self):
        image = self.file_system('image', ONE)
        twin = self.file_system('sdb1', ONE)
        self.file_system('sdc1', OTHER)
        self.devices[()].remove(str(image))
        self.assertEqual([twins.Twin(str(twin), f'UUID={ONE}')],
                         self.find(image))
        for word in (str(twin), ONE, '/dev/target'):
            self.assertIn(word, self.log.output)

    def test_none(self):
        image = self.file_system('image', ONE)
        self.devices[()] = [str(self.directory / 'gone'), '/dev/null']
        self.assertEqual([], self.find(image))

    def test_parts_of_the_disk_itself_are_none(self):
        image = self.file_system('image', ONE)
        part, leg, leg_part = (str(self.file_system(name, ONE)) for name in (
            'target1', 'leg', 'leg1'))
        self.devices[()].remove(str(image))
        self.devices['-s', '/dev/target'] = ['/dev/target', leg]
        self.devices['/dev/target',] = ['/dev/target', part]
        self.devices[leg,] = [leg, leg_part]
        self.assertEqual([], self.find(image))

    def test_it_is_advice(self):
        image = self.file_system('image', ONE)
        with mock.patch.object(twins, '_others', autospec=True,
                               side_effect=errors.DeploymentError('lsblk')):
            self.assertEqual([], self.find(image))
        self.assertIn('is not known', self.log.output)


class WholeDiskTest(TwinsTestCase):

    def test_a_single_partition(self):
        """Its table has another GUID, and its file system another UUID."""
        image = self.disk('image', ONE, OTHER)
        partition = self.directory / 'sdb2'
        self.devices[()] = [str(partition)]
        disk = self.disk('sdb', OTHER, ONE)
        table = subprocess.run(
            ['sfdisk', '--part-uuid', str(image), '1'], check=True,
            capture_output=True, text=True).stdout.strip()
        self.devices[()].remove(str(disk))
        real = commands.run

        def run(*command):
            # A file is no partition, of which blkid would say this.
            return (f'PART_ENTRY_UUID={table.lower()}\n'
                    if command[-1] == str(partition) else real(*command))

        with mock.patch.object(commands, 'run', autospec=True,
                               side_effect=run):
            self.assertEqual(
                [twins.Twin(str(partition), f'PARTUUID={table.lower()}')],
                self.find(image, 'whole-disk'))

    def test_same_table_and_same_file_system(self):
        image = self.disk('image', ONE, OTHER)
        other = self.disk('sdb', ONE, OTHER)
        part = self.file_system('sdc1', OTHER)
        self.devices[()].remove(str(image))
        self.assertEqual(
            {(str(other), f'PTUUID={ONE.upper()}'),
             (str(part), f'UUID={OTHER}')},
            {(twin.device, twin.identifier.replace(ONE, ONE.upper()))
             for twin in self.find(image, 'whole-disk')})


class MenuTest(base.BaseTestCase):

    def test_root_by_what_is_unique(self):
        entries = [menu.Entry(version='6', kernel='/boot/vmlinuz-6',
                              initramfs=('/boot/initrd.img-6',), options=())]
        for twin, expected in ((False, 'root=UUID=1-2 ro'),
                               (True, 'root=PARTUUID=3-4 ro')):
            text = menu.write(entries, uuid='1-2', partition_uuid='3-4',
                              by_partition=twin)
            self.assertIn(f"'/boot/vmlinuz-6' {expected}", text)
