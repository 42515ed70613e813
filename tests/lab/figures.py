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

"""What a deployment cost, from what the ramdisk and the conductor recorded."""

from collections.abc import Sequence
import dataclasses
import datetime
import re

_BEGIN = re.compile(r"Executing deploy step .*'step': 'write_image'")
_END = re.compile(r"Deploy step completed: .*'step': 'write_image'")
_TIME = re.compile(r'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}')
_CONVERSION = re.compile(r'CMD ".*qemu-img convert .*" returned: 0 '
                         r'in ([\d.]+)s')

# The firmware writes to every serial port as well.
_SAMPLE = re.compile(r'^(\d+\.\d{3}) (\d+) (\d+)\s*$', re.M)


class NotRecorded(Exception):
    """A record does not say what was looked for."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class WriteStep:
    """The deploy step write_image, as the ramdisk saw it.

    :ivar seconds: that the agent took for it
    :ivar memory: by how many bytes the available memory went down at most
    :ivar available: the fewest bytes of memory that were available
    :ivar received: bytes of whole frames that reached the ramdisk
    :ivar samples: number of samples that this comes from
    """

    seconds: float
    memory: int
    available: int
    received: int
    samples: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Deployment:
    """One deployment.

    :ivar sent_as: disk format in which the node was given the image
    :ivar conversion: seconds of qemu-img on the conductor
    :ivar write_step: None if it did not come to its end
    :ivar seconds: from the request until the node was active or failed
    :ivar load: of the host, over the last 5 minutes of it
    :ivar result: in words
    """

    deploy_interface: str
    sent_as: str | None
    conversion: float
    write_step: WriteStep | None
    seconds: float
    load: float
    result: str


@dataclasses.dataclass(frozen=True)
class _Sample:
    time: float
    available: int
    received: int


def write_step(console: str, samples: str) -> WriteStep:
    """Read what the deploy ramdisk wrote to its two serial ports.

    :param console: the log of the agent, among others
    :param samples: lines of the sampler, among others
    :raises: :class:`NotRecorded`
    """
    began, ended = _time_of(_BEGIN, console), _time_of(_END, console)
    taken = [_Sample(float(time), int(available), int(received))
             for time, available, received in _SAMPLE.findall(samples)]
    before = [each for each in taken if each.time <= began]
    after = [each for each in taken if each.time >= ended]
    if not before or not after:
        raise NotRecorded('the samples do not span the write step')
    during = taken[len(before) - 1:len(taken) - len(after) + 1]
    lowest = min(each.available for each in during)
    return WriteStep(
        seconds=round(ended - began, 3),
        memory=during[0].available - lowest, available=lowest,
        received=during[-1].received - during[0].received,
        samples=len(during))


def conversion(conductor_log: str) -> float:
    """Seconds that the conductor spent in converting images."""
    return sum(map(float, _CONVERSION.findall(conductor_log)), start=0.0)


def table(deployments: Sequence[Deployment]) -> str:
    """The figures as a text, a column for each deployment."""
    columns = [_column(each) for each in deployments]
    widths = [max(map(len, column.values())) for column in columns]
    title = max(map(len, columns[0]))
    return '\n'.join(
        '   '.join([row.ljust(title), *(
            column[row].rjust(width)
            for column, width in zip(columns, widths, strict=True))])
        for row in columns[0])


def _column(deployment: Deployment) -> dict[str, str]:
    step = deployment.write_step
    return {
        '': deployment.deploy_interface,
        'sent to the node as': deployment.sent_as or '-',
        'conversion by the conductor':
            _seconds(deployment.conversion) if deployment.conversion else '-',
        'write step': _seconds(step.seconds) if step else '-',
        'memory used at peak': mebibytes(step.memory) if step else '-',
        'memory left at least': mebibytes(step.available) if step else '-',
        'received by the ramdisk': mebibytes(step.received) if step else '-',
        'whole deployment': _seconds(deployment.seconds),
        'load of the host': f'{deployment.load:.1f}',
        'result': deployment.result}


def _seconds(count: float) -> str:
    return f'{count:.1f} s'


def mebibytes(count: int) -> str:
    """A number of bytes in words."""
    return f'{count / (1 << 20):.1f} MiB'


def _time_of(event: re.Pattern[str], console: str) -> float:
    for line in console.splitlines():
        time = _TIME.search(line)
        if time and event.search(line):
            return datetime.datetime.fromisoformat(
                f'{time[0]}+00:00').timestamp()
    raise NotRecorded(f'the console does not show {event.pattern}')
