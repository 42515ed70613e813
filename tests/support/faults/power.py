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

"""Power cuts during the write of an image, judged as firmware would."""

import collections
from collections.abc import Sequence
import dataclasses
import pathlib
import shutil
import typing

from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import checksum as checksums
from ironic_imagedeploy.engine import manifest_builder
from tests.support import disks
from tests.support.faults import cuts
from tests.support.faults import disk as faulty
from tests.support.faults import firmware
from tests.support.faults import recording
from tests.support.faults import systems
from tests.support.faults import table
from tests.support import images

MIB = systems.MIB
NOTHING = 'nothing'


class Half(typing.NamedTuple):
    """Something that is started, and is not whole."""

    cut: str
    start: firmware.Start

    def __str__(self) -> str:
        return f'{self.cut}: {self.start.firmware} from {self.start.place}'


class Known(typing.Protocol):
    """A system that may be started, if it is whole."""

    name: str

    def is_whole(self, disk: cuts.Medium, firmware: str) -> bool:
        """Whether a disk has all of it that such firmware makes use of."""


class Verdicts:
    """What firmware starts after each of many power cuts.

    :param media: the disks of a machine, any of which it may start from.
    :ivar counts: by what is started: nothing, or the name of a system.
    :ivar halves: what must not be.
    """

    def __init__(self, media: Sequence[cuts.Medium], known: Sequence[Known],
                 sector_size: int = 512) -> None:
        self.counts: collections.Counter[str] = collections.Counter()
        self.halves: list[Half] = []
        self._media = media
        self._known = known
        self._sector_size = sector_size

    def judge(self, cut: str) -> None:
        """Look at the disks as they are after that cut."""
        found = {NOTHING}
        for medium in self._media:
            for start in firmware.starts(medium, self._sector_size):
                found.discard(NOTHING)
                name = self._whole(medium, start)
                if name is None:
                    self.halves.append(Half(cut, start))
                    return
                found.add(name)
        self.counts.update([' and '.join(sorted(found))])

    def row(self, kind: str, fault: str) -> table.Row:
        """What was found, for the table."""
        nothing = self.counts[NOTHING]
        whole = self.counts.total() - nothing
        return table.Row(kind, fault, tries=self.tries, survived=whole,
                         refused=nothing, half=len(self.halves))

    @property
    def tries(self) -> int:
        """The number of cuts."""
        return self.counts.total() + len(self.halves)

    def _whole(self, medium: cuts.Medium, start: firmware.Start
               ) -> str | None:
        for system in self._known:
            if system.is_whole(medium, start.firmware):
                return system.name
        return None


@dataclasses.dataclass(frozen=True)
class Scenario:
    """An image that is written to a disk.

    :ivar new: the kind of its system.
    :ivar form: ``raw``, ``qcow2``, ``compressed`` (a qcow2) or ``zst``.
    :ivar old: the kind of the system on the disk before; ``blank`` for none,
        ``iso`` for an optical disk's, ``same`` for the same system.
    :ivar room: bytes that the disk has more than the image.
    :ivar manifest: whether it is written by chunks, with what is there.
    :ivar begun: whether an earlier attempt was interrupted, and left its
        journal.
    :ivar repaired: whether the backup GPT is moved to the end of the disk.
    :ivar zeroes: whether the disk zeroes by itself.
    """

    new: str
    form: str = 'raw'
    old: str = 'blank'
    room: int = 0
    manifest: bool = False
    begun: bool = False
    repaired: bool = False
    read_back: str = 'none'
    zeroes: bool = True

    def __str__(self) -> str:
        words = [f'{self.new} {self.form} over {self.old}']
        words += [f'{self.room // MIB} MiB larger'] if self.room else []
        words += [name for name in ('manifest', 'begun', 'repaired')
                  if getattr(self, name)]
        words += [f'read back {self.read_back}'
                  ] if self.read_back != 'none' else []
        words += [] if self.zeroes else ['zeroes written']
        return ', '.join(words)


SCENARIOS = (
    Scenario('both'),
    Scenario('both', 'qcow2', 'mbr', 3 * MIB),
    Scenario('both', 'compressed', 'both', 3 * MIB, repaired=True),
    Scenario('both', 'raw', 'both', read_back='full'),
    Scenario('both', 'raw', 'same', 3 * MIB, manifest=True, repaired=True),
    Scenario('both', 'qcow2', 'both', manifest=True, begun=True),
    Scenario('both', 'zst', 'mbr', 3 * MIB),
    Scenario('early', 'raw', 'iso'),
    Scenario('early', 'qcow2', 'early', 3 * MIB, repaired=True),
    Scenario('early', 'raw', 'both', manifest=True, read_back='sample'),
    Scenario('mbr', 'raw', 'mbr'),
    Scenario('mbr', 'compressed', 'both', 5 * MIB),
    Scenario('mbr', 'qcow2', 'same', manifest=True, begun=True),
    Scenario('mbr', 'raw', 'mbr', zeroes=False),
    Scenario('mbr-uefi', 'raw', 'both', 3 * MIB),
    Scenario('mbr-uefi', 'qcow2', 'iso', manifest=True),
    Scenario('4k', 'raw', '4k-early'),
    Scenario('4k', 'compressed', '4k', 3 * MIB, repaired=True),
    Scenario('4k-early', 'qcow2', '4k', manifest=True, read_back='full'),
    Scenario('4k-early', 'raw', 'same', 3 * MIB, manifest=True,
             repaired=True),
)


class Run:
    """One scenario: write, record, cut.

    :param directory: for its files; gone with it.
    :ivar sector_size: bytes of a sector of the disk.
    """

    def __init__(self, scenario: Scenario, directory: pathlib.Path) -> None:
        self.scenario = scenario
        self._directory = directory
        self.sector_size = systems.LAYOUTS[scenario.new].sector_size
        self.new = systems.make(scenario.new, 'NEW', seed=1)
        self._size = len(self.new.content) + scenario.room
        self.old = self._make_old()
        self._image = self._make_image()
        self.before = directory / 'before'
        self._backing = directory / 'backing'
        disks.fill(self._backing, self._size)
        if self.old:
            with self._backing.open('r+b') as file:
                file.write(self.old.content)

    def record(self) -> recording.Recording:
        """Write the image; what reached the disk."""
        scenario = self.scenario
        with faulty.FaultyDisk(self._backing, self._directory,
                               sector_size=self.sector_size) as disk:
            if not scenario.zeroes:
                disk.set_rules(*faulty.NO_ZEROES)
            if scenario.begun:
                self._begin(disk)
            began = len(disk.recording().epochs)
            shutil.copy(self._backing, self.before)
            disk.mark('write')
            report = self._write(disk.device)
            if scenario.begun and not report.reused:
                raise AssertionError('nothing was left of the first attempt')
            if scenario.repaired:
                disk.mark('repair')
                with engine.open_target(disk.device) as target:
                    engine.repair_gpt(target)
            made = disk.recording()
        return made.since(began)

    def cut(self, effort: float = 1.0, seed: int = 0) -> Verdicts:
        """Judge what power cuts may leave of a recorded write."""
        made = self.record()
        medium = cuts.Medium(self.before)
        verdicts = Verdicts([medium], self.known, self.sector_size)
        cuts.replay(made, medium, verdicts.judge, seed=seed, effort=effort,
                    sector_size=self.sector_size,
                    sectors=[at for size in (self._size,
                                             len(self.new.content))
                             for at in firmware.sectors(
                                 size, self.sector_size)])
        if medium.read(0, self._size) != self._backing.read_bytes():
            raise AssertionError('the recording is not what was written')
        return verdicts

    @property
    def known(self) -> list[systems.System]:
        """What may be started, the new one first."""
        new = self.new if self.scenario.repaired else self.new.as_image()
        return [new, *([self.old] if self.old else [])]

    def _make_old(self) -> systems.System | None:
        match self.scenario.old:
            case 'blank':
                return None
            case 'same':
                return self.new
            case 'iso':
                return systems.make_iso(self._size)
            case kind:
                return systems.make(kind, 'OLD', 2, self._size)

    def _make_image(self) -> pathlib.Path:
        raw = self._directory / 'raw'
        raw.write_bytes(self.new.content)
        image = self._directory / 'image'
        match self.scenario.form:
            case 'raw':
                return raw
            case 'zst':
                disks.run('zstd', '-q', raw, '-o', image)
                return image
            case form:
                return images.convert(raw, image,
                                      compress=form == 'compressed')

    def _begin(self, disk: faulty.FaultyDisk) -> None:
        """Write a part of it."""
        left = [2]

        def written(index: int) -> None:
            left[0] -= 1
            if not left[0]:
                raise Interrupted()
        try:
            self._write(disk.device, written)
        except Interrupted:
            return
        raise AssertionError('it was ready too soon')

    def _write(self, device: str, written: typing.Any = None
               ) -> engine.Report:
        with engine.open_source(str(self._image)) as origin, \
                engine.open_target(device) as target:
            source = origin
            expected = checksums.Checksum.parse(disks.checksum(self._image))
            if self.scenario.manifest:
                source = engine.ChunkedSource(
                    manifest_of(self._image, expected), origin)
            inspection = engine.inspect(source, engine.Expectation(
                checksum=expected))
            inspection.raise_if_refused()
            return engine.transfer(
                inspection, target, read_back=self.scenario.read_back,
                journals=str(self._directory / 'journals'), written=written)


class Interrupted(Exception):
    """A write was stopped in the middle."""


def manifest_of(path: pathlib.Path, checksum: checksums.Checksum
                ) -> typing.Any:
    """The manifest of an image file."""
    with (path.open('rb') as file, manifest_builder.Builder(
            path.stat().st_size) as builder):
        while piece := file.read(MIB):
            builder.update(memoryview(piece))
        return builder.finish(checksum)
