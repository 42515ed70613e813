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

"""What long runs take of a machine, and whether that grows."""

from collections.abc import Iterable
from collections.abc import Sequence
import pathlib
import statistics
import typing

from tests.support import disks

_MIB = 1 << 20


class Usage(typing.NamedTuple):
    """What some processes hold at one moment.

    :ivar memory: bytes that are resident.
    :ivar descriptors: open files.
    :ivar files: temporary ones, of all.
    """

    memory: int
    descriptors: int
    threads: int
    loops: int
    files: int

    def __str__(self) -> str:
        return (f'{self.memory / _MIB:.0f} MiB, {self.descriptors} '
                f'descriptors, {self.threads} threads, {self.loops} loop '
                f'devices, {self.files} files')


def look(processes: Iterable[int], *folders: pathlib.Path) -> Usage:
    """What these processes hold now.

    :param folders: of temporary files.
    """
    memory = descriptors = threads = 0
    for number in processes:
        process = pathlib.Path(f'/proc/{number}')
        status = dict(line.split(':', 1) for line in (
            process / 'status').read_text().splitlines())
        memory += int(status['VmRSS'].split()[0]) * 1024
        threads += int(status['Threads'])
        descriptors += len([*(process / 'fd').iterdir()])
    return Usage(memory, descriptors, threads,
                 len(disks.run('losetup', '-n', '-l').splitlines()),
                 sum(len([*folder.rglob('*')]) for folder in folders))


def growth(usages: Sequence[Usage], *, memory: int = 16 * _MIB, more: int = 3
           ) -> list[str]:
    """What grew: the middle of the last third against that of the second.

    The first third is for what is loaded, cached and begun once.

    :param memory: bytes that may be more.
    :param more: of anything else.
    """
    third = len(usages) // 3
    before, after = usages[third:2 * third], usages[2 * third:]
    grown = []
    for name in Usage._fields:
        first, last = (statistics.median(getattr(usage, name)
                                         for usage in part)
                       for part in (before, after))
        if last - first > (memory if name == 'memory' else more):
            grown.append(f'{name} from {first:.0f} to {last:.0f}')
    return grown
