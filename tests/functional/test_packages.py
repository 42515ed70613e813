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

"""The packages that are released, installed where nothing else is."""

import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tarfile
import tempfile
import unittest
import zipfile

from tests.support import images

_ROOT = pathlib.Path(__file__).parents[2]
_MIB = 1 << 20
#: Packages of others that the command line may bring.
_MOST = 12
_NAME = 'ironic_imagedeploy'
_NEW, _OLD = '1.0.0', '0.9.0'
_SOURCE = f'ironic-imagedeploy-{_NEW}.tar.gz'

_ENTRY_POINTS = """
from importlib import metadata
points = [point for package in metadata.distributions()
          for point in package.entry_points
          if point.value.startswith('ironic_imagedeploy')]
for point in points:
    if point.group in {groups}:
        point.load()
print(len(points))
"""
#: Without what leads to the environment or the checkout of the test.
_VARIABLES = {
    **{name: value for name, value in os.environ.items()
       if name not in ('PYTHONPATH', 'VENV', 'VIRTUAL_ENV')},
    'PIP_DISABLE_PIP_VERSION_CHECK': '1', 'PYTHONWARNINGS': 'ignore'}


class Environment:
    """A Python environment, empty at first."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        subprocess.run([sys.executable, '-m', 'venv', folder], check=True)

    def run(self, program: str, *arguments: object) -> str:
        """Run one of its programs; the output.

        :raises AssertionError: when it fails, with what it said.
        """
        run = subprocess.run(
            [self.folder / 'bin' / program, *map(str, arguments)],
            cwd=self.folder, env=_VARIABLES, capture_output=True, text=True,
            check=False)
        if run.returncode:
            raise AssertionError(f'{program} {arguments}: {run.returncode}\n'
                                 f'{run.stdout}{run.stderr}')
        return run.stdout

    def install(self, wheel: pathlib.Path, *extras: str) -> None:
        """Install a wheel, with extras, in place of any other version."""
        words = f'[{",".join(extras)}]' if extras else ''
        self.run('pip', 'install', '-q', '--upgrade', f'{wheel}{words}')

    def entry_points(self, *groups: str) -> int:
        """Count all entry points of ours, and load those of the groups."""
        return int(self.run('python', '-c', _ENTRY_POINTS.format(
            groups=groups)))


class PackagesTest(unittest.TestCase):
    """Two releases of the commit that is checked out."""

    folder: pathlib.Path

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        if not os.environ.get('IMAGEDEPLOY_PACKAGES'):
            raise unittest.SkipTest(
                'takes minutes: set IMAGEDEPLOY_PACKAGES=1')
        cls.folder = pathlib.Path(cls.enterClassContext(
            tempfile.TemporaryDirectory()))
        for version in (_NEW, _OLD):
            subprocess.run(
                [_ROOT / 'tools/release.sh', '--output',
                 cls.folder / version],
                env={**_VARIABLES, 'PBR_VERSION': version}, check=True,
                capture_output=True)

    def wheel(self, version: str = _NEW) -> pathlib.Path:
        """The wheel of a release."""
        return self.folder / version / f'{_NAME}-{version}-py3-none-any.whl'

    def environment(self) -> Environment:
        """An environment for this test alone."""
        return Environment(pathlib.Path(self.enterContext(
            tempfile.TemporaryDirectory(dir=self.folder))))

    def test_digests(self) -> None:
        folder = self.folder / _NEW
        listed = dict(reversed(line.split()) for line in (
            folder / 'SHA256SUMS').read_text().splitlines())
        self.assertEqual({_SOURCE, self.wheel().name}, set(listed))
        for name, value in listed.items():
            self.assertEqual(value, hashlib.sha256(
                (folder / name).read_bytes()).hexdigest())

    def test_the_wheel_has_the_package_and_nothing_beside(self) -> None:
        with zipfile.ZipFile(self.wheel()) as archive:
            names = archive.namelist()
            metadata = archive.read(
                f'{_NAME}-{_NEW}.dist-info/METADATA').decode()
        self.assertEqual({_NAME, f'{_NAME}-{_NEW}.data',
                          f'{_NAME}-{_NEW}.dist-info'},
                         {name.partition('/')[0] for name in names})
        for name in (f'{_NAME}/cmd/report.css',
                     f'{_NAME}-{_NEW}.data/data/share/man/man1/'
                     'ironic-imagedeploy.1'):
            self.assertIn(name, names)
        for extra in ('agent', 'conductor', 'fast', 'glance', 'inspector'):
            self.assertIn(f'Provides-Extra: {extra}\n', metadata)

    def test_the_source_has_all_files_of_the_commit(self) -> None:
        listed = subprocess.run(
            ['git', 'ls-tree', '-r', '--name-only', 'HEAD'], cwd=_ROOT,
            check=True, capture_output=True, text=True).stdout.splitlines()
        with tarfile.open(self.folder / _NEW / _SOURCE) as archive:
            names = {name.partition('/')[2] for name in archive.getnames()}
        self.assertLessEqual(
            {name for name in listed if not name.startswith('.')}, names)

    def test_command_line_alone(self) -> None:
        environment = self.environment()
        environment.install(self.wheel())
        found = {package['name'] for package in json.loads(environment.run(
            'pip', 'list', '--format', 'json'))} - {
                'ironic-imagedeploy', 'pip', 'setuptools'}
        self.assertIn('requests', found)
        self.assertLessEqual(len(found), _MOST, found)
        program = 'ironic-imagedeploy'
        self.assertEqual(f'{program} {_NEW}\n',
                         environment.run(program, '--version'))
        folder = environment.folder
        disk = images.make_guest(folder / 'disk', 8 * _MIB, seed=1,
                                 label='gpt')
        image = images.convert(disk, folder / 'disk.qcow2')
        environment.run(program, 'check', image)
        environment.run(program, 'write', image, folder / 'target',
                        '--report', folder / 'report.json')
        self.assertEqual(disk.read_bytes(), (folder / 'target').read_bytes())
        environment.run(program, 'report', folder / 'report.json', '--html',
                        folder / 'report.html')
        self.assertIn('_ironic_imagedeploy',
                      environment.run(program, 'completion', 'bash'))
        self.assertTrue(
            (folder / 'share/man/man1/ironic-imagedeploy.1').exists())

    def test_upgrade_and_removal(self) -> None:
        environment = self.environment()
        for version in (_OLD, _NEW, _OLD, _NEW):
            environment.install(self.wheel(version))
            self.assertEqual(
                f'ironic-imagedeploy {version}\n',
                environment.run('ironic-imagedeploy', '--version'))
        self.assertLess(5, environment.entry_points())
        environment.run('pip', 'uninstall', '-q', '-y', 'ironic-imagedeploy')
        self.assertEqual(0, environment.entry_points())
        self.assertEqual([], list(environment.folder.rglob('*imagedeploy*')))

    def test_conductor(self) -> None:
        environment = self.environment()
        environment.install(self.wheel(), 'conductor', 'fast')
        self.assertLess(5, environment.entry_points(
            'ironic.hardware.interfaces.deploy', 'ironic.hardware.types',
            'oslo.config.opts'))
        configuration = environment.folder / 'ironic.conf'
        configuration.write_text(
            '[DEFAULT]\nenabled_deploy_interfaces = direct,imagedeploy\n'
            'enabled_hardware_types = ipmi\n[deploy]\n'
            'http_url = http://192.0.2.1\n'
            f'http_root = {environment.folder}\n')
        self.assertIn('Success', environment.run(
            'ironic-imagedeploy-status', '--config-file', configuration,
            'upgrade', 'check'))

    def test_agent(self) -> None:
        environment = self.environment()
        environment.install(self.wheel(), 'agent', 'fast')
        self.assertLess(5, environment.entry_points(
            'ironic_python_agent.hardware_managers'))
