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

"""Minimal Debian systems with Python of their own.

They reach no network but the package index, and that only where it is said.
"""

import dataclasses
import os
import pathlib
import shutil
import ssl

from tests.functional import releases
from tests.support import cache
from tests.support import commands
from tests.support import debian

_HOME = pathlib.Path('/srv/venv')
_WHEELS = pathlib.Path('/opt/wheels')
_CERTIFICATES = pathlib.Path('/opt/certificates.pem')
_NETWORK = pathlib.Path('/etc/resolv.conf')
_PIP = f'[global]\nno-index = true\nfind-links = {_WHEELS}\n'


@dataclasses.dataclass(frozen=True)
class Distribution:
    """A release of Debian.

    :ivar python: version of its Python.
    :ivar packages: what it has beside that.
    """

    codename: str
    python: str
    packages: tuple[str, ...] = ()


DEBIAN_12 = Distribution('bookworm', '3.11')
DEBIAN_13 = Distribution('trixie', '3.13')
#: That of somebody who has a checkout.
DEBIAN_13_WITH_GIT = Distribution('trixie', '3.13', ('git',))


def _lay(tree: pathlib.Path, system: Distribution) -> None:
    """Lay a minimal system.

    :param tree: the root of the system, which does not exist yet.
    """
    inputs = [pathlib.Path(__file__), system.codename, *system.packages]
    kept = cache.get('distribution', inputs, lambda folder: _bootstrap(
        folder / 'tree', system))
    commands.run('cp', '-a', kept / 'tree', tree)


def _bootstrap(tree: pathlib.Path, system: Distribution) -> None:
    archives = cache.root() / 'debs'
    archives.mkdir(parents=True, exist_ok=True)
    commands.run(
        'debootstrap', '--variant=minbase', f'--cache-dir={archives}',
        '--include=' + ','.join((
            'python3-venv', 'python-is-python3', *system.packages)),
        system.codename, tree, debian.mirror(), timeout=1200)


class Environment(releases.Environment):
    """A Python environment in a minimal system."""

    def __init__(self, tree: pathlib.Path, system: Distribution) -> None:
        self._tree = tree
        _lay(tree, system)
        super().__init__(self._within(_HOME), _HOME, 'python3')

    def _within(self, path: pathlib.Path) -> pathlib.Path:
        return self._tree / path.relative_to('/')

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

        The name server, the index and its certificates are those of this
        machine, for as long as that takes.

        :raises AssertionError: when it fails, with what it said.
        """
        certificates = (os.environ.get('PIP_CERT')
                        or ssl.get_default_verify_paths().cafile)
        borrowed = {_NETWORK: _NETWORK, _CERTIFICATES: certificates}
        for path, source in borrowed.items():
            shutil.copy(source, self._within(path))
        index = [f'{name}={value}' for name, value in os.environ.items()
                 if name in ('PIP_INDEX_URL', 'PIP_DEFAULT_TIMEOUT')]
        try:
            return releases.run(*self._enter(network=True),
                                f'PIP_CERT={_CERTIFICATES}', *index, *command)
        finally:
            for path in borrowed:
                self._within(path).unlink()
