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


import pathlib
import random
import re
import subprocess
import tempfile
import time

from tests.functional import base
from tests.support import images

MIB = base.MIB
BOUND = 128 * MIB
_BLOCK = 64 * 1024


def make_large(path: pathlib.Path, size: int, data_size: int
               ) -> pathlib.Path:
    """A sparse disk with that much data, of which half can be compressed."""
    dice = random.Random(size + data_size)
    noise = dice.randbytes(_BLOCK // 2)
    run = 64 * _BLOCK
    with path.open('wb') as file:
        file.truncate(size)
        for number in sorted(dice.sample(range(size // run),
                                         data_size // run)):
            file.seek(number * run)
            for block in range(64):
                # Each block differs, without the cost of noise for each.
                mark = (number << 8 | block).to_bytes(8, 'big')
                file.write(mark * (_BLOCK // 16) + mark
                           + noise[8:] if block % 2
                           else noise + mark * (_BLOCK // 16))
    images.partition(path)
    return path


def measure(*command: str | pathlib.Path, status: int = 0) -> int:
    """Most memory, in bytes, that a command took.

    The resource usage that wait4 gives would include that of this process,
    from before the command was executed in its copy.

    :param status: with which it has to end.
    """
    with tempfile.TemporaryFile('w+') as said:
        program = subprocess.Popen(command, stdout=said, stderr=said)
        peak = 0
        while program.poll() is None:
            peak = max(peak, high_water_mark(program.pid))
            time.sleep(0.05)
        said.seek(0)
        if program.returncode != status:
            raise AssertionError(
                f'status {program.returncode}: {said.read()}')
    return peak


def high_water_mark(pid: int) -> int:
    """Most memory, in bytes, that a running program has had."""
    status = pathlib.Path(f'/proc/{pid}/status').read_text()
    match = re.search(r'^VmHWM:\s+(\d+) kB$', status, re.MULTILINE)
    return int(match[1]) * 1024 if match else 0
