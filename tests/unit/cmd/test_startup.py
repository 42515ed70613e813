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

"""What the start of a command leaves for later, and for never."""

import signal
import subprocess
import sys
import unittest

CHECK = """
import gc
import sys
from ironic_imagedeploy.cmd import imagedeploy
sys.argv = ['ironic-imagedeploy', 'check', '/dev/null']
{before}
status = imagedeploy.main()
module = sys.modules['oslo_utils.strutils']
print(status, gc.isenabled(), gc.get_freeze_count() > 1000)
print(type(module).__name__)
print(module.bool_from_string('yes'), type(module).__name__)
"""


def run(before: str = '') -> list[str]:
    """Lines of a program that checks an image, and looks what it loaded."""
    return subprocess.run(
        [sys.executable, '-c', CHECK.format(before=before)],
        capture_output=True, text=True, check=True).stdout.splitlines()[-3:]


class StartTest(unittest.TestCase):

    def test_what_is_not_used_is_loaded_when_it_is(self) -> None:
        _, before, after = run()
        self.assertEqual('_LazyModule', before)
        self.assertEqual('True module', after)

    def test_what_is_loaded_stays(self) -> None:
        _, before, _ = run('import oslo_utils.strutils')
        self.assertEqual('module', before)

    def test_interrupted(self) -> None:
        done = subprocess.run(
            # Whoever starts the tests in the background may have it ignored.
            [sys.executable, '-c', 'import signal\n'
             'signal.signal(signal.SIGINT, signal.default_int_handler)\n'
             'from ironic_imagedeploy.cmd import startup\n'
             'with startup.quick():\n'
             '    signal.raise_signal(signal.SIGINT)'],
            capture_output=True, text=True, check=False)
        self.assertEqual((-signal.SIGINT, ''),
                         (done.returncode, done.stderr))

    def test_modules_are_no_garbage_and_the_rest_may_be(self) -> None:
        self.assertEqual('3 True True', run()[0])
