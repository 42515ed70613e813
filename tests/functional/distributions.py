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

"""Minimal Debian systems with a Python environment of their own.

They reach no network but the package index, and that only where it is said.
"""

import pathlib
import shutil

from tests.functional import releases
from tests.support import distributions

_HOME = pathlib.Path('/srv/venv')
_WHEELS = pathlib.Path('/opt/wheels')
_PIP = f'[global]\nno-index = true\nfind-links = {_WHEELS}\n'

DEBIAN_12 = distributions.Distribution(
    'bookworm', '3.11', ('python-is-python3',))
DEBIAN_13 = distributions.Distribution(
    'trixie', '3.13', ('python-is-python3',))
#: That of somebody who has a checkout.
DEBIAN_13_WITH_GIT = distributions.Distribution('trixie', '3.13', ('git',))


class Environment(releases.Environment):
    """A Python environment in a minimal system."""

    def __init__(self, tree: pathlib.Path,
                 system: distributions.Distribution) -> None:
        self._tree = tree
        distributions.lay(tree, system)
        super().__init__(self._within(_HOME), _HOME, 'python3')

    def _within(self, path: pathlib.Path) -> pathlib.Path:
        return distributions.within(self._tree, path)

    def _enter(self, network: bool = False) -> list[str]:
        # A mount namespace: what is mounted in there ends with the command.
        return ['unshare', '--mount', *([] if network else ['--net']),
                'sh', '-ec',
                'mount --bind /dev "$0/dev"; mount -t proc proc "$0/proc"; '
                'exec chroot "$0" env -i PATH=/usr/bin:/bin LC_ALL=C.UTF-8 '
                'PYTHONWARNINGS=ignore "$@"', str(self._tree)]

    def install(self, package: pathlib.Path, *extras: str) -> None:
        """Install a wheel, with what pip finds in a folder of wheels."""
        self.download(package, *extras)
        super().install(_WHEELS / package.name, *extras)

    def download(self, package: pathlib.Path, *extras: str) -> None:
        """Fill the folder, by the pip of the system.

        Another Python chooses other packages.
        """
        folder = self._within(_WHEELS)
        folder.mkdir(exist_ok=True)
        shutil.copy(package, folder)
        words = f'[{",".join(extras)}]' if extras else ''
        self.run_online(
            str(_HOME / 'bin/pip'), 'download', '-q', '--dest', str(_WHEELS),
            '--only-binary', ':all:', f'{_WHEELS / package.name}{words}')
        self._within(pathlib.Path('/etc/pip.conf')).write_text(_PIP)

    def run_online(self, *command: str) -> str:
        """Run a command that may ask the package index; the output.

        :raises AssertionError: when it fails, with what it said.
        """
        with distributions.index(self._tree) as variables:
            return releases.run(
                *self._enter(network=True), *(
                    f'{name}={value}' for name, value in variables.items()),
                *command)
