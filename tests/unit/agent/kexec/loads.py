#!/usr/bin/env python3
#
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

"""A machine that a written system is loaded on."""

import pathlib
import tempfile
from unittest import mock

from ironic_imagedeploy.agent.kexec import loading
from ironic_imagedeploy.agent.kexec import machine
from tests.unit.agent.kexec import machines
from tests.unit.agent.kexec import written
from tests.unit.engine import system_disks

#: In the place of kexec, which would do it to the machine of the tests.
PROGRAM = """#!/bin/sh
echo "$@" >>$PLACE/calls
for argument; do
    case $argument in
        */kernel) cp $argument $PLACE ;;
        --initrd=*) cp ${argument#--initrd=} $PLACE ;;
        --load) echo 1 >$PLACE/sys/kernel/kexec_loaded ;;
        --unload) echo 0 >$PLACE/sys/kernel/kexec_loaded ;;
    esac
done
echo 'said by kexec' >&2
exit $STATUS
"""


class LoadingTestCase(machines.MachineTestCase):
    """A machine with a disk, and something in the place of kexec."""

    def setUp(self):
        self.disk = self.make_disk()
        super().setUp()
        self.enterContext(mock.patch.dict('os.environ', {
            'PATH': f'{self.root}/bin:/usr/bin:/bin', 'STATUS': '0',
            'PLACE': str(self.root)}))
        self.put('bin/kexec', PROGRAM.encode())
        self.put('proc/meminfo', b'MemAvailable: 65536 kB\n')
        self.enterContext(mock.patch.object(loading, '_GRACE', 0.0))

    def make_disk(self):
        folder = pathlib.Path(self.enterContext(
            tempfile.TemporaryDirectory()))
        return str(system_disks.disk(folder, written.parts('debian')))

    @property
    def calls(self):
        return (self.root / 'calls').read_text().splitlines()

    def assert_fails(self, reason, function, *arguments):
        with self.assertRaises(machine.NotPossible) as caught:
            function(*arguments)
        self.assertIn(reason, caught.exception.details)
