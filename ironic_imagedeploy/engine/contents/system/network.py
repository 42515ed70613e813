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
#: A match of netplan in which another key comes first: by indentation, which
#: tells it from an address that the card gets, or in braces.
_MATCHED = re.compile(
    r'^( *)match *+:[ \t]*+\n(?:\1 +\S.*\n|[ \t]*\n){1,8}?'
    r'\1 +macaddress *+: *+' + _ADDRESS
    + r'|\bmatch\s*+:\s*+\{[^{}]{0,400}?\bmacaddress["\']?\s*+:\s*+'
    + _ADDRESS, re.MULTILINE)
_LOOPBACK = 'lo'
#: Where each kind names the card that it is for, as the kernel would.
_OLD = r'(eth\d+)'
_NAMED = {
    'ifupdown': re.compile(rf'^(?:auto|allow-hotplug|iface)\s+{_OLD}\b',
                           re.MULTILINE),
    'ifcfg': re.compile(rf'^DEVICE\s*=\s*"?{_OLD}\b', re.MULTILINE),
    'networkd': re.compile(rf'\[Match\][^\[]*\nName\s*=\s*{_OLD}\s*$',
                           re.MULTILINE),
    'NetworkManager': re.compile(rf'^interface-name\s*=\s*{_OLD}\s*;?$',
                                 re.MULTILINE),
    'netplan': re.compile(rf'^{_OLD}\s*:\s*\n(?!match\b)', re.MULTILINE),
}
_SYSTEMD = ('usr/lib/systemd/systemd', 'lib/systemd/systemd')
_RULES = (('etc/udev/rules.d', '80-net-setup-link.rules'),
          ('etc/udev/rules.d', '80-net-name-slot.rules'))
_LINKS = 'etc/systemd/network'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Network:
    """Configuration of the network.

    :ivar kinds: what it is written for, as ``netplan``.
    :ivar pinned: files that are for the network card of one machine.
    :ivar named: files, with the name of a card that only the kernel gives.
    :ivar are_renamed: systemd gives the cards other names.
    """

    kinds: tuple[str, ...] = ()
    pinned: tuple[str, ...] = ()
    named: tuple[tuple[str, str], ...] = ()
    are_renamed: bool = False


def read(files: _files.Files) -> Network:
    """The configuration of a root."""
    kinds, pinned, named = [], [], []
    for kind, path in _paths(files):
        if kind not in kinds:
            kinds.append(kind)
        text = config_files.read(files, path)
        if _GENERATED.search(text):
            continue
        is_matched = kind == 'netplan' and _MATCHED.search(text)
        text = '\n'.join(config_files.lines(text))
        if is_matched or _PINNED.search(text):
            pinned.append(path)
        elif kind in _NAMED and (match := _NAMED[kind].search(text)):
            named.append((path, match[1]))
    return Network(kinds=tuple(kind for kind in kinds if kind != 'udev'),
                   pinned=tuple(pinned), named=tuple(named),
                   are_renamed=_are_renamed(files))


def _are_renamed(files: _files.Files) -> bool:
    """Whether systemd renames cards, and nothing in the image forbids it."""
    if not any(map(files.exists, _SYSTEMD)):
        return False
    if any(config_files.is_masked(files, folder, name)
           for folder, name in _RULES):
        return False
    return not any(name.endswith('.link') for name in files.list(_LINKS))


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
