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

"""A minimal Debian with an Ironic, as its administrator has it before us.

It has files of its own, and the lab's network and state.
"""

import importlib.metadata
import os
import pathlib

from tests.support import commands
from tests.support import distributions

CHECKOUT = pathlib.Path('/srv/ironic-imagedeploy')
CONFIGURATION = pathlib.Path('/etc/ironic/ironic.conf')
FILES = pathlib.Path('/var/lib/ironic')

#: What the quick start asks for, and what Ironic takes for virtual media.
_SYSTEM = distributions.Distribution('bookworm', '3.11', (
    'ca-certificates', 'genisoimage', 'git', 'iproute2', 'mtools'))
_IRONIC = pathlib.Path('/opt/ironic')
_SHARED = ('/dev', '/sys')
_LONGEST = 2400


class FreshMachine:
    """Its files, and commands in there.

    It is made before this process enters a network of its own, in a mount
    namespace that ends with it.

    :param state: a folder that it has as well, under the same name.
    """

    def __init__(self, state: pathlib.Path) -> None:
        self._tree = state / 'fresh'
        self._outside = os.open('/proc/self/ns/net', os.O_RDONLY)
        distributions.lay(self._tree, _SYSTEM)
        self.path(pathlib.Path('/etc/hosts')).write_text(
            f'127.0.0.1 localhost {os.uname().nodename}\n')
        # An empty PIP_CERT, as a builder of ramdisks gets, is none.
        self.path(pathlib.Path('/etc/pip.conf')).write_text(
            f'[global]\ncert = {distributions.CERTIFICATES}\n')
        # diskimage-builder makes mounts private, so the root has to be one.
        self._mount('--bind', self._tree, pathlib.Path('/'))
        self._mount('-tproc', pathlib.Path('proc'), pathlib.Path('/proc'))
        for shared in (*map(pathlib.Path, _SHARED), state):
            self._mount('--rbind', shared, shared)

    def _mount(self, how: str, what: pathlib.Path, inside: pathlib.Path
               ) -> None:
        self.path(inside).mkdir(parents=True, exist_ok=True)
        commands.run('mount', how, what, self.path(inside))

    def path(self, inside: pathlib.Path) -> pathlib.Path:
        """Where a file of the machine is for programs outside of it."""
        return distributions.within(self._tree, inside)

    def program_of_ironic(self, name: str) -> list[str]:
        """The command that runs a program of Ironic in there."""
        return self._entered({}, [str(_IRONIC / 'bin' / name)])

    def install_ironic(self) -> None:
        """Install the Ironic that the tests have, in a place of its own."""
        version = importlib.metadata.version('ironic')
        self.online(f'python3 -m venv {_IRONIC}\n{_IRONIC}/bin/pip install '
                    f'-q ironic=={version}', root=True)

    def run(self, text: str, *, root: bool,
            variables: dict[str, str] | None = None) -> str:
        """Run lines of a shell; what they printed.

        :param root: with the programs of Ironic, where the wheel is; else
            in the checkout.
        """
        return commands.run(*self._entered(
            variables or {}, self._shell(text, root)), timeout=_LONGEST)

    def online(self, text: str, *, root: bool,
               variables: dict[str, str] | None = None) -> str:
        """The same, with the network of the machine outside."""
        with distributions.index(self._tree) as found:
            return commands.run(
                'nsenter', f'--net=/proc/{os.getpid()}/fd/{self._outside}',
                *self._entered({**found, **(variables or {})},
                               self._shell(text, root)), timeout=_LONGEST)

    def _shell(self, text: str, root: bool) -> list[str]:
        folder = CHECKOUT / 'dist' if root else CHECKOUT
        self.path(folder).mkdir(parents=True, exist_ok=True)
        return ['bash', '-ec', f'cd {folder}\n{text}']

    def _entered(self, variables: dict[str, str], words: list[str]
                 ) -> list[str]:
        path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
        return ['chroot', str(self._tree), 'env', '-i', 'HOME=/root',
                'LC_ALL=C.UTF-8', 'OS_CLOUD=lab',
                'DEBIAN_FRONTEND=noninteractive',
                f'PATH={_IRONIC}/bin:{path}', *(
                    f'{name}={value}' for name, value in variables.items()),
                *words]
