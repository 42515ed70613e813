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

import pathlib
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).parents[3]
RUN = """
import sys
sys.modules[sys.argv[1]] = None
from ironic_imagedeploy.cmd import status
sys.exit(status.main())
"""


class WhereIronicIsNotInstalledTest(unittest.TestCase):

    def test_says_what_to_install(self):
        for missing in ('ironic', 'oslo_upgradecheck'):
            run = subprocess.run(
                [sys.executable, '-c', RUN, missing], cwd=ROOT,
                capture_output=True, text=True, check=False)
            self.assertEqual((2, ''), (run.returncode, run.stdout))
            self.assertIn("Install 'ironic-imagedeploy[conductor]'",
                          run.stderr)
            self.assertNotIn('Traceback', run.stderr)
