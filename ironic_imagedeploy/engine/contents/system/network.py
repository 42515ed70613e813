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

"""Configuration of the network, as far as it is for one machine only."""

from collections.abc import Iterator
import dataclasses
import re

from ironic_imagedeploy.engine.contents.system import config_files
from ironic_imagedeploy.engine.contents.system import files as _files

_UDEV = ('etc/udev/rules.d/70-persistent-net.rules',)
#: Folders and ends of the names of files, by what reads them.
_KINDS = {
    'ifcfg': (('etc/sysconfig/network-scripts', 'etc/sysconfig/network'),
              ('',)),
    'netplan': (('etc/netplan',), ('.yaml',)),
    'networkd': (('etc/systemd/network',), ('.network', '.link')),
    'NetworkManager': (('etc/NetworkManager/system-connections',),
                       ('.nmconnection',)),
    'ifupdown': (('etc/network/interfaces.d',), ('',)),
}
_INTERFACES = 'etc/network/interfaces'
_ADDRESS = r'["\']?((?:[0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2})\b'
#: Where a file says which card it is for; the address that it gives to one
#: does not matter.
_PINNED = re.compile(
    r'(?<![\w-])(?:HWADDR\s*+=|match\s*+:\s*+\{?\s*+macaddress\s*+:|'
    r'mac-address\s*+=|ATTR\{address\}\s*+==|'
    r'\[Match\][^\[]*\n(?:Permanent)?MACAddress\s*+=)\s*+' + _ADDRESS)
#: Agents overwrite what they have generated.
_GENERATED = re.compile(
    r'generated (?:by cloud-init|from information provided by the '
    r'datasource)|Created by cloud-init')
_LOOPBACK = 'lo'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Network:
    """Configuration of the network.

    :ivar kinds: what it is written for, as ``netplan``.
    :ivar pinned: files that are for the network card of one machine.
    """

    kinds: tuple[str, ...] = ()
    pinned: tuple[str, ...] = ()


def read(files: _files.Files) -> Network:
    """The configuration of a root."""
    kinds, pinned = [], []
    for kind, path in _paths(files):
        if kind not in kinds:
            kinds.append(kind)
        text = config_files.read(files, path)
        if not _GENERATED.search(text) and _PINNED.search(
                '\n'.join(config_files.lines(text))):
            pinned.append(path)
    return Network(kinds=tuple(kind for kind in kinds if kind != 'udev'),
                   pinned=tuple(pinned))


def _paths(files: _files.Files) -> Iterator[tuple[str, str]]:
    for path in _UDEV:
        yield 'udev', path
    for kind, (folders, suffixes) in _KINDS.items():
        for path in config_files.below(files, folders, *suffixes):
            if kind != 'ifcfg' or _is_ifcfg(path):
                yield kind, path
    if files.exists(_INTERFACES):
        yield 'ifupdown', _INTERFACES


def _is_ifcfg(path: str) -> bool:
    name = path.rpartition('/')[2]
    return name.startswith('ifcfg-') and name != f'ifcfg-{_LOOPBACK}'
