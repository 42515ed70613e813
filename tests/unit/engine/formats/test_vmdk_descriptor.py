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


from tests.unit.engine.formats import vmdk_made

field = vmdk_made.field
SECTOR = 512


class DescriptorTest(vmdk_made.VmdkTestCase):
    """A descriptor could name any file of the machine that opens it."""

    def test_one_with_a_change_that_does_not_matter(self) -> None:
        for pattern, text in (
                ('^CID=.*$', 'CID=12345678'),
                ('^ddb.adapterType.*$', 'ddb.adapterType = "ide"'),
                ('^# Extent', '# Another comment'),
                ('RW 10240', 'RW  10240'), ('RW 10240', 'RDONLY 10240'),
                ('^version=.*$', 'version = "3"')):
            self.assert_same_disk(self.guest, self.descriptor(pattern, text))

    def test_kinds_that_are_several_files(self) -> None:
        for kind in ('monolithicFlat', 'twoGbMaxExtentSparse', 'vmfs',
                     'twoGbMaxExtentFlat', 'vmfsSparse', 'fullDevice',
                     'custom', 'partitionedDevice', ''):
            self.assert_refused('external-extent', self.descriptor(
                'createType="monolithicSparse"', f'createType="{kind}"'),
                kind)

    def test_a_parent(self) -> None:
        self.assert_refused('external-extent', self.descriptor(
            '^parentCID=.*$', 'parentCID=12345678'))
        self.assert_refused('external-extent', self.descriptor(
            '^parentCID=.*$',
            'parentCID=ffffffff\nparentFileNameHint="/etc/passwd"'))

    def test_extents(self) -> None:
        for extent in ('', 'RW 10240 FLAT "disk-flat.vmdk" 0',
                       'RW 10240 FLAT "/etc/passwd" 0',
                       'RW 10240 SPARSE "/etc/passwd"',
                       'RW 10240 SPARSE "../other.vmdk"',
                       r'RW 10240 SPARSE "..\\other.vmdk"',
                       'RW 10240 SPARSE ""', 'RW 10240 SPARSE "x" 5',
                       'NOACCESS 10240 SPARSE "x"', 'RW 10240 ZERO',
                       'RW 10240 VMFS "x"',
                       'RW 5120 SPARSE "x"\nRW 5120 SPARSE "x"'):
            with self.subTest(extent=extent):
                self.assert_refused('external-extent', self.descriptor(
                    '^RW .*$', extent.replace('\\', r'\\')))

    def test_lines_that_are_odd(self) -> None:
        for line in ('nonsense', 'RW 10240 SPARSE "x" 0 extra',
                     'RW -1 SPARSE "x"', 'unknown=1', 'include "/etc/x"',
                     'CID=1', 'createType="monolithicSparse"',
                     'RW 99999999999999999999 SPARSE "x"', '=', 'a=\xe4',
                     'encoding=""UTF-8""', 'encoding="UTF-8', 'ENCODING=a"b'):
            with self.subTest(line=line):
                self.assert_refused('corrupt', self.descriptor(
                    '^# Extent description', line))

    def test_another_size_than_the_header_states(self) -> None:
        for sectors in (0, 10239, 10241):
            self.assert_refused('corrupt', self.descriptor(
                'RW 10240', f'RW {sectors}'))

    def test_another_first_line(self) -> None:
        """A comment is a comment, whoever wrote it."""
        for line in ('# Description file created by VMDK stream converter',
                     '#', '# Disk DescriptorFile2', ''):
            with self.subTest(line=line):
                self.assert_same_disk(self.guest, self.descriptor(
                    '^# Disk DescriptorFile', line))
        for line in ('x', 'Disk DescriptorFile', '; a comment'):
            with self.subTest(line=line):
                self.assert_refused('corrupt', self.descriptor(
                    '^# Disk DescriptorFile', line))

    def test_what_qemu_img_leaves_behind_a_shorter_text(self) -> None:
        """It writes the CID again, without leading zeroes."""
        changed = self.descriptor('^CID=.*$', 'CID=1234')
        start = field(changed, 'descriptor_offset') * SECTOR
        end = changed.index(b'\0', start)
        changed[end + 1:end + 5] = b'11"\n'
        self.assert_same_disk(self.guest, changed)

    def test_files_that_are_only_a_descriptor(self) -> None:
        for options in ('subformat=monolithicFlat',
                        'subformat=twoGbMaxExtentSparse',
                        'subformat=twoGbMaxExtentFlat'):
            self.assert_refused('external-extent',
                                self.convert(self.guest, options))

    def test_a_descriptor_of_less_than_a_sector(self) -> None:
        text = (b'# Disk DescriptorFile\nversion=1\nCID=1234\n'
                b'parentCID=ffffffff\ncreateType="monolithicFlat"\n'
                b'RW 10240 FLAT "/etc/passwd" 0\n')
        self.assert_refused('external-extent', text, 'monolithicFlat')

    def test_a_descriptor_that_claims_to_be_a_disk(self) -> None:
        start = field(self.sparse, 'descriptor_offset') * SECTOR
        text = bytes(self.sparse[start:start + 10240]).rstrip(b'\0')
        self.assertEqual('refuse',
                         self.inspect(text.ljust(4096, b'\n')).verdict)
