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

"""What a machine is, and what one command takes on it."""

from collections.abc import Iterator
from collections.abc import Sequence
import dataclasses
import datetime
import glob
import importlib.metadata
import json
import os
import pathlib
import platform
import re
import resource
import signal
import subprocess
import time
import typing

_SAMPLE = 0.05


@dataclasses.dataclass(frozen=True)
class Measurement:
    """What one run took.

    :ivar seconds: what the command says of its work, else its whole run.
    :ivar peak: bytes: the most that the peaks (VmHWM) of its processes
        added up to at one time.
    :ivar written: bytes that they gave to the device, zeroes by request not
        among them.
    :ivar processor: seconds of a processor, of all its processes; of its
        work alone where the command says so.
    :ivar machine: seconds of its processors that the machine was busy while
        the command ran: with it, the web server, the kernel and all else.
    :ivar said: the last line of its output when that is JSON.
    """

    seconds: float
    peak: int
    written: int
    processor: float
    machine: float
    said: dict[str, typing.Any]


class Failed(Exception):
    """A command ended with an error."""


def machine(packages: Sequence[str]) -> dict[str, typing.Any]:
    """Date, processors, memory, kernel, load and versions, for a table.

    :param packages: whose versions count, as far as they are installed.
    """
    processor = re.search(r'^model name\s*: (.*)$', pathlib.Path(
        '/proc/cpuinfo').read_text(), re.MULTILINE)
    return {
        'date': datetime.datetime.now(datetime.UTC).date().isoformat(),
        'processor': processor[1] if processor else platform.machine(),
        'processors': os.cpu_count(),
        'memory': (os.sysconf('SC_PHYS_PAGES')
                   * os.sysconf('SC_PAGE_SIZE')),
        'kernel': platform.release(), 'load_before': os.getloadavg()[0],
        'versions': {name: version for name in packages
                     if (version := _version(name))}}


def run(command: Sequence[str | pathlib.Path],
        environment: dict[str, str]) -> Measurement:
    """Run a command and watch it.

    :raises Failed: when its exit status is not 0.
    """
    before, busy, machine_busy = written(), _processor(), _machine_busy()
    start = time.monotonic()
    process = subprocess.Popen(
        ['setpriv', '--pdeathsig', 'KILL', *command],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, env=os.environ | environment,
        start_new_session=True)
    try:
        peak = 0
        while True:
            try:
                output, errors = process.communicate(timeout=_SAMPLE)
                break
            except subprocess.TimeoutExpired:
                peak = max(peak, sum(map(_peak, _family(process.pid))))
        seconds = time.monotonic() - start
        machine_busy = _machine_busy() - machine_busy
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    if process.returncode:
        raise Failed(f'{" ".join(map(str, command))}: exit status '
                     f'{process.returncode}\n{errors[-2000:]}')
    said = _last_line(output)
    return Measurement(
        said.get('seconds', seconds), peak,
        said.get('written', written() - before),
        said.get('processor', _processor() - busy), machine_busy, said)


def written() -> int:
    """Bytes, by all commands that ended until now."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_oublock * 512


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _processor() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _machine_busy() -> float:
    """Seconds that the processors have worked (proc_stat(5)), all together."""
    with open('/proc/stat') as file:
        user, nice, system, _, _, irq, softirq = map(
            int, file.readline().split()[1:8])
    return (user + nice + system + irq + softirq) / os.sysconf('SC_CLK_TCK')


def _last_line(output: str) -> dict[str, typing.Any]:
    for line in output.splitlines()[-1:]:
        if line.startswith('{'):
            said: dict[str, typing.Any] = json.loads(line)
            return said
    return {}


def _family(pid: int) -> Iterator[int]:
    """A process and all below it, as long as they are there."""
    yield pid
    for children in glob.glob(f'/proc/{pid}/task/*/children'):
        try:
            below = pathlib.Path(children).read_text().split()
        except OSError:
            continue
        for child in below:
            yield from _family(int(child))


def _peak(pid: int) -> int:
    try:
        status = pathlib.Path(f'/proc/{pid}/status').read_text()
    except OSError:
        return 0
    for line in status.splitlines():
        if line.startswith('VmHWM:'):
            return int(line.split()[1]) * 1024
    return 0
