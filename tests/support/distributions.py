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

"""Minimal Debian systems, and commands in them.

They reach no network but the package index, and that only where it is said.
"""

from collections.abc import Iterator
import contextlib
import dataclasses
import os
import pathlib
import shutil
import ssl

from tests.support import cache
from tests.support import commands
from tests.support import debian

#: Of the package index, while it is asked.
CERTIFICATES = pathlib.Path('/opt/certificates.pem')
_NETWORK = pathlib.Path('/etc/resolv.conf')


@dataclasses.dataclass(frozen=True)
class Distribution:
    """A release of Debian.

    :ivar python: version of its Python.
    :ivar packages: what it has beside that.
    """

    codename: str
    python: str
    packages: tuple[str, ...] = ()


def lay(tree: pathlib.Path, system: Distribution) -> None:
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
        '--include=' + ','.join(('python3-venv', *system.packages)),
        system.codename, tree, debian.mirror(), timeout=1200)


def within(tree: pathlib.Path, path: pathlib.Path) -> pathlib.Path:
    """Where a file of the system is for programs outside of it."""
    return tree / path.relative_to('/')


@contextlib.contextmanager
def index(tree: pathlib.Path) -> Iterator[dict[str, str]]:
    """Let the system ask the package index, for as long as that takes.

    The name server, the index and its certificates are those of this machine.

    :returns: variables for the commands that ask it.
    """
    certificates = (os.environ.get('PIP_CERT')
                    or ssl.get_default_verify_paths().cafile)
    borrowed = {_NETWORK: _NETWORK, CERTIFICATES: certificates}
    for path, source in borrowed.items():
        shutil.copy(source, within(tree, path))
    try:
        yield {'PIP_CERT': str(CERTIFICATES)} | {
            name: value for name, value in os.environ.items()
            if name in ('PIP_INDEX_URL', 'PIP_DEFAULT_TIMEOUT')}
    finally:
        for path in borrowed:
            within(tree, path).unlink()
