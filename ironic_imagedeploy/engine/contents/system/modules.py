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

"""Modules of a kernel, by the devices that they drive.

Source: depmod(8), modules.alias and modules.builtin.modinfo.
"""

from collections.abc import Iterable
from collections.abc import Iterator
import fnmatch
import re

from ironic_imagedeploy.engine.contents.system import files as _files

_LIMIT = 3 << 20
#: Characters of an alias that hold its bus and its vendor.
_BUS, _VENDOR = 'pci:v', len('pci:v00008086')
#: Patterns that are kept, and characters of one.
_MOST = 20_000
_LONGEST = 200
#: Patterns with sets of characters, of which kernels have none for these
#: devices: each is compiled once, in a millisecond. fnmatch keeps 256.
_MOST_SETS = 200


def undriven(files: _files.Files, folder: str, aliases: Iterable[str]
             ) -> frozenset[str] | None:
    """Devices, of some, that no module of a kernel says it drives.

    What is built in says so in few kernels, and may drive them all the same.

    :param folder: of the kernel's modules.
    :param aliases: of the devices, as ``pci:v00008086d...``.
    :returns: None when it cannot be told.
    """
    listed = files.front(f'{folder}/modules.alias', _LIMIT)
    built_in = files.front(f'{folder}/modules.builtin.modinfo', _LIMIT) or b''
    if listed is None or max(len(listed), len(built_in)) == _LIMIT:
        return None
    wanted = {alias: _starts(alias) for alias in aliases}
    known: dict[str, list[str]] = {}
    sets = 0
    for start, pattern in _patterns(
            listed.decode('ascii', 'replace'),
            built_in.decode('ascii', 'replace'),
            {start for starts in wanted.values() for start in starts}):
        known.setdefault(start, []).append(pattern)
        sets += _has_sets(pattern)
    if sets > _MOST_SETS:
        return None
    return frozenset(
        alias for alias, starts in wanted.items()
        if not any(_matches(alias, pattern) for start in starts
                   for pattern in known.get(start, ())))


def _patterns(listed: str, built_in: str, starts: set[str]
              ) -> Iterator[tuple[str, str]]:
    """Beginnings and patterns of all that modules drive."""
    either = '|'.join(map(re.escape, starts))
    rest = rf'({either})([^\s\0]{{0,{_LONGEST}}})'
    left = _MOST
    for form, text in ((rf'^alias {rest} ', listed),
                       (rf'\.alias={rest}\0', built_in)):
        for match in re.finditer(form, text, re.MULTILINE):
            left -= 1
            if left < 0:
                return
            yield match[1], match[1] + match[2]


def _starts(alias: str) -> tuple[str, ...]:
    """How the patterns begin that may name a device."""
    if alias.startswith(_BUS):
        return alias[:_VENDOR], f'{_BUS}*'
    return (alias.partition(':')[0] + ':',)


def _has_sets(pattern: str) -> bool:
    """Whether a part of it stands for one of several characters."""
    return '[' in pattern or '?' in pattern


def _matches(alias: str, pattern: str) -> bool:
    if _has_sets(pattern):
        return fnmatch.fnmatchcase(alias, pattern)
    # Some thousand patterns are compared: fnmatch compiles each.
    first, *parts = pattern.split('*')
    if not parts:
        return alias == pattern
    if not alias.startswith(first):
        return False
    at = len(first)
    for part in parts[:-1]:
        at = alias.find(part, at)
        if at < 0:
            return False
        at += len(part)
    return len(alias) - len(parts[-1]) >= at and alias.endswith(parts[-1])
