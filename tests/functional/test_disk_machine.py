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

"""Disks of the kernel that fail, in a machine that has its modules.

It takes minutes, so it runs when ``IMAGEDEPLOY_FAULTS_MACHINE`` is set:
``tools/faults.sh machine`` does so.
"""

import os
import pathlib
import shutil
import sys

from tests.functional import base
from tests.functional import machine_disks
from tests.support.faults import table
from tests.support import machine

_CHECKOUT = pathlib.Path(__file__).parents[2]
_TABLE = '-- table --'
_ORDERS = f'''export PATH={{path}} PYTHONPATH={{checkout}} HOME=/root
export TMPDIR=/dev/shm PYTHONDONTWRITEBYTECODE=1 DM_DISABLE_UDEV=1
export {table.FILE}=/run/table {machine_disks.INSIDE}=1
cd {{checkout}}
ip link set lo up 2>/dev/null
for module in loop dm-mod dm-flakey dm-delay raid1 sd_mod nvme ext4
do modprobe $module; done
touch /run/table
{{python}} -m testtools.run {machine_disks.__name__}
status=$?
echo; echo '{_TABLE}'
cat /run/table
exit $status
'''


class DiskMachineTest(base.FunctionalTestCase):

    def test_disks_of_the_kernel(self) -> None:
        if not os.environ.get('IMAGEDEPLOY_FAULTS_MACHINE'):
            self.skipTest('takes minutes: set IMAGEDEPLOY_FAULTS_MACHINE=1')
        # Without one of them the tests inside would be fewer, unseen.
        for lacking in (machine.lacking(), *(
                name for name in ('dmsetup', 'mdadm')
                if not shutil.which(name))):
            if lacking:
                self.skipTest(f'no {lacking}')
        status, said = machine.run(_ORDERS.format(
            path=os.environ['PATH'], checkout=_CHECKOUT,
            python=sys.executable), self.directory)
        said, _, rows = said.partition(_TABLE)
        table.add_lines(rows)
        self.assertEqual(0, status, said[-8000:])
