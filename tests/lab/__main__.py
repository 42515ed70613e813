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

"""The lab's command line; tools/lab.sh calls it."""

import argparse
import os
import pathlib
import select
import shutil
import signal
import sys
import time

from tests.lab import checks
from tests.lab import progress
from tests.lab import scenario

_MARK = '.ironic-imagedeploy-lab'


def main() -> int:
    """Run the main job; 0 when every check passed."""
    arguments = _parse()
    state = _prepare(arguments.state_dir)
    os.environ['TMPDIR'] = str(state / 'tmp')
    signal.signal(signal.SIGALRM, _too_long)
    signal.alarm(arguments.timeout)
    checkout = pathlib.Path(__file__).resolve().parents[2]
    job = scenario.MainJob(checkout, state, arguments.deploy_interface)
    try:
        counts = checks.run(job.checks)
        signal.alarm(0)
        if counts.failed:
            scenario.show_logs(job)
        if arguments.keep:
            _keep(state, arguments.keep)
    finally:
        job.services.stop()
    print(counts, flush=True)
    return 1 if counts.failed else 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='tools/lab.sh',
        description='Deploy an image from Glance with Ironic onto a virtual '
                    'machine, and see it boot.')
    parser.add_argument(
        '--deploy-interface', default='imagedeploy',
        help='of the nodes (default: %(default)s)')
    parser.add_argument(
        '--keep', type=int, nargs='?', const=3600, default=0,
        metavar='SECONDS',
        help='leave everything running at the end, until Enter or for so '
             'long (default: an hour)')
    parser.add_argument(
        '--state-dir', type=pathlib.Path, required=True, metavar='DIR',
        help='keep logs, disks and databases in DIR (default: a temporary '
             'directory, removed at the end)')
    parser.add_argument(
        '--timeout', type=int, default=1800, metavar='SECONDS',
        help='of all checks together (default: %(default)s)')
    return parser.parse_args()


def _prepare(state: pathlib.Path) -> pathlib.Path:
    """Empty the directory, if it is one of the lab's."""
    state = state.resolve()
    state.mkdir(parents=True, exist_ok=True)
    if any(state.iterdir()) and not (state / _MARK).exists():
        sys.exit(f'{state} is not empty and not a state of the lab')
    for path in state.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    (state / _MARK).touch()
    (state / 'tmp').mkdir()
    return state


def _too_long(number: int, frame: object) -> None:
    raise TimeoutError('the lab as a whole took too long')


def _keep(state: pathlib.Path, seconds: int) -> None:
    outer = os.environ['LAB_PID']
    progress.say(f'still running, files in {state}; to look inside: '
                 f'nsenter --target $(cat /proc/{outer}/task/{outer}/children)'
                 ' --net --pid --mount')
    if sys.stdin.isatty():
        progress.say(f'Enter ends it, or {seconds} s')
        select.select([sys.stdin], [], [], seconds)
    else:
        progress.say(f'ends in {seconds} s')
        time.sleep(seconds)


if __name__ == '__main__':
    sys.exit(main())
