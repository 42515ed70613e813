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

"""The programs that firmware starts from EFI system partitions.

Sources: UEFI 2.10, 3.5.1.1, "Removable Media Boot Behavior", for the path
that it takes without a boot entry; shim's README.fallback for the lists that
boot entries are made of; "PE Format", section "Machine Types".
"""

from collections.abc import Iterable
from collections.abc import Iterator
import dataclasses
import typing

from ironic_imagedeploy.engine import budget as _budget
from ironic_imagedeploy.engine.contents import fat
from ironic_imagedeploy.engine.contents import partitions
from ironic_imagedeploy.engine.contents import pe
from ironic_imagedeploy.engine.contents import read as _read
from ironic_imagedeploy.engine import exceptions

_MACHINES = {0x8664: 'x86_64', 0x14c: 'i686', 0xaa64: 'aarch64',
             0x1c2: 'arm', 0x5064: 'riscv64', 0x6264: 'loongarch64'}
#: In the directory BOOT, the one program for each processor.
_DEFAULTS = {
    'BOOTX64.EFI': 'x86_64', 'BOOTIA32.EFI': 'i686',
    'BOOTAA64.EFI': 'aarch64', 'BOOTARM.EFI': 'arm',
    'BOOTRISCV64.EFI': 'riscv64', 'BOOTLOONGARCH64.EFI': 'loongarch64'}
#: Other names for the same processor.
#: Names of processors, as of ``uname -m``.
ARCHITECTURES = frozenset(_MACHINES.values())
_ALIASES = {'amd64': 'x86_64', 'arm64': 'aarch64', 'i386': 'i686',
            'i586': 'i686'}
#: Directories, lists in each, and programs of each list that are looked at.
_MOST = 32
#: Bytes of a list of boot entries.
_LIST_BYTES = 4096
#: Bytes read at once; directories, tables and programs lie close together.
_BLOCK = 64 << 10
#: Paths of other programs that are told, and of one directory.
_MOST_OTHERS = 4
#: Steps of the budget that a partition costs.
_ESP_STEPS = 64
_PROGRAM = '.EFI'


class _Program(typing.NamedTuple):
    arch: str
    is_signed: bool


@dataclasses.dataclass(frozen=True)
class Programs:
    """Programs in the EFI system partitions of a disk.

    :ivar architectures: processors whose firmware finds one that it starts,
        as of ``uname -m``, or ``unknown``.
    :ivar others: what is there instead: paths that nothing starts, or why
        there are none; hostile text.
    :ivar unsigned: those of the architectures whose programs, all of them,
        have no signature that secure boot could verify.
    """

    architectures: frozenset[str] = frozenset()
    others: tuple[str, ...] = ()
    unsigned: frozenset[str] = frozenset()


def find(read: _read.Read, esps: Iterable[partitions.Partition],
         budget: _budget.Budget) -> Programs:
    """Look for programs that firmware starts from any of these partitions.

    Firmware without a boot entry starts ``EFI/BOOT/BOOTX64.EFI`` or the
    like; boot entries are made of what a ``BOOT*.CSV`` names. Whatever else
    is there was started by entries that another machine has.

    :param read: gives bytes of the disk.
    :param budget: that the look draws from.
    :raises TooComplex: when the partitions take too much work.
    """
    found, others = set[_Program](), list[str]()
    for esp in esps:
        budget.draw(_ESP_STEPS)
        try:
            volume = fat.FatVolume(_read.cached(
                read, esp.start, esp.length, block=_BLOCK, most=_MOST),
                budget)
            found.update(_startable(volume, budget, others))
        except exceptions.BadContent as bad:
            others.append(f'no {bad.expected.removeprefix("a ")} '
                          f'({bad.found})')
    signed = {program.arch for program in found if program.is_signed}
    archs = frozenset(program.arch for program in found)
    return Programs(archs, tuple(others[:_MOST_OTHERS]), archs - signed)


def default(arch: str | None) -> str:
    """Path of the program that firmware starts without a boot entry.

    :param arch: of the processor; by default that of most.
    """
    names = {known: name for name, known in _DEFAULTS.items()}
    name = names.get(canonical(arch or ''), 'BOOTX64.EFI')
    return f'EFI/BOOT/{name}'


def architecture(program: bytes) -> str | None:
    """The processor that an EFI program is for; None for any other file."""
    machine = pe.machine(program[:pe.FRONT])
    return None if machine is None else _MACHINES.get(machine, 'unknown')


def canonical(arch: str) -> str:
    """The name of a processor that :func:`architectures` gives."""
    return _ALIASES.get(arch.lower(), arch.lower())


def _startable(volume: fat.FatVolume, budget: _budget.Budget,
               others: list[str]) -> Iterator[_Program]:
    """Programs in a volume that firmware starts.

    :param others: gets the paths of programs that it does not start.
    """
    root = list(volume.root())
    others += (entry.name for entry in root[:_MOST]
               if not entry.directory and entry.name.endswith(_PROGRAM))
    top = next((entry for entry in root
                if entry.directory and entry.is_called('EFI')), None)
    if top is None:
        return
    folders = [entry for entry in volume.entries(top) if entry.directory]
    folders.sort(key=lambda entry: not entry.is_called('BOOT'))
    for folder in folders[:_MOST]:
        files = [entry for entry in volume.entries(folder)
                 if not entry.directory
                 and entry.name.endswith(('.EFI', '.CSV'))]
        programs = [entry for entry in files if entry.name.endswith(_PROGRAM)]
        if folder.is_called('BOOT'):
            flaws: list[str] = []
            yield from _defaults(volume, programs, flaws)
            others[:0] = flaws[:_MOST_OTHERS]
        others += (f'EFI/{folder.name}/{entry.name}'
                   for entry in programs[:_MOST_OTHERS]
                   if not (folder.is_called('BOOT')
                           and entry.name in _DEFAULTS))
        for entry in _listed(volume, files, programs, budget):
            front = volume.front(entry, pe.FRONT)
            found = architecture(front)
            if found is not None and pe.least_size(front) <= entry.size:
                yield _Program(found, pe.is_signed(front, entry.size))


def _defaults(volume: fat.FatVolume, programs: Iterable[fat.Entry],
              flaws: list[str]) -> Iterator[_Program]:
    """Programs of the directory BOOT that firmware starts.

    :param flaws: gets those that it would start, if they were for it.
    """
    for entry in programs:
        arch = _DEFAULTS.get(entry.name)
        if arch is None:
            continue
        front = volume.front(entry, pe.FRONT)
        found = architecture(front)
        is_whole = pe.least_size(front) <= entry.size
        if found == arch and is_whole:
            yield _Program(arch, pe.is_signed(front, entry.size))
            continue
        flaw = ('an EFI program that is cut off' if found and not is_whole
                else 'not an EFI program' if found is None
                else f'an EFI program for {found}' if found != 'unknown'
                else 'an EFI program for an unknown processor')
        flaws.append(f'EFI/BOOT/{entry.name} ({flaw})')


def _listed(volume: fat.FatVolume, files: list[fat.Entry],
            programs: list[fat.Entry], budget: _budget.Budget
            ) -> Iterator[fat.Entry]:
    """Programs that the lists of a directory name.

    A list that is not text in UTF-16 is taken for a list of all of them.
    """
    lists = [entry for entry in files if entry.name.startswith('BOOT')
             and entry.name.endswith('.CSV')]
    for entry in lists[:_MOST]:
        budget.draw(len(programs), _LIST_BYTES)
        text = volume.front(entry, _LIST_BYTES).decode('utf-16', 'replace')
        named = {line.partition(',')[0].strip().upper()
                 for line in text.split('\n')}
        known = [program for program in programs
                 if not named.isdisjoint((program.name, program.short))]
        is_text = ',' in text and '\0' not in text
        yield from (known if is_text else programs)[:_MOST]
