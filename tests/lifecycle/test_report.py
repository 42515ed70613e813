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

"""Pages about deployments, by Ironic's API alone."""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
from typing import Any

from tests.lifecycle import base
from tests.support.simulation import agent

_PROGRAM = pathlib.Path(sys.executable).parent / 'ironic-imagedeploy'


class ReportTest(base.LifeCycleTestCase):
    """``ironic-imagedeploy report``."""

    def setUp(self) -> None:
        super().setUp()
        self.folder = pathlib.Path(self.enterContext(
            tempfile.TemporaryDirectory()))

    def enrol(self, name: str, interface: str = 'imagedeploy',
              **behaviour: Any) -> base.Subject:
        subject = base.Subject.enrol(
            interface, agent.Behaviour(**behaviour), name=name,
            resource_class='report')
        self.addCleanup(base.remove, subject)
        return subject

    def report(self, *arguments: str) -> tuple[str, str]:
        """The page, and what was said."""
        path = self.folder / 'page.html'
        done = self.run_program(*arguments, '--html', str(path))
        self.assertEqual(0, done.returncode, done.stderr)
        page = path.read_text()
        self.assertNotIn('<script', page)
        self.assertEqual([], re.findall(r'(?:src|href)="(?!#)', page))
        return page, done.stdout

    def run_program(self, *arguments: str
                    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [_PROGRAM, 'report', *arguments], capture_output=True, text=True,
            check=False, env={
                **os.environ, 'OS_AUTH_TYPE': 'none',
                'OS_ENDPOINT': base.cloud().site.url})

    def test_node(self) -> None:
        subject = self.enrol('node-of-report')
        subject.deploy()
        kept = subject.node()['driver_internal_info']['imagedeploy']
        page, said = self.report('node-of-report')
        self.assertIn('1 deployment in ', said)
        for words in ('node-of-report', kept['report']['source'], 'sha512',
                      'ramdisk', 'network'):
            self.assertIn(words, page)

    def test_node_that_failed(self) -> None:
        subject = self.enrol('node-without-agent', ours=False)
        subject.order()
        subject.settle('deploy failed')
        page, _ = self.report('node-without-agent')
        self.assertIn('does not carry the agent side of imagedeploy', page)

    def test_node_of_another_interface(self) -> None:
        self.enrol('node-of-direct', 'direct').deploy()
        done = self.run_program('node-of-direct', '--html', '-')
        self.assertNotEqual(0, done.returncode)
        self.assertIn('expected a deployment with imagedeploy', done.stderr)

    def test_all_nodes(self) -> None:
        for number in range(3):
            self.enrol(f'node-usual-{number}').deploy()
        self.enrol('node-slow', write_seconds=30).deploy()
        page, said = self.report('--fleet')
        self.assertRegex(said, 'node-slow.*its network')
        self.assertNotIn('node-usual', said)
        for name in ('node-usual-0', 'node-usual-1', 'node-usual-2',
                     'node-slow'):
            self.assertIn(name, page)
