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
import resource
import subprocess
import sys
import unittest
from unittest import mock

from ironic_imagedeploy.cmd.images import programs

GIB = 1 << 30


class ProgramsTest(unittest.TestCase):

    def confined(self, code: str, **limits: int
                 ) -> subprocess.CompletedProcess[str]:
        limits = {'memory': 4 * GIB, 'seconds': 60, 'file_size': GIB,
                  **limits}
        return subprocess.run(
            [sys.executable, '-c', code], text=True, capture_output=True,
            preexec_fn=lambda: programs.confine(**limits))

    def test_memory(self) -> None:
        done = self.confined('bytes(1 << 30)', memory=GIB // 2)
        self.assertIn('MemoryError', done.stderr)

    def test_files(self) -> None:
        done = self.confined(
            'import tempfile; f = tempfile.TemporaryFile();'
            'f.write(bytes(1 << 20)); f.flush()', file_size=1 << 16)
        self.assertNotEqual(0, done.returncode)

    def test_a_limit_that_is_lower_already_stays(self) -> None:
        code = ('import resource;'
                'print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])')
        before = resource.getrlimit(resource.RLIMIT_NOFILE)

        def both() -> None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))
            programs.confine(memory=4 * GIB, seconds=60, file_size=GIB)

        done = subprocess.run([sys.executable, '-c', code], text=True,
                              capture_output=True, preexec_fn=both)
        self.assertEqual('32', done.stdout.strip())
        self.assertEqual(before, resource.getrlimit(resource.RLIMIT_NOFILE))

    def test_variables(self) -> None:
        self.assertEqual(
            {'PATH': '/bin', 'LC_ALL': 'C'}, programs.environment(
                {'PATH': '/bin', 'OS_PASSWORD': 'secret', 'LC_ALL': 'de'}))

    def test_last_words(self) -> None:
        self.assertEqual('b \\x1b', programs.last_words(b'a\n b \x1b \n\n'))
        self.assertEqual('no reason', programs.last_words(b'\n'))
        self.assertEqual(500, len(programs.last_words(b'x' * 9999)))

    def test_missing(self) -> None:
        with mock.patch.dict(os.environ, {'PATH': '/nonexistent'}):
            with self.assertRaises(programs.ProgramError) as caught:
                programs.find('qemu-img', 'qemu-utils')
        self.assertIn('apt install qemu-utils', str(caught.exception))
