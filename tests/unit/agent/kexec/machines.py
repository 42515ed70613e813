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

"""A machine that could start another kernel by itself."""

import pathlib
import tempfile
import unittest
from unittest import mock

from ironic_imagedeploy.agent.kexec import machine


class MachineTestCase(unittest.TestCase):
    """A tree with what the kernel tells of itself, and a program kexec."""

    def setUp(self):
        super().setUp()
        self.root = pathlib.Path(self.enterContext(
            tempfile.TemporaryDirectory()))
        self.enterContext(mock.patch.object(machine, '_ROOT', self.root))
        self.enterContext(mock.patch.dict(
            'os.environ', PATH=str(self.root / 'bin')))
        self.put('bin/kexec', b'#!/bin/sh\n')
        (self.root / 'bin/kexec').chmod(0o755)
        self.put('sys/kernel/kexec_loaded', b'0\n')
        self.put('proc/sys/kernel/kexec_load_disabled', b'0\n')
        self.put('proc/meminfo', b'MemTotal: 9 kB\nMemAvailable:   2048 kB\n')

    def put(self, path, content):
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
