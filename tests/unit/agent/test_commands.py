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
import tempfile
import time
import unittest
from unittest import mock

from ironic_python_agent import errors

from ironic_imagedeploy.agent import commands


class RunTest(unittest.TestCase):

    def assert_failed(self, words: str, *command: str) -> None:
        with self.assertRaises(errors.DeploymentError) as caught:
            commands.run(*command)
        self.assertIn(words, str(caught.exception))

    def test_what_it_printed(self) -> None:
        self.assertEqual('said $HOME\n', commands.run('echo', 'said $HOME'))

    def test_it_speaks_english(self) -> None:
        with mock.patch.dict('os.environ', LC_ALL='de_DE.UTF-8'):
            self.assertEqual('C\n', commands.run('sh', '-c', 'echo $LC_ALL'))

    def test_no_such_program(self) -> None:
        self.assert_failed('has no program no-such-program',
                           'no-such-program', '-x')

    def test_a_program_that_fails(self) -> None:
        self.assert_failed('sh -c echo why >&2; exit 3 ended with status 3: '
                           'why', 'sh', '-c', 'echo why >&2; exit 3')

    def test_a_program_that_does_not_end(self) -> None:
        began = time.monotonic()
        with mock.patch.object(commands, '_LONGEST', 0.2):
            self.assert_failed('sleep 600 did not end within 0.2 seconds',
                               'sleep', '600')
        self.assertLess(time.monotonic() - began, 30)

    def test_nothing_of_it_goes_on(self) -> None:
        with tempfile.NamedTemporaryFile('r') as file:
            with mock.patch.object(commands, '_LONGEST', 1):
                self.assert_failed(
                    'did not end', 'sh', '-c',
                    f'echo $$ >{file.name}; exec sleep 600')
            number = int(file.read())
        for _ in range(100):
            try:
                os.kill(number, 0)
            except ProcessLookupError:
                return
            # Until somebody has waited for it, its number is there.
            with contextlib.suppress(ChildProcessError):
                os.waitpid(number, os.WNOHANG)
            time.sleep(0.1)
        self.fail('the program goes on')
