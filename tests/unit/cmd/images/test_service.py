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
from unittest import mock

from tests.unit.cmd import program

UUID = '00000000-0000-0000-0000-000000000000'


class NoCloudTest(program.CommandTestCase):
    """Commands for Glance, where no cloud is configured."""

    def setUp(self) -> None:
        super().setUp()
        others = {name: value for name, value in os.environ.items()
                  if not name.startswith('OS_')}
        self.enterContext(mock.patch.dict(os.environ, {
            **others, 'OS_CLIENT_CONFIG_FILE': str(self.directory / 'none')},
            clear=True))

    def assert_no_cloud(self, *arguments: object) -> None:
        self.assertEqual(3, self.run_main(*arguments))
        self.assertEqual('', self.out)
        self.assertIn('found that no cloud is configured', self.err)
        self.assertEqual(1, self.err.count('\n'))

    def test_each_command_ends_alike(self) -> None:
        for arguments in (('check', f'glance:{UUID}'),
                          ('mend', '--image', UUID),
                          ('upload', self.image)):
            with self.subTest(arguments[0]):
                self.assert_no_cloud(*arguments)

    def test_it_is_found_out_before_the_image_is_read(self) -> None:
        self.image.write_bytes(b'nothing')
        self.assert_no_cloud('upload', self.image)

    def test_a_file_that_is_not_there_comes_first(self) -> None:
        missing = self.directory / 'missing'
        for arguments in ((missing,), (self.image, '--kernel', missing,
                                       '--ramdisk', missing)):
            with self.subTest(arguments):
                self.assertEqual(3, self.run_main('upload', *arguments))
                self.assertIn(f'{missing}: ', self.err)
                self.assertNotIn('cloud', self.err)

    def test_commands_are_printed_without_one(self) -> None:
        self.assertEqual(0, self.run_main('upload', self.image, '--print'))
        self.assertIn('openstack image create', self.out)


class MendTest(program.CommandTestCase):

    def test_options_for_another_repair_are_refused(self) -> None:
        for options in (('--yes',), ('--permit', 'vmdk'),
                        ('--os-cloud', 'mine')):
            with self.subTest(options):
                self.assertEqual(2, self.run_main(
                    'mend', self.image, *options))
                self.assertIn(f'{options[0]} is for --image', self.err)

    def test_a_cloud_of_the_environment_is_not_one_of_them(self) -> None:
        with mock.patch.dict(os.environ, OS_CLOUD='mine'):
            self.assertEqual(0, self.run_main('mend', self.image))
