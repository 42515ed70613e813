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


import contextlib
import importlib.util
import io
import itertools
import pathlib
import shlex
import unittest

from ironic_imagedeploy.cmd.build import recipes
from ironic_imagedeploy.cmd import imagedeploy


def words(**options: object) -> list[str]:
    return recipes.Recipe(**{'system': 'debian', **options}).command('NAME')


class RecipeTest(unittest.TestCase):

    def test_a_whole_disk_for_both_firmwares(self):
        recipe = recipes.Recipe(system='debian', release='trixie')
        command = recipe.command('NAME')
        self.assertEqual('disk-image-create', command[0])
        for element in ('debian-minimal', 'vm', 'block-device-efi',
                        'cloud-init', 'cloud-init-datasources'):
            self.assertIn(element, command)
        variables = recipe.variables()
        self.assertEqual('trixie', variables['DIB_RELEASE'])
        self.assertIn('ConfigDrive', variables['DIB_CLOUD_INIT_DATASOURCES'])
        self.assertEqual('ttyS0,115200',
                         variables['DIB_BOOTLOADER_SERIAL_CONSOLE'])
        self.assertEqual(('bios', 'uefi'), recipe.boot_modes)

    def test_bios_alone(self):
        command = words(firmware='bios')
        self.assertIn('block-device-mbr', command)
        self.assertNotIn('block-device-efi', command)

    def test_a_partition_image(self):
        recipe = recipes.Recipe(system='debian', image_type='partition')
        command = recipe.command('NAME')
        self.assertLess(command.index('baremetal'), command.index('grub2'))
        self.assertNotIn('vm', command)
        self.assertEqual((), recipe.boot_modes)
        variables = recipe.variables()
        self.assertEqual('True', variables['DIB_SKIP_GRUB_PACKAGE_INSTALL'])
        self.assertEqual('ttyS0,115200',
                         variables['DIB_BOOTLOADER_SERIAL_CONSOLE'])

    def test_a_kernel_for_metal(self):
        for arch in recipes.ARCHITECTURES:
            command = words(arch=arch)
            packages = command[command.index('-p') + 1].split(',')
            kernels = [name for name in packages if 'linux-image' in name]
            self.assertEqual([f'linux-image-{arch}'], kernels)

    def test_the_usual_kernel_of_each_system(self):
        for system, expected in (
                ('debian', 'linux-image-amd64'),
                ('ubuntu', 'linux-image-generic'),
                ('rocky', 'kernel,linux-firmware')):
            for kind in ('whole-disk', 'partition'):
                command = words(system=system, image_type=kind)
                self.assertEqual(recipes.SYSTEMS[system].element,
                                 command[command.index('-p') + 2])
                self.assertTrue(command[command.index('-p') + 1].startswith(
                    f'{expected},'), command)

    def test_no_card_by_an_old_name(self):
        for system, name in (('ubuntu', 'APT'), ('rocky', 'YUM')):
            self.assertEqual('0', recipes.Recipe(system=system).variables()[
                f'DIB_{name}_MINIMAL_CREATE_INTERFACES'])

    def test_dhcp_takes_the_place_of_cloud_init(self):
        command = words(network='dhcp')
        self.assertIn('dhcp-all-interfaces', command)
        self.assertNotIn('cloud-init', command)

    def test_consoles_of_servers(self):
        shown = io.StringIO()
        with contextlib.redirect_stdout(shown):
            for arch, console in (('amd64', 'ttyS0'), ('arm64', 'ttyAMA0')):
                self.assertEqual(0, imagedeploy.main([
                    'build', 'debian', '--arch', arch, '-o', 'x', '--print']))
                self.assertIn(f'SERIAL_CONSOLE={console},115200',
                              shown.getvalue())

    def test_a_partition_image_for_any_firmware(self):
        shown = set()
        for firmware in ('uefi', 'bios', 'both'):
            output = io.StringIO()
            with contextlib.redirect_stdout(output):
                self.assertEqual(0, imagedeploy.main([
                    'build', 'debian', '--type', 'partition', '--firmware',
                    firmware, '-o', 'x', '--print']))
            shown.add(output.getvalue())
        self.assertEqual(1, len(shown))

    def test_without_a_serial_console(self):
        variables = recipes.Recipe(system='debian', console='').variables()
        self.assertEqual('False',
                         variables['DIB_BOOTLOADER_USE_SERIAL_CONSOLE'])
        self.assertNotIn('DIB_BOOTLOADER_SERIAL_CONSOLE', variables)

    def test_no_secret_and_no_account(self):
        for kind in ('whole-disk', 'partition'):
            for name in ('devuser', 'dynamic-login', 'local-config'):
                self.assertNotIn(name, words(image_type=kind))

    def test_what_the_user_adds(self):
        command = words(elements=('devuser', 'vm'), packages=('mdadm',))
        self.assertEqual(1, command.count('vm'))
        self.assertEqual('devuser', command[-1])
        self.assertIn('mdadm', command[command.index('-p') + 1].split(','))

    def test_the_same_for_a_shell(self):
        recipe = recipes.Recipe(system='debian', mirror="http://a/it's")
        *exports, command = recipe.shell('a name')
        self.assertEqual(recipe.command('a name'), shlex.split(command))
        self.assertEqual(
            [['export', f'{name}={value}']
             for name, value in recipe.variables().items()],
            [shlex.split(line) for line in exports])


@unittest.skipUnless(importlib.util.find_spec('diskimage_builder'),
                     'diskimage-builder is not installed')
class ElementsTest(unittest.TestCase):

    def test_diskimage_builder_has_them(self):
        found = importlib.util.find_spec('diskimage_builder')
        elements = pathlib.Path(found.origin).parent / 'elements'
        for system, kind, network, firmware in itertools.product(
                recipes.SYSTEMS, ('whole-disk', 'partition'),
                ('cloud-init', 'dhcp'), ('uefi', 'bios', 'both')):
            command = words(system=system, image_type=kind, network=network,
                            firmware=firmware)
            for name in command[command.index('-p') + 2:]:
                with self.subTest(name):
                    self.assertTrue((elements / name).is_dir())

    def test_it_reads_the_variables(self):
        found = importlib.util.find_spec('diskimage_builder')
        folder = pathlib.Path(found.origin).parent
        text = '\n'.join(
            path.read_text(errors='replace')
            for path in (folder / 'elements').rglob('*')
            if path.is_file() and path.suffix in ('', '.bash'))
        for system, kind in itertools.product(
                recipes.SYSTEMS, ('whole-disk', 'partition')):
            for name in recipes.Recipe(
                    system=system, image_type=kind, release='trixie',
                    mirror='http://example.com').variables():
                with self.subTest(name):
                    self.assertIn(f'{name}', text)
