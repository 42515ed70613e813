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

from ironic_imagedeploy.engine import budget
from ironic_imagedeploy.engine.contents import partitions
from ironic_imagedeploy.engine.contents.system import root
from ironic_imagedeploy.engine.contents.system import volumes
from ironic_imagedeploy.engine import exceptions
from tests.unit.engine import base
from tests.unit.engine import good_systems
from tests.unit.engine import system_disks
from tests.unit.engine import systems

#: The partition of the root, and what is mounted.
ROOTS = {
    'debian': (3, {'boot/efi': 2}), 'ubuntu': (4, {'boot': 3, 'boot/efi': 2}),
    'fedora': (4, {'boot': 3, 'boot/efi': 2}),
    'centos': (4, {'boot': 3, 'boot/efi': 2}), 'suse': (3, {'boot/efi': 2}),
    'alpine': (2, {'boot/efi': 1}), 'arch': (2, {'boot': 1}),
    'unified_arch': (2, {'efi': 1}),
    'logical': (None, {'boot': 3, 'boot/efi': 2}),
    'rocky': (None, {'boot': 4, 'boot/efi': 3}),
    'rhel': (4, {'boot': 3, 'boot/efi': 2}), 'leap': (3, {'boot/efi': 2}),
    'microos': (3, {'boot/efi': 2}),
    'coreos': (4, {'boot': 3, 'boot/efi': 2}),
    'flatcar': (3, {'usr': 3, 'boot': 1})}


class MountedFilesTest(base.EngineTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.one = system_disks.files(self.directory, {
            'top/etc/a': b'one', 'top/boot/hidden': b'x', 'top/link': 'etc'})
        self.two = system_disks.files(self.directory, {'grub/b': b'two'})
        self.three = system_disks.files(self.directory, {'c': b'three'})

    def test_paths(self) -> None:
        files = root.MountedFiles(
            self.one, 'top', {'boot': self.two, 'boot/efi': self.three},
            budget.Budget())
        for path, content in (('etc/a', b'one'), ('/boot/grub/b', b'two'),
                              ('link/a', b'one'), ('boot/efi/c', b'three')):
            self.assertTrue(files.exists(path))
            self.assertEqual(content, files.front(path, 9))
        for path in ('boot/hidden', 'top/etc/a', 'grub/b', 'bootx'):
            self.assertFalse(files.exists(path), path)
            self.assertIsNone(files.front(path, 9))
        self.assertEqual(['boot', 'etc', 'link'], files.list(''))
        self.assertIn('grub', files.list('boot/'))
        self.assertFalse(files.is_dirty)

    def test_without_a_root(self) -> None:
        files = root.MountedFiles(None, '', {'usr': self.three},
                                  budget.Budget())
        self.assertEqual(b'three', files.front('usr/c', 9))
        self.assertEqual([], files.list('etc'))
        self.assertIsNone(files.front('etc/a', 9))
        self.assertFalse(files.exists('etc'))

    def test_work(self) -> None:
        files = root.MountedFiles(self.one, '', {}, budget.Budget(entries=99))
        with self.assertRaises(exceptions.TooComplex):
            for _ in range(9):
                files.front('top/etc/a', 9)


class FinderTest(base.EngineTestCase):

    def finder(self, parts: list[systems.Part]) -> root.Finder:
        file = system_disks.disk(self.directory, parts).open('rb')
        self.addCleanup(file.close)

        def read(offset: int, length: int) -> bytes:
            file.seek(offset)
            return file.read(length)

        table = partitions.read_table(read, None)
        assert table
        drawn = budget.Budget()
        return root.Finder(read, volumes.find(read, table, drawn), drawn)

    def test_each_distribution(self) -> None:
        for name, make in good_systems.ALL.items():
            with self.subTest(name):
                finder = self.finder(make())
                found = finder.find()
                assert found
                self.assertEqual(ROOTS[name], (found.volume.number, {
                    point: volume.number
                    for point, volume in found.points.items()}))
                self.assertEqual([], finder.unread)

    def test_by_type_before_all_others(self) -> None:
        other = systems.Part(kind='ext4', uuid=systems.BOOT_UUID,
                             tree={'etc/os-release': b'ID=other\n'})
        found = self.finder([other, *systems.debian()]).find()
        self.assertEqual(4, found and found.volume.number)

    def test_no_system(self) -> None:
        data = systems.Part(kind='ext4', uuid=systems.BOOT_UUID,
                            tree={'data/x': b'x'})
        self.assertIsNone(self.finder([systems.esp('x'), data]).find())

    def test_more_than_it_opens(self) -> None:
        data = systems.Part(kind='ext4', uuid=systems.BOOT_UUID,
                            tree={'data/x': b'x'})
        for count, unread in ((6, []),
                              (8, ['file systems after the first 6'])):
            finder = self.finder([data] * count)
            self.assertIsNone(finder.find())
            self.assertEqual(unread, finder.unread)

    def test_what_cannot_be_read(self) -> None:
        parts = systems.debian()
        finder = self.finder(parts)
        path = self.directory / 'system'
        size = path.stat().st_size
        content = bytearray(path.read_bytes())
        at = content.index(b'\x53\xef', 36 << 20)
        content[at + 0x60 - 0x38] = 0xff
        path.write_bytes(content)
        self.assertEqual(size, path.stat().st_size)
        self.assertIsNone(finder.find())
        self.assertIn('partition 3: ', finder.unread[0])
