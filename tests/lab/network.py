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

"""The lab's network: a bridge in a network namespace that only it is in."""

from collections.abc import Iterable
import ctypes
import os

from tests.support import commands

ADDRESS = '172.24.42.1'

DHCP_RANGE = '172.24.42.100,172.24.42.200,255.255.255.0,12h'

BRIDGE = 'lab'

_CLONE_NEWNET = 0x40000000


def enter() -> None:
    """Move this process, and all that it will start, into a new namespace.

    The namespace has no name: it goes, with the bridge and the taps in it,
    when the last process in it ends.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET):
        error = ctypes.get_errno()
        raise OSError(error, f'unshare: {os.strerror(error)}')
    # No service may reach for a proxy of the world outside.
    for name in list(os.environ):
        if name.lower().endswith('_proxy'):
            del os.environ[name]


def create(taps: Iterable[str]) -> None:
    """Make the bridge with the lab's address, and a tap for each machine."""
    _ip('link', 'set', 'lo', 'up')
    _ip('link', 'add', BRIDGE, 'type', 'bridge')
    _ip('address', 'add', f'{ADDRESS}/24', 'dev', BRIDGE)
    _ip('link', 'set', BRIDGE, 'up')
    for tap in taps:
        _ip('tuntap', 'add', 'dev', tap, 'mode', 'tap')
        _ip('link', 'set', tap, 'master', BRIDGE, 'up')


def _ip(*arguments: str) -> None:
    commands.run('ip', *arguments)
