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

"""The programs in an EFI system partition, by processor.

Source of the machine numbers: "PE Format", section "Machine Types".
"""

from collections.abc import Iterator
import functools

from ironic_imagedeploy.engine.contents import fat
from ironic_imagedeploy.engine.contents import partitions
from ironic_imagedeploy.engine.contents import read as _read
from ironic_imagedeploy.engine import exceptions

_MACHINES = {0x8664: 'x86_64', 0x14c: 'i686', 0xaa64: 'aarch64',
             0x1c2: 'arm', 0x5064: 'riscv64', 0x6264: 'loongarch64'}
#: Other names for the same processor.
#: Names of processors, as of ``uname -m``.
ARCHITECTURES = frozenset(_MACHINES.values())
_ALIASES = {'amd64': 'x86_64', 'arm64': 'aarch64', 'i386': 'i686',
            'i586': 'i686'}
#: Directories and programs that are looked at.
_MOST = 32
_FRONT = 1024
#: Bytes read at once; directories, tables and programs lie close together.
_BLOCK = 64 << 10


def architectures(read: _read.Read, esp: partitions.Partition
                  ) -> set[str] | None:
    """Processors that the programs in an ESP are for.

    :param read: gives bytes of the disk.
    :returns: names as of ``uname -m``; None when it cannot be told.
    """
    try:
        volume = fat.FatVolume(_cached(read, esp))
        machines = {_machine(volume.front(program, _FRONT))
                    for program in _programs(volume)}
    except exceptions.BadContent:
        return None
    return {_MACHINES.get(machine, 'unknown') for machine in machines
            if machine is not None}


def architecture(program: bytes) -> str | None:
    """The processor that an EFI program is for; None for any other file."""
    machine = _machine(program[:_FRONT])
    return None if machine is None else _MACHINES.get(machine, 'unknown')


def canonical(arch: str) -> str:
    """The name of a processor that :func:`architectures` gives."""
    return _ALIASES.get(arch.lower(), arch.lower())


def _programs(volume: fat.FatVolume) -> Iterator[fat.Entry]:
    """The .EFI files in the directories of /EFI, a bounded number."""
    found = 0
    for top in volume.root():
        if not top.directory or top.name != 'EFI':
            continue
        vendors = [entry for entry in volume.entries(top) if entry.directory]
        # The path that firmware takes without a boot entry comes first.
        vendors.sort(key=lambda entry: entry.name != 'BOOT')
        for vendor in vendors[:_MOST]:
            for entry in volume.entries(vendor):
                if entry.name.endswith('.EFI') and not entry.directory:
                    yield entry
                    found += 1
                    if found == _MOST:
                        return


def _machine(front: bytes) -> int | None:
    """The machine type of a PE program."""
    start = int.from_bytes(front[0x3c:0x40], 'little')
    if not front.startswith(b'MZ') or front[start:start + 4] != b'PE\0\0':
        return None
    return int.from_bytes(front[start + 4:start + 6], 'little')


def _cached(read: _read.Read, esp: partitions.Partition
            ) -> _read.Read:
    @functools.lru_cache(_MOST)
    def block(index: int) -> bytes:
        start = index * _BLOCK
        return read(esp.start + start, min(_BLOCK, esp.length - start))

    def cached(offset: int, length: int) -> bytes:
        end = min(offset + length, esp.length)
        whole = b''.join(block(index) for index in range(
            offset // _BLOCK, -(-end // _BLOCK)))
        start = offset - offset // _BLOCK * _BLOCK
        return whole[start:start + end - offset]

    return cached
