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

"""What is found about a table and programs that are known."""

import typing
import unittest

from ironic_imagedeploy import engine
from ironic_imagedeploy.engine.contents import efi_programs
from ironic_imagedeploy.engine.contents import partitions
from ironic_imagedeploy.engine.contents.system import contents as _contents
from ironic_imagedeploy.engine.contents.system import installed_kernels
from ironic_imagedeploy.engine.contents.system import unified_kernels
from ironic_imagedeploy.engine import findings
from ironic_imagedeploy.engine.inspection.checks import node

Expectation = engine.Expectation
MIB = 1 << 20


def table(*, esp: bool = True, **values: typing.Any
          ) -> partitions.PartitionTable:
    return partitions.PartitionTable(**{
        'kind': 'gpt', 'sector_size': 512, 'boot_code': True,
        'partitions': (partitions.Partition(
            number=1, start=MIB, length=MIB,
            type=partitions.ESP if esp else partitions.BIOS_BOOT),),
        **values})


def programs(*archs: str, **values: typing.Any) -> efi_programs.Programs:
    return efi_programs.Programs(frozenset(archs), **values)


class RulesTestCase(unittest.TestCase):

    def said(self, found: typing.Iterable[findings.Finding]
             ) -> list[tuple[str, str]]:
        return [(each.code, each.case) for each in found]

    def assert_said(self, found: typing.Iterable[findings.Finding],
                    code: str, expected: str, words: str,
                    data: dict[str, object], case: str = '') -> None:
        finding, = found
        self.assertEqual((code, case, expected, words, data), (
            finding.code, finding.case, finding.expected, finding.found,
            dict(finding.data)))


class PlaceTest(RulesTestCase):

    def test_too_large(self) -> None:
        for limit, size in ((None, 1 << 60), (100, 100), (100, 99)):
            self.assertIsNone(node.too_large(
                Expectation(disk_size=limit), size))
        for kind, place in ((None, 'disk'), ('whole-disk', 'disk'),
                            ('partition', 'root partition')):
            for case in ('', 'table'):
                self.assert_said(
                    [node.too_large(Expectation(disk_size=100,
                                                image_type=kind), 101, case)],
                    'too-large', '100 bytes at most', '101 bytes',
                    {'limit': 100, 'size': 101, 'place': place}, case)

    def test_the_other_kind_of_target(self) -> None:
        for kind, is_partition in ((None, True), (None, False),
                                   ('partition', None), ('whole-disk', None),
                                   ('partition', True),
                                   ('whole-disk', False)):
            self.assertIsNone(node.misplaced(kind, is_partition))
        for kind, is_partition, wanted, case in (
                ('whole-disk', True, 'partition', 'partition'),
                ('partition', False, 'whole-disk', 'disk')):
            self.assert_said(
                [node.misplaced(kind, is_partition)], 'image-type-mismatch',
                f'a {wanted} image', f'a {kind} image', {'image_type': kind},
                case)


class TableTest(RulesTestCase):

    def check(self, found: partitions.PartitionTable,
              known: efi_programs.Programs | None = None,
              **expectation: typing.Any) -> list[findings.Finding]:
        return list(node.check_table(Expectation(**expectation), found,
                                     known))

    def test_sectors(self) -> None:
        for ours, theirs in ((512, None), (512, 512), (None, 4096),
                             (None, None)):
            self.assertEqual([], self.check(table(sector_size=ours),
                                            sector_size=theirs))
        for kind, words in (('gpt', 'a GPT'), ('mbr', 'an MBR')):
            self.assert_said(
                self.check(table(kind=kind), sector_size=4096),
                'sector-size', 'sectors of 4096 bytes',
                f'{words} for sectors of 512 bytes',
                {'disk_sector_size': 4096, 'image_sector_size': 512})

    def test_firmware(self) -> None:
        none, efi = table(boot_code=False, esp=False), table(boot_code=False)
        bios = table(esp=False)
        for found, known, mode, codes in (
                (bios, None, 'bios', []), (efi, None, 'bios',
                                           ['no-bios-boot']),
                (bios, None, 'uefi', ['no-esp']), (efi, None, 'uefi', []),
                (efi, programs(), 'uefi', ['no-esp']),
                (efi, programs('aarch64'), 'uefi', []),
                (none, None, None, ['not-bootable']),
                (efi, programs(), None, ['not-bootable']),
                (efi, None, None, []), (bios, None, None, []),
                (none, None, 'bios', ['no-bios-boot'])):
            with self.subTest(mode=mode, codes=codes):
                self.assertEqual(
                    [(code, '') for code in codes],
                    self.said(self.check(found, known, boot_mode=mode)))

    def test_what_there_is_in_place_of_an_esp(self) -> None:
        for found, known, words, has_esp in (
                (table(esp=False), None, 'none', False),
                (table(), programs(), 'one with no program for EFI', True),
                (table(), programs(others=('a', 'b')), 'one with a, b',
                 True)):
            self.assert_said(
                self.check(found, known, boot_mode='uefi', arch='arm64'),
                'no-esp', 'an EFI system partition with EFI/BOOT/BOOTAA64.EFI',
                words, {'esp': has_esp})

    def test_boot_modes(self) -> None:
        for found, known, modes in (
                (None, None, ()), (None, {'x86_64'}, ()),
                (table(), None, ('bios', 'uefi')), (table(), set(),
                                                    ('bios',)),
                (table(boot_code=False), {'unknown'}, ('uefi',)),
                (table(esp=False), {'x86_64'}, ('bios',))):
            self.assertEqual(modes, node.boot_modes(found, known))


class ArchTest(RulesTestCase):

    def check(self, arch: str | None, found: partitions.PartitionTable,
              known: efi_programs.Programs | None = None,
              mode: str | None = None) -> list[findings.Finding]:
        return list(node.check_arch(
            Expectation(arch=arch, boot_mode=mode), found, known))

    def test_it_starts(self) -> None:
        efi, both = table(boot_code=False), table()
        for arch, found, known, mode in (
                (None, efi, programs('aarch64'), None),
                ('amd64', efi, programs('x86_64'), None),
                ('x86_64', efi, programs('x86_64', 'aarch64'), 'uefi'),
                ('x86_64', both, programs('aarch64'), None),
                ('i686', both, programs('x86_64'), 'bios'),
                ('aarch64', both, programs('aarch64'), None),
                # It does not start at all, which is said otherwise.
                ('aarch64', efi, programs('x86_64'), 'bios'),
                ('x86_64', table(esp=False, boot_code=False), None, None)):
            with self.subTest(arch=arch, mode=mode):
                self.assertEqual([], self.check(arch, found, known, mode))

    def test_it_does_not(self) -> None:
        self.assert_said(
            self.check('amd64', table(boot_code=False),
                       programs('unknown', 'aarch64', 'i686')),
            'arch-mismatch', 'x86_64', 'aarch64 and i686 and unknown',
            {'arch': 'aarch64'})
        self.assert_said(
            self.check('x86_64', table(), programs('unknown'), 'uefi'),
            'arch-mismatch', 'x86_64', 'unknown', {'arch': None})
        # Programs for UEFI say nothing of what BIOS starts.
        self.assert_said(
            self.check('aarch64', table(), programs('x86_64'), 'bios'),
            'arch-unknown', 'aarch64', 'boot programs that do not tell', {})

    def test_nothing_tells(self) -> None:
        for found in (table(), table(esp=False), table(boot_code=False)):
            self.assertEqual([('arch-unknown', '')], self.said(
                self.check('aarch64', found)))


class SecureBootTest(RulesTestCase):

    def loader(self, known: efi_programs.Programs | None,
               **expectation: typing.Any) -> list[findings.Finding]:
        return list(node.check_secure_boot(Expectation(**{
            'secure_boot': True, 'boot_mode': 'uefi', **expectation}), known))

    def test_programs(self) -> None:
        unsigned = programs('x86_64', 'aarch64',
                            unsigned=frozenset({'x86_64'}))
        bad = [('unsigned-loader', '')]
        for expectation, codes in (
                ({'arch': 'amd64'}, bad), ({'arch': 'aarch64'}, []),
                ({'arch': 'riscv64'}, []), ({}, []),
                ({'arch': 'amd64', 'boot_mode': None}, bad),
                ({'arch': 'amd64', 'boot_mode': 'bios'}, []),
                ({'arch': 'amd64', 'secure_boot': False}, [])):
            with self.subTest(expectation):
                self.assertEqual(codes, self.said(self.loader(
                    unsigned, **expectation)))
        self.assertEqual([], self.loader(None))
        self.assertEqual([], self.loader(programs()))
        self.assert_said(
            self.loader(programs('aarch64', unsigned=frozenset({'aarch64'})),
                        arch='arm64'),
            'unsigned-loader', 'a signed program, as EFI/BOOT/BOOTAA64.EFI',
            'programs without a signature', {})

    def kernels(self, signed: typing.Sequence[bool | None] | None = None,
                addons: typing.Sequence[tuple[str, ...]] = (),
                **expectation: typing.Any) -> list[findings.Finding]:
        return list(node.check_signatures(
            Expectation(**{'secure_boot': True, 'boot_mode': 'uefi',
                           **expectation}),
            _contents.Contents(
                kernels=None if signed is None else tuple(
                    installed_kernels.InstalledKernel(
                        path='boot/a', version='6.1', is_signed=each)
                    for each in signed),
                unified_kernels=tuple(unified_kernels.UnifiedKernel(
                    path='a', unsigned_addons=each) for each in addons))))

    def test_the_newest_kernel(self) -> None:
        for signed, is_bad in ((None, False), ((), False), ((True,), False),
                               ((None,), False), ((False,), True),
                               ((False, True), True), ((True, False),
                                                       False)):
            self.assertEqual([('unsigned-kernel', '')] if is_bad else [],
                             self.said(self.kernels(signed)))
        self.assert_said(
            self.kernels((False,), boot_mode=None), 'unsigned-kernel',
            'a kernel with a signature', '/boot/a without one',
            {'path': '/boot/a', 'version': '6.1'})

    def test_addons(self) -> None:
        self.assertEqual([], self.kernels(addons=[(), ()]))
        self.assert_said(
            self.kernels(addons=[(), ('a.efi', 'b.efi'), ('c.efi',)]),
            'unsigned-kernel', 'addons with a signature',
            '/a.efi without one', {'path': '/a.efi'}, 'addon')

    def test_where_no_signature_counts(self) -> None:
        for expectation in ({'secure_boot': False}, {'boot_mode': 'bios'}):
            self.assertEqual([], self.kernels((False,), [('a',)],
                                              **expectation))
