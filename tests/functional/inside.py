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

"""Tests that run inside of a small machine with all modules of its kernel.

It takes minutes, so they run when ``IMAGEDEPLOY_FAULTS_MACHINE`` is set:
``tools/faults.sh machine raid`` does so.
"""

import os
import pathlib
import shutil
import sys
import typing

from tests.functional import base
from tests.support.faults import table
from tests.support import machine

#: Set where tests are inside.
INSIDE = 'IMAGEDEPLOY_INSIDE'
_ASKED_FOR = 'IMAGEDEPLOY_FAULTS_MACHINE'
_CHECKOUT = pathlib.Path(__file__).parents[2]
_TABLE = '-- table --'
_ORDERS = '''export PATH={path} PYTHONPATH={checkout} HOME=/root
export TMPDIR=/dev/shm PYTHONDONTWRITEBYTECODE=1 DM_DISABLE_UDEV=1
export {file}=/run/table {inside}={shared}
cd {checkout}
ip link set lo up 2>/dev/null
for module in {modules}
do modprobe $module; done
{prepare}
touch /run/table
{python} -m testtools.run {tests}
status=$?
echo; echo '{table}'
cat /run/table
exit $status
'''


class MachineTestCase(base.FunctionalTestCase):
    """A machine that tests run inside of."""

    def setUp(self) -> None:
        super().setUp()
        if not os.environ.get(_ASKED_FOR):
            self.skipTest(f'takes minutes: set {_ASKED_FOR}=1')
        # Without one of them the tests inside would be fewer, unseen.
        for lacking in (machine.lacking(), *(
                name for name in ('dmsetup', 'mdadm')
                if not shutil.which(name))):
            if lacking:
                self.skipTest(f'no {lacking}')

    def run_inside(self, tests: str, *modules: str, prepare: str = '',
                   shared: pathlib.Path | None = None,
                   **how: typing.Any) -> None:
        """Run tests inside; what they counted is added to the table.

        :param tests: a module.
        :param modules: of the kernel, that they need.
        :param prepare: commands that come before.
        :param shared: a folder whose changes stay.
        :param how: arguments of :func:`.machine.run`.
        """
        status, said = machine.run(_ORDERS.format(
            path=os.environ['PATH'], checkout=_CHECKOUT,
            python=sys.executable, tests=tests, modules=' '.join(modules),
            prepare=prepare,
            file=table.FILE, inside=INSIDE, shared=shared or 1,
            table=_TABLE), self.directory, shared=shared, **how)
        said, _, rows = said.partition(_TABLE)
        table.add_lines(rows)
        self.assertEqual(0, status, said[-8000:])
