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
import pathlib
import subprocess
import sys
import typing
import unittest

ROOT = pathlib.Path(__file__).parents[3]
RUN = """
import sys
if sys.argv[1]:
    sys.modules[sys.argv[1]] = None
del sys.argv[1]
from ironic_imagedeploy.cmd import status
sys.exit(status.main())
"""


def run(missing: str, *arguments: str, **options: typing.Any
        ) -> 'subprocess.CompletedProcess[str]':
    """Run the command without a module, or with all of them."""
    return subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', RUN, missing, *arguments],
        cwd=ROOT, text=True, check=False, stderr=subprocess.PIPE,
        **{'stdout': subprocess.PIPE, **options})


class WhereIronicIsNotInstalledTest(unittest.TestCase):

    def test_says_what_to_install(self) -> None:
        for missing in ('ironic', 'oslo_upgradecheck'):
            done = run(missing)
            self.assertEqual((2, ''), (done.returncode, done.stdout))
            self.assertIn(
                'Install the wheel of ironic-imagedeploy, with its extra '
                '[conductor]', done.stderr)
            self.assertNotIn('Traceback', done.stderr)

    def test_help(self) -> None:
        for word in ('-h', '--help'):
            done = run('ironic', word)
            self.assertEqual((0, ''), (done.returncode, done.stderr))
            self.assertIn('upgrade check', done.stdout)


class OutputTest(unittest.TestCase):

    def test_its_result_is_that_of_the_checks(self) -> None:
        done = run('', 'upgrade', 'check', '--json')
        # There is no ironic.conf.
        self.assertEqual(2, done.returncode)
        self.assertIn('Configuration files', done.stdout)

    def test_a_reader_that_went_away(self) -> None:
        reader, writer = os.pipe()
        os.close(reader)
        with open(writer, 'wb') as gone:
            done = run('', 'upgrade', 'check', '--json', stdout=gone)
        self.assertEqual((2, ''), (done.returncode, done.stderr))

    def test_a_file_that_is_full(self) -> None:
        with open('/dev/full', 'wb') as full:
            done = run('', '--help', stdout=full)
        self.assertEqual(255, done.returncode)
        self.assertIn('No space left on device', done.stderr)
        self.assertNotIn('Traceback', done.stderr)
