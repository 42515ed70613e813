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

"""The figures of a run, and the table of them."""

from collections.abc import Iterator
import dataclasses
import statistics
import typing

from benchmarks import measurement

MIB = 1 << 20
OURS = 'ironic-imagedeploy'
NODE = 'ironic-python-agent'


@dataclasses.dataclass
class Row:
    """What one contender did with one image. Sizes in bytes.

    :ivar stored: of the image, kept in the memory of the ramdisk.
    :ivar fetched: from the web server.
    :ivar written: to the device.
    :ivar zeroed: on the device by request, without being sent.
    :ivar identical: the disk was what the image says.
    """

    name: str
    copies: bool
    runs: list[measurement.Measurement] = dataclasses.field(
        default_factory=list)
    stored: int = 0
    fetched: int = 0
    written: int = 0
    zeroed: int = 0
    identical: bool | None = None

    @property
    def seconds(self) -> float:
        """The median."""
        return statistics.median([run.seconds for run in self.runs])

    @property
    def processor(self) -> float:
        """Median of the seconds of processor time, where it is known."""
        return statistics.median(
            float(run.said.get('processor', 0)) for run in self.runs)

    @property
    def peak(self) -> int:
        """The largest."""
        return max(run.peak for run in self.runs)

    @property
    def inside(self) -> float | None:
        """Median of the seconds in our report, without the start-up."""
        reports = [run.said['report']['seconds'] for run in self.runs
                   if 'report' in run.said]
        return statistics.median(reports) if reports else None

    def to_dict(self) -> dict[str, typing.Any]:
        """For JSON."""
        return {
            'name': self.name, 'seconds': round(self.seconds, 3),
            'runs': [round(run.seconds, 3) for run in self.runs],
            'peak': self.peak, 'stored': self.stored,
            'fetched': self.fetched, 'written': self.written,
            'zeroed': self.zeroed, 'identical': self.identical,
            'said': [run.said for run in self.runs]}


@dataclasses.dataclass
class Result:
    """All that was measured with one image."""

    image: str
    virtual_size: int
    stored_size: int
    rows: list[Row] = dataclasses.field(default_factory=list)

    def row(self, name: str) -> Row:
        """The one of that contender."""
        return next(row for row in self.rows if row.name == name)

    def ratio(self, row: Row) -> float:
        """How many times as long as ours it takes: median of the rounds."""
        return statistics.median(
            theirs.seconds / ours.seconds for theirs, ours
            in zip(row.runs, self.row(OURS).runs, strict=True))

    @property
    def bound(self) -> Row:
        """The part of the work that takes longest on its own."""
        return max((row for row in self.rows if not row.copies),
                   key=lambda row: row.seconds)

    @property
    def work(self) -> float:
        """Seconds of processor time of the parts together."""
        return sum(row.processor for row in self.rows if not row.copies)

    def to_dict(self) -> dict[str, typing.Any]:
        """For JSON."""
        return {
            'image': self.image, 'virtual_size': self.virtual_size,
            'stored_size': self.stored_size,
            'bound': round(self.ratio(self.bound), 3),
            'work': round(self.work, 3),
            'ratios': {row.name: round(self.ratio(row), 3)
                       for row in self.rows},
            'rows': [row.to_dict() for row in self.rows]}


def table(results: list[Result]) -> str:
    """For people; sizes in MiB."""
    lines = []
    for result in results:
        lines += [f'{result.image}: {_mib(result.stored_size)} MiB, a disk '
                  f'of {_mib(result.virtual_size)} MiB', _HEADING]
        lines += map(_line, [result] * len(result.rows), result.rows)
        lines += [*_sentences(result), '']
    return '\n'.join(lines)


_COLUMNS = '  {:<31}{:>9}{:>8}{:>8}{:>8}{:>9}{:>9}{:>9}  {}'
_HEADING = _COLUMNS.format('', 'seconds', 'ratio', 'peak', 'kept', 'fetched',
                           'written', 'zeroed', 'same').rstrip()


def _line(result: Result, row: Row) -> str:
    sizes = [_mib(size) if size else '-' for size in (
        row.stored, row.fetched, row.written, row.zeroed)]
    return _COLUMNS.format(
        row.name, f'{row.seconds:.2f}', f'{result.ratio(row):.2f}',
        _mib(row.peak), *sizes,
        {True: 'yes', False: 'NO', None: ''}[row.identical]).rstrip()


def _sentences(result: Result) -> Iterator[str]:
    bound = result.bound
    yield (f'  bound: {bound.name}, {result.ratio(bound):.2f} of our time; '
           f'all parts take {result.work:.2f} s of a processor')
    if inside := result.row(OURS).inside:
        yield (f'  without the start of Python ours takes {inside:.2f} s, '
               f'the bound is {bound.seconds / inside:.2f} of that')


def _mib(size: int) -> str:
    return str(round(size / MIB))
