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

"""The cost of a look at an image behind a web server.

`check.sh` sets up what it needs and starts it.
"""

import argparse
from collections.abc import Iterator
import pathlib
import signal
import statistics
import sys

from benchmarks import measurement
from benchmarks import server
from benchmarks import table

MIB = table.MIB
_PROGRAM = pathlib.Path(sys.prefix, 'bin', 'ironic-imagedeploy')
#: With all findings, and with those about the devices of this machine.
_WAYS = {'check': (), 'check --here': ('--here',)}
_ROUNDS = 5
_WIDTHS = (24, 9, 9, 8, 9, 10, 9)


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options = _options()
    lines = table.head(
        measurement.machine(['ironic-imagedeploy']),
        f'median of {options.rounds} runs of each command')
    with server.WebServer(options.state_dir, options.state_dir) as web:
        for number, image in enumerate(options.image):
            link = options.state_dir / f'{number}-{image.name}'
            link.symlink_to(image.resolve())
            lines += ['', *_lines(image, link, web, options.rounds)]
    text = '\n'.join(lines) + '\n'
    print(text, end='')
    if options.output:
        options.output.mkdir(parents=True, exist_ok=True)
        (options.output / 'check.txt').write_text(text)
    return 0


def _lines(image: pathlib.Path, link: pathlib.Path, web: server.WebServer,
           rounds: int) -> Iterator[str]:
    """A table of what the looks at an image took, line by line."""
    yield f'{image.name}: {table.mib(image.stat().st_size)} MiB'
    yield table.line('', ('seconds', 'slowest', 'cpu', 'fetched', 'requests',
                          'peak'), _WIDTHS)
    for label, words in _WAYS.items():
        runs, sent, requests = [], web.sent, web.requests
        for _ in range(rounds):
            runs.append(measurement.run(
                [_PROGRAM, 'check', '--json', *words, web.url(link)], {}))
        seconds = [run.seconds for run in runs]
        yield table.line(f'  {label}', (
            f'{statistics.median(seconds):.2f}', f'{max(seconds):.2f}',
            f'{statistics.median(run.processor for run in runs):.2f}',
            f'{(web.sent - sent) / rounds / MIB:.1f}',
            str(round((web.requests - requests) / rounds)),
            table.mib(max(run.peak for run in runs))), _WIDTHS)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='benchmarks/check.sh', description='Measure what a look at an '
        'image behind a web server costs. All of it stays on this machine.')
    parser.add_argument('--state-dir', type=pathlib.Path, required=True,
                        help=argparse.SUPPRESS)
    parser.add_argument('--cache-dir', type=pathlib.Path, required=True,
                        help=argparse.SUPPRESS)
    parser.add_argument('image', type=pathlib.Path, nargs='+',
                        metavar='IMAGE', help='a file')
    parser.add_argument('--rounds', type=int, default=_ROUNDS,
                        metavar='COUNT',
                        help='of each command (default: %(default)s)')
    parser.add_argument('--output', type=pathlib.Path, metavar='FOLDER',
                        help='for check.txt')
    return parser.parse_args()


if __name__ == '__main__':
    sys.exit(main())
