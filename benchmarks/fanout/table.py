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

"""Table of what became of the nodes."""

from collections.abc import Sequence
import typing

from benchmarks.fanout import fleet

_HEAD = (f'{"":22} {"link of server":>14} {"images sent":>11} '
         f'{"first":>8} {"median":>8} {"last":>8} {"processor":>9}')


def row(result: fleet.Result, size: int) -> str:
    """Line of a case.

    :param size: bytes of the image.
    """
    seconds = result.seconds()
    processor = [each['processor'] for each in result.nodes.values()]
    return (f'{result.case.name:22} '
            f'{result.case.server_rate / 1e6:7.0f} Mbit/s '
            f'{result.sent / size:11.2f} '
            f'{seconds[0]:6.1f} s {seconds[len(seconds) // 2]:6.1f} s '
            f'{seconds[-1]:6.1f} s '
            f'{sum(processor) / len(processor):7.2f} s')


def made(results: Sequence[fleet.Result], machine: dict[str, typing.Any],
         size: int) -> str:
    """The table, with what it was made on.

    :param size: bytes of the image.
    """
    case = max((result.case for result in results),
               key=lambda each: each.nodes)
    lines = [
        f'{case.nodes} nodes, each with a link of {case.rate / 1e6:.0f} '
        f'Mbit/s; one raw image of {size >> 20} MiB without zeroes', '',
        _HEAD, *(row(result, size) for result in results), '',
        f'{machine["date"]}, {machine["processors"]} processors '
        f'({machine["processor"]}), Linux {machine["kernel"]}, '
        f'load before {machine["load_before"]:.1f}, '
        f'TCP with {machine["congestion_control"]}',
        ', '.join(f'{name} {version}' for name, version
                  in machine['versions'].items())]
    alone = [result.seconds()[0] for result in results
             if result.case.name == 'one-node']
    if alone:
        lines[-3:-3] = ['last node against one node alone: ' + ', '.join(
            f'{result.case.name} {result.seconds()[-1] / alone[0]:.2f}'
            for result in results[1:]), '']
    return '\n'.join(lines) + '\n'
