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
import os
import shlex
from unittest import mock

from tests.unit.cmd import program


class BuildTest(program.CommandTestCase):
    """``build``, by a diskimage-builder of the test's own."""

    def setUp(self) -> None:
        super().setUp()
        self.enterContext(contextlib.chdir(self.directory))
        self.folder = self.directory / 'bin'
        self.folder.mkdir()
        self.enterContext(mock.patch.dict(os.environ, {
            'PATH': f'{self.folder}:{os.environ["PATH"]}',
            'DIB_RELEASE': 'mine'}))
        self.required = self.enterContext(mock.patch(
            'ironic_imagedeploy.cmd.build.requirements.require',
            autospec=True))

    def builder(self, script: str) -> None:
        path = self.folder / 'disk-image-create'
        path.write_text(f'#!/bin/bash\n{script}\n')
        path.chmod(0o755)

    def build(self, *arguments: object) -> int:
        return self.run_main('build', 'debian', '-o', 'made', *arguments)

    def test_print_does_nothing(self) -> None:
        self.builder('touch ran')
        self.assertEqual(0, self.build('--print', '--release', 'trixie'))
        self.required.assert_not_called()
        self.assertFalse((self.directory / 'ran').exists())
        self.assertIn('export DIB_RELEASE=trixie', self.out)
        self.assertIn('disk-image-create -a amd64 -t qcow2 -o made',
                      self.out)
        self.assertEqual('ironic-imagedeploy check made.qcow2',
                         self.out.splitlines()[-1])

    def test_what_is_printed_is_for_a_shell(self) -> None:
        self.assertEqual(0, self.build('--print', '-o', 'a b'))
        self.assertEqual(
            ['ironic-imagedeploy', 'check', 'a b.qcow2'],
            shlex.split(self.out.splitlines()[-1]))

    def test_consoles(self) -> None:
        for name in ('ttyS1', 'ttyS1,115200', 'ttyAMA0,115200n8', 'hvc0',
                     'ttyUSB0,9600n8r', 'none'):
            with self.subTest(name):
                self.assertEqual(0, self.build('--print', '--console', name))
        for name in ('ttyS0; rm -rf /', 'ttyS0,', 'ttyS0,fast', '/dev/ttyS0',
                     'ttyS0 ttyS1', 'ttyS0\n', '-x'):
            with self.subTest(name):
                self.assertEqual(2, self.build('--print',
                                               f'--console={name}'))
                self.assertIn('is not a console', self.err)

    def test_its_steps_and_its_end_are_told(self) -> None:
        self.builder('echo "dib-run-parts Running /tmp/x/root.d/08-y"\n'
                     'echo "dib-run-parts Running /tmp/in_target.d/'
                     'install.d/1"\nenv >environment\n'
                     f'qemu-img convert -O qcow2 {self.image} made.qcow2')
        status = self.build('--type', 'partition', '--json',
                            '--release', 'trixie')
        # It is a whole disk.
        self.assertEqual(4, status)
        self.assertIn('building: root file system\n', self.err)
        self.assertIn('building: packages\n', self.err)
        self.assertIn('DIB_RELEASE=mine', (
            self.directory / 'environment').read_text().splitlines())
        self.assertFalse((self.directory / 'made.log').exists())

    def test_a_failure_says_where_to_look(self) -> None:
        self.builder('echo some words; echo "2026-11-26 21:27:36.086 | E: no '
                     'such package"; echo "Unmount it" >&2; exit 7')
        self.assertEqual(5, self.build())
        self.assertIn('status 7: E: no such package', self.err)
        self.assertIn('made.log', self.err)
        self.assertIn('some words',
                      (self.directory / 'made.log').read_text())

    def test_not_what_was_asked_for(self) -> None:
        self.builder(f'qemu-img convert -O qcow2 {self.image} made.qcow2')
        self.assertEqual(6, self.build())
        self.assertIn('uefi', self.err)

    def test_usage(self) -> None:
        (self.directory / 'there.qcow2').touch()
        for arguments in (('--element', 'a;b'), ('--package=-x',),
                          ('--firmware', 'bios', '--arch', 'arm64'),
                          ('--firmware', 'both', '--arch', 'arm64'),
                          ('--print', '--json'),
                          ('-o', 'there')):
            with self.subTest(arguments):
                self.assertEqual(2, self.build(*arguments))
