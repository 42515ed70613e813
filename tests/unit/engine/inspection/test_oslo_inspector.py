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

import logging

from ironic_imagedeploy import engine
from ironic_imagedeploy.engine.inspection import oslo_inspector
from tests.unit.engine import base
from tests.unit.engine import disks
from tests.unit.engine import memory
from tests.unit.engine import qcow2_builder as qcow2

MIB = base.MIB
HEAD = 128 << 10


class FormatsTest(base.EngineTestCase):

    def test_made_by_qemu_img(self) -> None:
        for form, options in (
                ('qcow2', ''), ('qcow2', 'compat=0.10'),
                ('qcow2', 'extended_l2=on'), ('vmdk', ''),
                ('vmdk', 'subformat=streamOptimized'), ('vdi', ''),
                ('vpc', ''), ('vhdx', ''), ('qed', '')):
            path = self.directory / 'image'
            base.run('qemu-img', 'create', '-q', '-f', form,
                     *(('-o', options) if options else ()), path, '4M')
            with self.subTest(form=form, options=options):
                self.assertEqual(
                    {{'vpc': 'vhd'}.get(form, form)},
                    oslo_inspector.formats(path.read_bytes()[:HEAD]))

    def test_disks_have_no_format(self) -> None:
        for head in (b'', bytes(512), bytes(HEAD), b'\xff' * HEAD,
                     bytes(disks.gpt(MIB))[:HEAD],
                     bytes(disks.mbr(MIB, [(0, 0x83, 1, 5)]))):
            self.assertEqual(set(), oslo_inspector.formats(head))


class ViolationsTest(base.EngineTestCase):

    def violations(self, head: bytes | bytearray, form: str, *,
                   has_table: bool = False, has_subclusters: bool = False
                   ) -> list[str]:
        """The codes of its findings, which are complete."""
        found = list(oslo_inspector.violations(
            bytes(head[:HEAD]), form, has_table=has_table,
            has_subclusters=has_subclusters))
        for finding in found:
            self.assert_complete(finding)
            self.assertTrue(finding.message)
            self.assertIs(
                engine.Severity.WARNING
                if finding.code == 'refused-by-glance'
                else engine.Severity.ERROR, finding.severity)
        return [finding.code for finding in found]

    def test_good_images(self) -> None:
        self.assertEqual([], self.violations(
            qcow2.Builder(MIB).build(), 'qcow2'))
        self.assertEqual([], self.violations(
            disks.gpt(MIB), 'raw', has_table=True))
        self.assertEqual([], self.violations(
            disks.mbr(MIB, [(0x80, 0x83, 1, 5)]), 'raw', has_table=True))

    def test_dangerous_features(self) -> None:
        file = qcow2.Builder(MIB).build()
        for fields, code in (
                ({'backing_file_offset': 200, 'backing_file_size': 5},
                 'backing-file'),
                ({'incompatible_features': 4}, 'data-file'),
                ({'incompatible_features': 1 << 20}, 'unknown-feature')):
            with self.subTest(code=code):
                self.assertEqual([code], self.violations(
                    qcow2.patched(file, **fields), 'qcow2'))

    def test_version_2_of_qcow2_has_no_features(self) -> None:
        file = qcow2.Builder(MIB, version=2).build()
        self.assertEqual([], self.violations(qcow2.patched(
            file, incompatible_features=(1 << 64) - 1), 'qcow2'))
        self.assertEqual(['backing-file'], self.violations(qcow2.patched(
            file, backing_file_offset=200, backing_file_size=5), 'qcow2'))

    def test_subclusters_are_no_unknown_feature_to_us(self) -> None:
        file = qcow2.Builder(MIB, extended_l2=True).build()
        self.assertEqual([], self.violations(file, 'qcow2',
                                             has_subclusters=True))

    def test_a_boot_flag_that_is_none(self) -> None:
        disk = disks.mbr(MIB, [(1, 0x83, 1, 5)])
        self.assertEqual(['corrupt'], self.violations(disk, 'raw',
                                                      has_table=True))

    def test_good_disks_that_the_inspector_refuses(self) -> None:
        hybrid = disks.gpt(MIB)
        hybrid[:512] = disks.mbr(512, [(0, 0xee, 1, 99), (0, 0x83, 100, 9)])
        hybrid[447:450] = b'\x00\x02\x00'
        chs = disks.gpt(MIB)
        chs[447:450] = b'\xff\xff\xff'
        for disk in (hybrid, chs):
            self.assertEqual(['refused-by-glance'], self.violations(
                disk, 'raw', has_table=True))

    def test_boot_sectors_of_file_systems_are_not_judged(self) -> None:
        volume = bytearray(b'\xff' * 512)
        volume[510:512] = b'\x55\xaa'
        self.assertEqual([], self.violations(volume, 'raw'))

    def test_formats_that_it_cannot_judge(self) -> None:
        for form in ('vdi', 'vmdk'):
            path = self.directory / form
            base.run('qemu-img', 'create', '-q', '-f', form, path, '4M')
            self.assertEqual([], self.violations(path.read_bytes(), form))

    def test_a_head_that_is_too_short(self) -> None:
        file = qcow2.Builder(MIB).build()
        for length in (0, 4, 104, 511):
            self.assertEqual([], self.violations(file[:length], 'qcow2'))


class QuietTest(base.EngineTestCase):

    def test_an_accepted_image_is_not_worth_a_warning(self) -> None:
        """Its log would be the only output of a program without one."""
        for content in (qcow2.Builder(MIB, extended_l2=True).build(),
                        disks.gpt(MIB, [disks.Entry(100, 200)])):
            with self.assertNoLogs(level=logging.WARNING):
                self.assertEqual('accept', engine.inspect(
                    memory.MemorySource(content)).verdict)
