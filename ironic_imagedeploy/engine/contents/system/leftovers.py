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

"""Traces that a machine left in an image, and who can log in to it.

No secret leaves these functions: only that one is there, and its path.
"""

from collections.abc import Iterator
import dataclasses
import itertools
import re

from ironic_imagedeploy.engine.contents.system import files as _files

_SSH = 'etc/ssh'
_HOST_KEY = re.compile(r'ssh_host_\w+_key')
_MACHINE_IDS = ('etc/machine-id', 'var/lib/dbus/machine-id')
_MACHINE_ID = re.compile(rb'[0-9a-f]{32}\s*')
_SEEDS = ('var/lib/systemd/random-seed', 'var/lib/urandom/random-seed')
#: Folders with the leases of a machine, and ends of their names.
_LEASES = {'var/lib/dhcp': ('.leases',), 'var/lib/dhclient': ('.leases',),
           'var/lib/NetworkManager': ('.lease',),
           'var/lib/dhcpcd': ('.lease',)}
_HISTORIES = ('.bash_history', '.ash_history', '.zsh_history',
              '.python_history')
_HOME = 'home'
_MOST = 64
_SHADOW = 'etc/shadow'
_SHADOW_LIMIT = 64 << 10
_KEYS = ('.ssh/authorized_keys', '.ssh/authorized_keys2')
_KEY_LIMIT = 4096
#: A console that logs in somebody without asking.
_GETTY = re.compile(r'(?:console-|serial-)?getty@.*\.service\.d'
                    r'|console-getty\.service\.d')
_UNITS = 'etc/systemd/system'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Leftovers:
    """Paths of what belongs to one machine.

    :ivar host_keys: secret keys of its SSH server.
    :ivar machine_id: whether it has one.
    :ivar seeds: of random numbers.
    :ivar leases: of addresses.
    :ivar histories: commands that were typed.
    """

    host_keys: tuple[str, ...] = ()
    machine_id: bool = False
    seeds: tuple[str, ...] = ()
    leases: tuple[str, ...] = ()
    histories: tuple[str, ...] = ()


def read(files: _files.Files) -> Leftovers:
    """Traces in a root."""
    return Leftovers(
        host_keys=tuple(itertools.islice(_host_keys(files), _MOST)),
        machine_id=any(_MACHINE_ID.fullmatch(files.front(path, 40) or b'')
                       for path in _MACHINE_IDS),
        seeds=tuple(path for path in _SEEDS if _has_content(files, path)),
        leases=tuple(_leases(files)),
        histories=tuple(
            f'{home}/{name}' for home in _homes(files) for name in _HISTORIES
            if _has_content(files, f'{home}/{name}')))


def can_log_in(files: _files.Files) -> bool | None:
    """Whether somebody can, with a password or a key that the image has.

    :returns: None when it cannot be told.
    """
    if any(_GETTY.fullmatch(name) for name in files.list(_UNITS)):
        return True
    shadow = files.front(_SHADOW, _SHADOW_LIMIT)
    if shadow is None:
        return None
    passwords = [line.split(b':')[1] for line in shadow.splitlines()
                 if line.count(b':') >= 2]
    # Of an account that is locked it begins with an exclamation mark or is
    # an asterisk; an empty one lets everybody in.
    if any(not word.startswith((b'!', b'*')) for word in passwords):
        return True
    return any(_has_content(files, f'{home}/{name}')
               for home in _homes(files) for name in _KEYS)


def _host_keys(files: _files.Files) -> Iterator[str]:
    for name in files.list(_SSH):
        if _HOST_KEY.fullmatch(name) and _has_content(
                files, f'{_SSH}/{name}'):
            yield f'{_SSH}/{name}'


def _homes(files: _files.Files) -> Iterator[str]:
    yield 'root'
    for name in files.list(_HOME)[:_MOST]:
        yield f'{_HOME}/{name}'


def _leases(files: _files.Files) -> Iterator[str]:
    for folder, suffixes in _LEASES.items():
        for name in files.list(folder)[:_MOST]:
            path = f'{folder}/{name}'
            if name.endswith(suffixes) and _has_content(files, path):
                yield path


def _has_content(files: _files.Files, path: str) -> bool:
    return bool((files.front(path, _KEY_LIMIT) or b'').strip())
