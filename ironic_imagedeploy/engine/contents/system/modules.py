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
from collections.abc import Mapping
import dataclasses
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
#: Steps of the budget to compare a pattern, for each of so many characters of
#: it, and for one with sets.
_STEPS, _CHARACTERS, _SET_STEPS = 3, 8, 1000
_PCI = re.compile(
    r'pci:v([^d]*)d([^s]*)sv([^s]*)sd([^b]*)bc([^s]*)sc([^i]*)i(.*)')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Drivers:
    """Modules that say they drive devices.

    :ivar by_device: their names by the alias of each device asked for; none
        of a device that no module says it drives.
    :ivar is_certain: what is built in says what it drives, too.
    """

    by_device: Mapping[str, frozenset[str]]
    is_certain: bool


def find(files: _files.Files, folder: str, aliases: Iterable[str]
         ) -> Drivers | None:
    """Modules of a kernel, and what is built in, that drive some devices.

    What is built in says so in newer kernels only.

    :param folder: of the kernel's modules.
    :param aliases: of the devices, as ``pci:v00008086d...``; with an asterisk
        for each number of a PCI device that is not known.
    :returns: None when it cannot be told.
    :raises TooComplex: when it takes too much work.
    """
    listed = files.front(f'{folder}/modules.alias', _LIMIT)
    built_in = files.front(f'{folder}/modules.builtin.modinfo', _LIMIT) or b''
    if listed is None or max(len(listed), len(built_in)) == _LIMIT:
        return None
    wanted = {alias: _starts(alias) for alias in aliases}
    known: dict[str, list[tuple[str, str]]] = {}
    sets = 0
    for start, pattern, module in _patterns(
            listed.decode('ascii', 'replace'),
            built_in.decode('ascii', 'replace'),
            {start for starts in wanted.values() for start in starts}):
        known.setdefault(start, []).append((pattern, module))
        sets += _has_sets(pattern)
    if sets > _MOST_SETS:
        return None
    files.draw(_SET_STEPS * sets)
    for starts in wanted.values():
        files.draw(sum(_STEPS + len(pattern) // _CHARACTERS
                       for start in starts
                       for pattern, _ in known.get(start, ())))
    return Drivers(is_certain=bool(built_in), by_device={
        alias: frozenset(
            module.replace('-', '_') for start in starts
            for pattern, module in known.get(start, ())
            if _matches(alias, pattern))
        for alias, starts in wanted.items()})


def _patterns(listed: str, built_in: str, starts: set[str]
              ) -> Iterator[tuple[str, str, str]]:
    """Beginnings and patterns of all that modules drive, and the modules."""
    either = '|'.join(map(re.escape, starts))
    rest = rf'(?P<start>{either})(?P<rest>[^\s\0]{{0,{_LONGEST}}})'
    left = _MOST
    module = r'(?P<module>[\w-]{1,64})'
    for form, text in ((rf'^alias {rest} {module}$', listed),
                       (rf'(?<![^\0]){module}\.alias={rest}\0', built_in)):
        for match in re.finditer(form, text, re.MULTILINE):
            left -= 1
            if left < 0:
                return
            start = match['start']
            yield start, start + match['rest'], match['module']


def _starts(alias: str) -> tuple[str, ...]:
    """How the patterns begin that may name a device."""
    if alias.startswith(_BUS):
        return alias[:_VENDOR], f'{_BUS}*'
    return (alias.partition(':')[0] + ':',)


def _has_sets(pattern: str) -> bool:
    """Whether a part of it stands for one of several characters."""
    return '[' in pattern or '?' in pattern


def _matches(alias: str, pattern: str) -> bool:
    if '*' in alias:
        return _may_match(alias, pattern)
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


def _may_match(alias: str, pattern: str) -> bool:
    """Whether a PCI device, of which not all is known, can be meant."""
    known, wanted = _PCI.fullmatch(alias), _PCI.fullmatch(pattern)
    if known is None or wanted is None or _has_sets(pattern):
        return True
    return all(one == other or '*' in one + other for one, other in zip(
        known.groups(), wanted.groups(), strict=True))
