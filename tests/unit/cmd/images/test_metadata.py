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
import types
import unittest

from ironic_imagedeploy.cmd.images import metadata

GIB = 1 << 30


def inspection(**changes: object) -> types.SimpleNamespace:
    """What is known of an image that UEFI starts."""
    values = {
        'format': 'qcow2', 'virtual_size': 2 * GIB, 'least_disk': 0,
        'image_type': 'whole-disk', 'boot_modes': ('uefi',),
        'efi_programs': frozenset({'x86_64'}), 'contents': None,
        'expectation': types.SimpleNamespace(image_type=None)}
    return types.SimpleNamespace(**{**values, **changes})


def contents(identifier: str = 'debian', version: str = '13',
             *archs: str | None) -> types.SimpleNamespace:
    return types.SimpleNamespace(
        system=types.SimpleNamespace(id=identifier, version=version),
        kernels=tuple(types.SimpleNamespace(arch=arch) for arch in archs))


def of(**changes: object) -> metadata.Metadata:
    return metadata.of_disk(inspection(**changes), 'name')


class DiskTest(unittest.TestCase):

    def test_all_that_is_known(self) -> None:
        self.assertEqual({
            'name': 'name', 'disk_format': 'qcow2',
            'container_format': 'bare', 'min_disk': 2,
            'img_type': 'whole-disk', 'hw_firmware_type': 'uefi',
            'hw_architecture': 'x86_64', 'os_distro': 'debian',
            'os_version': '13'}, of(contents=contents()).to_dict())

    def test_min_disk_is_rounded_up(self) -> None:
        for size, least, expected in (
                (1, 0, 1), (2 * GIB + 1, 0, 3), (GIB, GIB + 512, 2),
                (None, 0, 0)):
            self.assertEqual(expected, of(
                virtual_size=size, least_disk=least).min_disk)

    def test_firmware_only_where_one_alone_starts_it(self) -> None:
        for modes in ((), ('bios', 'uefi')):
            self.assertNotIn('hw_firmware_type',
                             of(boot_modes=modes).properties)
        self.assertNotIn('hw_firmware_type', of(
            image_type='partition').properties)

    def test_kernels_tell_the_processor_first(self) -> None:
        for archs, programs, expected in (
                (('aarch64', None), {'x86_64'}, 'aarch64'),
                ((), {'x86_64', 'i686'}, None),
                (('x86_64', 'aarch64'), (), None),
                ((None,), {'unknown'}, None),
                (('x86_64',), {'x86_64', 'i686'}, 'x86_64')):
            with self.subTest(archs=archs, programs=programs):
                self.assertEqual(expected, of(
                    contents=contents('debian', '1', *archs),
                    efi_programs=frozenset(programs)
                ).properties.get('hw_architecture'))

    def test_names_of_a_system_are_hostile(self) -> None:
        for name in ('\x1b[31m', 'a b', 'x' * 65, '', '-x'):
            self.assertFalse({'os_distro', 'os_version'} & set(
                of(contents=contents(name, name)).properties))
        self.assertEqual('opensuse', of(contents=contents(
            'opensuse-leap', '15.6')).properties['os_distro'])

    def test_what_somebody_states_wins(self) -> None:
        made = metadata.of_disk(inspection(), 'name', properties={
            'hw_firmware_type': 'bios', 'a': 'b'})
        self.assertEqual(('bios', 'b'), (
            made.properties['hw_firmware_type'], made.properties['a']))

    def test_a_type_that_only_the_user_knows(self) -> None:
        self.assertEqual('partition', of(
            image_type=None, expectation=types.SimpleNamespace(
                image_type='partition')).properties['img_type'])


class BesideTest(unittest.TestCase):

    def test_boot_files(self) -> None:
        for role, kind in (('kernel', 'aki'), ('ramdisk', 'ari')):
            self.assertEqual(
                {'name': 'n', 'disk_format': kind, 'container_format': kind,
                 'min_disk': 0, 'visibility': 'public'},
                metadata.of_boot_file(role, 'n', visibility='public'
                                      ).to_dict())

    def test_extended_leaves_the_old_one(self) -> None:
        old = metadata.Metadata(name='n', disk_format='raw')
        self.assertEqual({'a': 'b'}, dict(old.extended(a='b').properties))
        self.assertEqual({}, dict(old.properties))
        self.assertTrue(dataclasses.is_dataclass(old))
