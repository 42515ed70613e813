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

"""Files that are written whole or not at all."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

from ironic_imagedeploy.cmd import console
from ironic_imagedeploy import engine
from tests.unit.cmd import program


class SaveTest(unittest.TestCase):
    """Reports and pictures."""

    def setUp(self) -> None:
        super().setUp()
        self.directory = pathlib.Path(self.enterContext(
            tempfile.TemporaryDirectory()))
        self.path = self.directory / 'report'

    def test_replaces(self) -> None:
        self.path.write_text('old')
        console.save(self.path, 'new')
        self.assertEqual('new', self.path.read_text())
        self.assertEqual([self.path], list(self.directory.iterdir()))

    def test_failure_keeps_the_old_one_and_leaves_nothing(self) -> None:
        self.path.write_text('old')
        with (mock.patch.object(os, 'replace', autospec=True,
                                side_effect=OSError(28, 'No space left')),
              self.assertRaises(engine.exceptions.TargetError) as caught):
            console.save(self.path, 'new')
        self.assertIn('No space left', str(caught.exception))
        self.assertEqual('old', self.path.read_text())
        self.assertEqual([self.path], list(self.directory.iterdir()))

    def test_directory_that_vanished(self) -> None:
        with self.assertRaises(engine.exceptions.TargetError):
            console.save(self.directory / 'gone' / 'report', 'new')


class StandardStreamsTest(unittest.TestCase):
    """What a shell opened for a stream is not replaced."""

    def setUp(self) -> None:
        super().setUp()
        self.path = pathlib.Path(self.enterContext(
            tempfile.TemporaryDirectory()), 'log')

    def run_program(self, program: str) -> subprocess.CompletedProcess[str]:
        with self.path.open('a') as log:
            return subprocess.run(
                [sys.executable, '-c', 'import sys\n'
                 'from ironic_imagedeploy.cmd import console\n' + program],
                stdout=log, stderr=subprocess.PIPE, text=True, check=False)

    def test_output(self) -> None:
        for name in ('-', '/dev/stdout', '/proc/self/fd/1', str(self.path)):
            self.path.write_text('before\n')
            done = self.run_program(
                f'console.save(console.new_file({name!r}), "picture\\n")\n'
                'print("after")')
            self.assertEqual(0, done.returncode, done.stderr)
            self.assertEqual('before\npicture\nafter\n',
                             self.path.read_text())

    def test_errors(self) -> None:
        done = self.run_program('console.new_file("/dev/stderr")')
        self.assertIn('standard error', done.stderr)

    def test_records_of_the_engine(self) -> None:
        for level, kind in (('warning', 'warning'), ('error', 'error'),
                            ('critical', 'error')):
            done = self.run_program(
                'import argparse, logging\n'
                'log = logging.getLogger("ironic_imagedeploy.engine")\n'
                f'console.run(lambda args: log.{level}("a\\x1b[2J\\nb"), '
                'argparse.Namespace(debug=False))')
            self.assertRegex(
                done.stderr,
                rf'\Aironic-imagedeploy: {kind}: a[ -~]*b\n\Z')

    def test_records_of_libraries(self) -> None:
        done = self.run_program(
            'import argparse, logging\n'
            'log = logging.getLogger("oslo_utils.imageutils")\n'
            'console.run(lambda args: log.critical("a"),'
            ' argparse.Namespace(debug=False))')
        self.assertEqual('', done.stderr)

    def test_a_damaged_descriptor(self) -> None:
        image = self.path.with_name('image.vmdk')
        subprocess.run(['qemu-img', 'create', '-q', '-f', 'vmdk', image,
                        '1M'], check=True)
        image.write_bytes(image.read_bytes().replace(b'# Disk', b'# D\xffsk'))
        done = self.run_program(
            'from ironic_imagedeploy.cmd import imagedeploy\n'
            'sys.exit(imagedeploy.main('
            f'["check", {str(image)!r}, "--permit", "vmdk"]))')
        self.assertEqual((4, ''), (done.returncode, done.stderr))
        self.assertEqual(1, self.path.read_text().count('error:'))

    def test_a_pipe(self) -> None:
        done = subprocess.run(
            [sys.executable, '-c',
             'from ironic_imagedeploy.cmd import console\n'
             'console.save(console.new_file("/dev/stdout"), b"bytes")'],
            capture_output=True, check=True)
        self.assertEqual(b'bytes', done.stdout)


class ClosedStreamsTest(program.CommandTestCase):
    """What a shell closed is told of, and is no other file."""

    def run_closed(self, closed: str, *arguments: object
                   ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ['sh', '-c', f'exec "$@" {closed}', 'sh', sys.executable, '-c',
             'import sys\nfrom ironic_imagedeploy.cmd import imagedeploy\n'
             'sys.exit(imagedeploy.main(sys.argv[1:]))',
             *map(str, arguments)],
            capture_output=True, text=True, check=False)

    def test_output(self) -> None:
        for option in ((), ('--json',)):
            done = self.run_closed('>&-', 'check', self.image, *option)
            self.assertEqual(5, done.returncode, done.stderr)
            self.assertIn('standard output', done.stderr)
            self.assertIn('Bad file descriptor', done.stderr)
            self.assertEqual(1, done.stderr.count('\n'), done.stderr)

    def test_output_of_what_is_written(self) -> None:
        done = self.run_closed('<&- >&-', 'write', self.image, self.target)
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertIn('is written', done.stderr)
        self.assertEqual(self.image.read_bytes(), self.target.read_bytes())

    def test_input(self) -> None:
        done = self.run_closed('<&-', 'check', '-')
        self.assertEqual(3, done.returncode, done.stderr)
        self.assertIn('found a closed stream', done.stderr)

    def test_errors(self) -> None:
        done = self.run_closed('2>&-', 'write', self.image, self.target,
                               '--json', '--yes')
        self.assertEqual(0, done.returncode)
        self.assertTrue(json.loads(done.stdout))
        self.assertEqual(self.image.read_bytes(), self.target.read_bytes())
        done = self.run_closed('2>&-', 'check', self.target / 'gone')
        self.assertEqual((3, ''), (done.returncode, done.stdout))

    def test_all(self) -> None:
        done = self.run_closed('<&- >&- 2>&-', 'check', self.image)
        self.assertEqual(5, done.returncode)
