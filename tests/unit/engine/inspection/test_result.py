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

import dataclasses
import gzip
import json
import typing
from unittest import mock

from ironic_imagedeploy import engine
from ironic_imagedeploy.engine.contents import partitions
from ironic_imagedeploy.engine.contents.system import contents as _contents
from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.formats import compressed_raw
from ironic_imagedeploy.engine.formats import raw
from ironic_imagedeploy.engine.inspection import oslo_inspector
from ironic_imagedeploy.engine.inspection import result
from ironic_imagedeploy.engine.sources import recorded
from tests.unit.engine import base
from tests.unit.engine import disks
from tests.unit.engine import memory

MIB = base.MIB
ERROR = engine.Severity.ERROR
WARNING = engine.Severity.WARNING


def finding(code: str, severity: engine.Severity = ERROR) -> engine.Finding:
    """A finding with that code."""
    return engine.Finding(code=code, severity=severity, expected='this',
                          found='that')


class InspectionTest(base.EngineTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.source = memory.MemorySource(bytes(MIB))

    def inspection(self, **found: typing.Any) -> result.Inspection:
        return result.Inspection(
            source=recorded.RecordedSource(self.source),
            expectation=engine.Expectation(disk_format='raw'), **found)

    def table(self, *types: str, boot_code: bool = False
              ) -> partitions.PartitionTable:
        return partitions.PartitionTable(
            kind='gpt', sector_size=4096, boot_code=boot_code,
            partitions=tuple(
                partitions.Partition(number=number, start=MIB, length=MIB,
                                     type=kind)
                for number, kind in enumerate(types, 1)))

    def assert_json(self, expected: dict[str, object],
                    found: engine.Inspection) -> None:
        """These keys are there, with these values; more may come."""
        values = json.loads(json.dumps(found.to_dict()))
        self.assertEqual(expected, {key: values[key] for key in expected})

    def test_errors_refuse_and_warnings_do_not(self) -> None:
        for findings, verdict in (
                ((), 'accept'), ((finding('dirty', WARNING),), 'accept'),
                ((finding('no-esp'),), 'refuse'),
                ((finding('dirty', WARNING), finding('no-esp')), 'refuse')):
            self.assertEqual(verdict,
                             self.inspection(findings=findings).verdict)

    def test_a_refusal_names_the_errors_only(self) -> None:
        found = self.inspection(findings=(
            finding('encrypted'), finding('dirty', WARNING),
            finding('backing-file')))
        for call in (found.raise_if_refused, found.accepted):
            with self.assertRaises(exceptions.ImageRefused) as caught:
                call()
            self.assertEqual(['encrypted', 'backing-file'], [
                each.code for each in caught.exception.findings])

    def test_an_accepted_image(self) -> None:
        image = raw.RawImage(self.source)
        found = self.inspection(image=image,
                                findings=(finding('dirty', WARNING),))
        found.raise_if_refused()
        self.assertIs(image, found.accepted())

    def test_the_type_is_told_by_the_content(self) -> None:
        for found, kind in (
                ({'table': self.table()}, 'whole-disk'),
                ({'file_system': 'ext4'}, 'partition'), ({}, None)):
            self.assertEqual(kind, self.inspection(**found).image_type)

    def test_boot_modes(self) -> None:
        with_esp = self.table(disks.LINUX, disks.ESP)
        both = self.table(disks.ESP, boot_code=True)
        for table, programs, modes in (
                (None, None, ()), (self.table(disks.LINUX), None, ()),
                (self.table(boot_code=True), None, ('bios',)),
                (with_esp, {'x86_64'}, ('uefi',)),
                (with_esp, None, ('uefi',)), (with_esp, set(), ()),
                (both, {'x86_64'}, ('bios', 'uefi')),
                (both, set(), ('bios',))):
            with self.subTest(modes=modes, programs=programs):
                self.assertEqual(modes, self.inspection(
                    table=table, efi_programs=programs).boot_modes)

    def test_a_kernel_is_one_when_it_is_known_as_that(self) -> None:
        for kind in ('kernel', 'ramdisk'):
            found = dataclasses.replace(
                self.inspection(), expectation=engine.Expectation(
                    image_type=kind))
            self.assertIsNone(found.image_type)
            self.assertEqual(kind, dataclasses.replace(
                found, format='cpio').image_type)
            self.assertRaises(TypeError, found.accepted)

    def test_the_size_of_a_disk_in_a_compressed_file(self) -> None:
        """It is what its GPT says, until all is unpacked."""
        image = compressed_raw.CompressedRawImage(
            memory.MemorySource(gzip.compress(bytes(4 * MIB))), 'gz')
        image.state_size(3 * MIB, 2 * MIB)
        mbr = dataclasses.replace(self.table(), kind='mbr')
        for table, size in ((self.table(), 3 * MIB), (mbr, None),
                            (None, None)):
            found = self.inspection(image=image, table=table)
            self.assertEqual(size, found.virtual_size)
            self.assertEqual(['compression'] + ['disk-size'] * (size is None),
                             [each for each in found.unchecked
                              if each != 'oslo-inspector'])
            self.assertEqual(image.largest, found.largest)
        found = dataclasses.replace(found, expectation=engine.Expectation(
            disk_size=7 * MIB, checksum=engine.Checksum('md5', '0' * 32)))
        self.assertEqual(7 * MIB, found.largest)
        self.assertIn('checksum', found.unchecked)
        image.look_at_end()
        self.assertEqual((4 * MIB, 4 * MIB), (found.virtual_size,
                                              found.largest))
        self.assertNotIn('compression', found.unchecked)

    def test_a_disk_must_be_as_large_as_its_table_says(self) -> None:
        image = raw.RawImage(self.source)
        self.assertEqual((0, MIB), (
            self.inspection(image=image).least_disk,
            self.inspection(image=image).largest))
        found = self.inspection(image=image, table=self.table(disks.ESP))
        self.assertEqual((2 * MIB, 2 * MIB), (found.least_disk,
                                              found.largest))

    def test_how_it_starts_was_judged(self) -> None:
        for wanted, contents, is_judged in (
                (True, _contents.Contents(), True), (True, None, False),
                (False, _contents.Contents(), False),
                (True, _contents.Contents(is_cut=True), False)):
            self.assertIs(is_judged, dataclasses.replace(
                self.inspection(contents=contents),
                expectation=engine.Expectation(contents=wanted)
            ).start_judged)

    def test_a_system_that_could_not_be_looked_at(self) -> None:
        image = raw.RawImage(self.source)
        for wanted, contents, facts in (
                (True, None, ['contents']), (False, None, []),
                (True, _contents.Contents(), [])):
            found = dataclasses.replace(
                self.inspection(image=image, table=self.table(),
                                contents=contents),
                expectation=engine.Expectation(contents=wanted))
            self.assertEqual(facts, [each for each in found.unchecked
                                     if each != 'oslo-inspector'])

    def test_what_is_asked_of_it_by_a_target(self) -> None:
        found = dataclasses.replace(
            self.inspection(table=self.table()),
            expectation=engine.Expectation(disk_size=5))
        self.assertIsNone(found.too_large(5))
        self.assertEqual(
            ('too-large', 'image-type-mismatch'),
            (found.too_large(6).code, found.misplaced(True).code))
        self.assertIsNone(found.misplaced(False))

    def test_the_inspector_of_openstack_may_be_missing(self) -> None:
        for present, unchecked in ((True, ()), (False, ('oslo-inspector',))):
            with mock.patch.object(oslo_inspector, 'PRESENT', present):
                self.assertEqual(unchecked, self.inspection().unchecked)

    def test_the_json_has_the_promised_keys(self) -> None:
        found = self.inspection(
            format='raw', image=raw.RawImage(self.source),
            table=self.table(disks.ESP), findings=(finding('no-esp'),))
        self.assert_json(
            {'verdict': 'refuse', 'format': 'raw', 'declared_format': 'raw',
             'image_type': 'whole-disk', 'virtual_size': MIB,
             'stored_size': MIB, 'partition_table': 'gpt',
             'boot_modes': ['uefi'], 'sector_size': 4096,
             'findings': [finding('no-esp').to_dict()]},
            found)

    def test_the_json_of_what_is_nothing(self) -> None:
        self.assert_json(
            {'verdict': 'accept', 'format': None, 'declared_format': 'raw',
             'image_type': None, 'virtual_size': None, 'stored_size': MIB,
             'partition_table': None, 'boot_modes': [], 'sector_size': None,
             'findings': []},
            self.inspection())
