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

"""The packages that are released, and where they are installed."""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

from tests.support import cache

ROOT = pathlib.Path(__file__).parents[2]
NAME = 'ironic_imagedeploy'
PROGRAM = 'ironic-imagedeploy'
NEW, OLD = '1.0.0', '0.9.0'

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


def run(*command: str | os.PathLike[str],
        cwd: pathlib.Path | None = None, **variables: str) -> str:
    """Run a command as if nothing of the tests were installed; its output.

    :raises AssertionError: when it fails, with what it said.
    """
    done = subprocess.run(command, cwd=cwd, env={**_VARIABLES, **variables},
                          capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(f'{command}: {done.returncode}\n'
                             f'{done.stdout}{done.stderr}')
    return done.stdout


def folder(version: str = NEW) -> pathlib.Path:
    """The folder with a release of the commit that is checked out."""
    commit = run('git', 'rev-parse', 'HEAD', cwd=ROOT)
    return cache.get('release', [commit, version], lambda output: _release(
        output, version))


def _release(output: pathlib.Path, version: str) -> None:
    run(ROOT / 'tools/release.sh', '--output', output, PBR_VERSION=version)


def wheel(version: str = NEW) -> pathlib.Path:
    """The wheel of a release."""
    return folder(version) / f'{NAME}-{version}-py3-none-any.whl'


class Environment:
    """A Python environment, empty at first.

    :ivar folder: where it is.
    :ivar home: the same folder, as programs in there see it.
    """

    def __init__(self, place: pathlib.Path,
                 home: pathlib.Path | None = None,
                 python: str = sys.executable) -> None:
        self.folder = place
        self.home = home or place
        run(*self._enter(), python, '-m', 'venv', self.home)

    def _enter(self) -> list[str]:
        """What a command begins with that runs where the environment is."""
        return []

    def run(self, program: str, *arguments: object) -> str:
        """Run one of its programs; the output.

        :raises AssertionError: when it fails, with what it said.
        """
        return run(*self._enter(), self.home / 'bin' / program,
                   *map(str, arguments))

    def install(self, package: pathlib.Path, *extras: str) -> None:
        """Install a wheel, with extras, in place of any other version."""
        words = f'[{",".join(extras)}]' if extras else ''
        self.run('pip', 'install', '-q', '--upgrade', f'{package}{words}')

    def entry_points(self, *groups: str) -> int:
        """Count all entry points of ours, and load those of the groups."""
        return int(self.run('python', '-c', _ENTRY_POINTS.format(
            groups=groups)))


class ReleaseTestCase(unittest.TestCase):
    """Takes minutes, so it runs only when somebody asks for it."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        if not os.environ.get('IMAGEDEPLOY_PACKAGES'):
            raise unittest.SkipTest('takes minutes: tools/packages.sh')

    def new_folder(self) -> pathlib.Path:
        """An empty folder for this test alone."""
        return pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
