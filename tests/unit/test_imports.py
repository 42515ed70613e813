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
import re
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).parents[2]
CHECK = ROOT / 'tools' / 'imports.sh'

# For a file of the package: what it may import, and what it may not.
RULES = {
    'conf/opts.py': (
        ['oslo_config', 'ironic_imagedeploy.contract'],
        ['ironic_imagedeploy.engine', 'ironic_imagedeploy.conductor',
         'ironic_imagedeploy.agent', 'ironic_imagedeploy.cmd']),
    'contract/order.py': (
        ['ironic_imagedeploy.contract.policy',
         'ironic_imagedeploy.engine.checksum',
         'ironic_imagedeploy.engine.exceptions'],
        ['ironic', 'ironic_python_agent', 'oslo_config',
         'ironic_imagedeploy.conf', 'ironic_imagedeploy.conductor',
         'ironic_imagedeploy.agent', 'ironic_imagedeploy.cmd',
         'ironic_imagedeploy.engine.codecs',
         'ironic_imagedeploy.engine.contents',
         'ironic_imagedeploy.engine.formats',
         'ironic_imagedeploy.engine.inspection',
         'ironic_imagedeploy.engine.sources',
         'ironic_imagedeploy.engine.targets',
         'ironic_imagedeploy.engine.transfer']),
    'conductor/deploy.py': (
        ['ironic.drivers.modules.agent', 'ironic_imagedeploy.engine',
         'ironic_imagedeploy.conf', 'ironic_imagedeploy.contract',
         'ironic_imagedeploy.conductor.images'],
        ['ironic_python_agent', 'ironic_imagedeploy.agent',
         'ironic_imagedeploy.cmd', 'ironic_imagedeploy.engine.sources',
         'ironic_imagedeploy.engine.inspection']),
    'agent/manager.py': (
        ['ironic_python_agent.hardware', 'ironic_imagedeploy.engine',
         'ironic_imagedeploy.conf', 'ironic_imagedeploy.contract',
         'ironic_imagedeploy.agent.boot.install'],
        ['ironic', 'ironic_imagedeploy.conductor', 'ironic_imagedeploy.cmd',
         'ironic_imagedeploy.engine.targets']),
    'cmd/commands.py': (
        ['ironic_imagedeploy.engine', 'ironic_imagedeploy.cmd.progress_bar'],
        ['ironic', 'ironic_python_agent', 'ironic_imagedeploy.conductor',
         'ironic_imagedeploy.agent', 'ironic_imagedeploy.engine.formats']),
    'cmd/status.py': (
        ['ironic_imagedeploy.conductor.status.upgrade_checks'],
        ['ironic_python_agent', 'ironic_imagedeploy.agent']),
    'engine/transfer/transfer.py': (
        ['ironic_imagedeploy.engine.sources',
         'ironic_imagedeploy.engine.formats',
         'ironic_imagedeploy.engine.inspection',
         'ironic_imagedeploy.engine.targets',
         'ironic_imagedeploy.engine.extent', 'oslo_utils'],
        ['ironic', 'ironic_python_agent', 'oslo_config',
         'ironic_imagedeploy.conf', 'ironic_imagedeploy.cmd',
         'ironic_imagedeploy.conductor', 'ironic_imagedeploy.agent',
         'ironic_imagedeploy.contract',
         'ironic_imagedeploy.engine.contents',
         'ironic_imagedeploy.engine.codecs']),
    'engine/transfer/pipeline.py': (
        ['ironic_imagedeploy.engine.sources',
         'ironic_imagedeploy.engine.extent'],
        ['ironic_imagedeploy.engine.formats',
         'ironic_imagedeploy.engine.inspection',
         'ironic_imagedeploy.engine.targets']),
    'engine/transfer/unpacker.py': (
        ['ironic_imagedeploy.engine.formats'],
        ['ironic_imagedeploy.engine.inspection',
         'ironic_imagedeploy.engine.targets']),
    'engine/inspection/inspect.py': (
        ['ironic_imagedeploy.engine.contents',
         'ironic_imagedeploy.engine.formats',
         'ironic_imagedeploy.engine.sources'],
        ['ironic_imagedeploy.engine.codecs',
         'ironic_imagedeploy.engine.targets',
         'ironic_imagedeploy.engine.transfer']),
    'engine/contents/partitions.py': (
        ['ironic_imagedeploy.engine.exceptions'],
        ['ironic_imagedeploy.engine.formats',
         'ironic_imagedeploy.engine.inspection',
         'ironic_imagedeploy.engine.sources',
         'ironic_imagedeploy.engine.targets',
         'ironic_imagedeploy.engine.transfer']),
    'engine/formats/qcow2.py': (
        ['ironic_imagedeploy.engine.sources',
         'ironic_imagedeploy.engine.codecs',
         'ironic_imagedeploy.engine.extent'],
        ['ironic_imagedeploy.engine.contents',
         'ironic_imagedeploy.engine.inspection',
         'ironic_imagedeploy.engine.targets',
         'ironic_imagedeploy.engine.transfer']),
    'engine/codecs/clusters.py': (
        ['ironic_imagedeploy.engine.exceptions'],
        ['ironic_imagedeploy.engine.sources',
         'ironic_imagedeploy.engine.formats']),
    'engine/sources/http.py': (
        ['requests', 'ironic_imagedeploy.engine.exceptions'],
        ['ironic_imagedeploy.engine.codecs',
         'ironic_imagedeploy.engine.formats',
         'ironic_imagedeploy.engine.targets']),
    'engine/targets/block.py': (
        ['ironic_imagedeploy.engine.exceptions'],
        ['ironic_imagedeploy.engine.sources',
         'ironic_imagedeploy.engine.formats',
         'ironic_imagedeploy.engine.transfer']),
    'engine/extent.py': (
        ['ironic_imagedeploy.engine.exceptions'],
        ['ironic_imagedeploy.engine.sources',
         'ironic_imagedeploy.engine.codecs',
         'ironic_imagedeploy.engine.formats',
         'ironic_imagedeploy.engine.contents',
         'ironic_imagedeploy.engine.inspection']),
}


def complaints(tree: pathlib.Path) -> list[str]:
    """What the check says of a tree: one line for each forbidden import."""
    scripts = os.path.dirname(sys.executable)
    run = subprocess.run(
        ['bash', CHECK, '--no-cache'], cwd=tree,
        env={**os.environ, 'PATH': f'{scripts}:{os.environ["PATH"]}'},
        capture_output=True, text=True, check=False)
    lines = [line for line in run.stdout.splitlines() if line]
    if bool(run.returncode) != bool(lines) or run.stderr:
        raise AssertionError(f'status {run.returncode}: {run.stderr}')
    return lines


class ImportsTest(unittest.TestCase):

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.tree = pathlib.Path(folder.name)

    def _write(self, name: str, modules: list[str]) -> None:
        path = self.tree / 'ironic_imagedeploy' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(''.join(f'import {module}\n' for module in modules))

    def test_this_tree_points_one_way(self):
        self.assertEqual([], complaints(ROOT))

    def test_what_points_down_passes(self):
        for name, (allowed, _) in RULES.items():
            self._write(name, allowed)
        self.assertEqual([], complaints(self.tree))

    def test_what_points_back_is_reported(self):
        expected = set()
        for name, (_, forbidden) in RULES.items():
            self._write(name, forbidden)
            expected |= {(name, module) for module in forbidden}
        reported = {
            re.match(r'ironic_imagedeploy/(\S+?):\d+.*TID251 `(\S+)`',
                     line).groups()
            for line in complaints(self.tree)}
        self.assertEqual(expected, reported)

    def test_a_name_from_a_package_is_reported(self):
        path = self.tree / 'ironic_imagedeploy' / 'engine' / 'extent.py'
        path.parent.mkdir(parents=True)
        path.write_text('def late():\n'
                        '    from ironic_imagedeploy import conductor\n'
                        '    return conductor\n')
        self.assertEqual(1, len(complaints(self.tree)))
