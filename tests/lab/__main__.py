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
import contextlib
import json
import os
import pathlib
import select
import shutil
import signal
import sys
import time
from typing import TextIO

from tests.lab import agent_builder
from tests.lab import checks
from tests.lab import comparison
from tests.lab import guide
from tests.lab import kexec
from tests.lab import neighbours
from tests.lab import partition
from tests.lab import quickstart
from tests.lab import reach
from tests.lab import scenario
from tests.lab import starting
from tests.lab import watching
from tests.support import progress

_MARK = '.ironic-imagedeploy-lab'


def main() -> int:
    """Run a job; 0 when every check passed."""
    arguments = _parse()
    if not arguments.json:
        return _run(arguments)
    output = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):
        return _run(arguments, output)


def _run(arguments: argparse.Namespace,
         json_output: TextIO | None = None) -> int:
    state = _prepare(arguments.state_dir)
    os.environ['TMPDIR'] = str(state / 'tmp')
    signal.signal(signal.SIGALRM, _too_long)
    signal.alarm(arguments.timeout)
    job = _job(arguments, state)
    try:
        counts = checks.run(job.checks)
        signal.alarm(0)
        if counts.failed:
            job.show_logs()
        if isinstance(job, comparison.Comparison) and job.deployments:
            print(f'\n{job.text()}\n', flush=True)
            if json_output:
                json.dump(job.to_dict(), json_output, indent=4)
                print(file=json_output, flush=True)
        if arguments.keep:
            _keep(state, arguments.keep)
    finally:
        job.services.stop()
    print(counts, flush=True)
    return 1 if counts.failed else 0


def _job(arguments: argparse.Namespace,
         state: pathlib.Path) -> comparison.Comparison | scenario.MainJob | (
             partition.PartitionJob | watching.WatchJob
             | neighbours.NeighboursJob | reach.ReachJob
             | starting.StartJob | kexec.KexecJob | guide.GuideJob
             | quickstart.QuickStartJob):
    checkout = pathlib.Path(__file__).resolve().parents[2]
    if arguments.compare is not None:
        return comparison.Comparison(
            checkout, state, arguments.compare or ['direct', 'imagedeploy'],
            arguments.force_raw_images)
    if arguments.partition_image is not None:
        return partition.PartitionJob(
            checkout, state, arguments.partition_image, arguments.builder,
            arguments.rebuild, arguments.force_raw_images)
    if arguments.neighbours:
        return neighbours.NeighboursJob(
            checkout, state, arguments.neighbours,
            arguments.force_raw_images)
    if arguments.reach:
        return reach.ReachJob(checkout, state, arguments.force_raw_images)
    if arguments.kexec:
        return kexec.KexecJob(checkout, state, arguments.force_raw_images)
    if arguments.start is not None:
        return starting.StartJob(
            checkout, state, arguments.start or [*starting.CONTROLLERS],
            arguments.force_raw_images)
    if arguments.guide is not None:
        return guide.GuideJob(
            checkout, state, arguments.guide or ['whole-disk', 'partition'],
            arguments.force_raw_images)
    if arguments.quickstart:
        return quickstart.QuickStartJob(checkout, state,
                                        arguments.force_raw_images)
    if arguments.agent_builder:
        return agent_builder.AgentBuilderJob(
            checkout, state, arguments.deploy_interface,
            arguments.force_raw_images)
    if arguments.watch is not None:
        return watching.WatchJob(checkout, state, arguments.force_raw_images,
                                 arguments.watch)
    return scenario.MainJob(checkout, state, arguments.deploy_interface,
                            arguments.force_raw_images)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='tools/lab.sh',
        description='Deploy an image from Glance with Ironic onto a virtual '
                    'machine, and see it boot.')
    job = parser.add_mutually_exclusive_group()
    job.add_argument(
        '--deploy-interface', default='imagedeploy',
        help='of the nodes (default: %(default)s)')
    job.add_argument(
        '--compare', nargs='*', metavar='DEPLOY_INTERFACE',
        help='deploy the image with each of these onto the same machine, and '
             'print what it cost (default: direct imagedeploy)')
    job.add_argument(
        '--partition-image', nargs='*', choices=partition.KINDS,
        metavar='MACHINE',
        help='deploy a partition image, with swap, an ephemeral partition and '
             'a config drive, onto each of these machines: uefi, bios, nvme '
             '(UEFI, an NVMe disk), 4kn (UEFI, a disk with sectors of 4096 '
             'bytes, from which SeaBIOS does not boot), raid and raid-bios (a '
             'mirror of two disks, made by Linux) (default: uefi bios)')
    job.add_argument(
        '--watch', nargs='?', const='', metavar='FILE',
        help='deploy the image over a slow network, look at the progress '
             'every second, and write what ironic-imagedeploy watch shows of '
             'it into FILE')
    job.add_argument(
        '--neighbours', type=int, metavar='MACHINES',
        help='deploy the image onto so many machines at once, over a network '
             'in which the conductor is slow, and see who served whom')
    job.add_argument(
        '--reach', action='store_true',
        help='add the agent side to a ready ramdisk; deploy two nodes that '
             'are prepared as the baremetal operator of Metal3 does it, one '
             'by the deploy step alone, and one from a registry')
    job.add_argument(
        '--start', nargs='*', choices=[*starting.CONTROLLERS],
        metavar='CONTROLLER',
        help='deploy an image onto a machine with a disk that its kernel has '
             'no driver for: it is refused, unless its owner mutes that, and '
             'does not start then; the same image with another kernel starts '
             f'(default: {" ".join(starting.CONTROLLERS)})')
    job.add_argument(
        '--kexec', action='store_true',
        help='deploy a machine with UEFI and one with BIOS, whose systems are '
             'started by kexec from the ramdisk, and once more by the '
             'firmware')
    job.add_argument(
        '--guide', nargs='*', choices=[*guide.KINDS], metavar='MACHINE',
        help='build and upload the images of the user guide by its commands, '
             'and deploy them onto these machines: whole-disk (UEFI), '
             'whole-disk-bios, whole-disk-sata (UEFI, a disk that '
             "Debian's kernel for clouds does not find), partition (UEFI) "
             '(default: whole-disk partition)')
    job.add_argument(
        '--agent-builder', action='store_true',
        help='build the deploy ramdisk with ironic-python-agent-builder and '
             'our element, as an operator does it, and deploy with it')
    job.add_argument(
        '--quickstart', action='store_true',
        help='follow the quick start, line by line, in a fresh Debian: from '
             'the checkout to a deployed node')
    parser.add_argument(
        '--builder', choices=partition.BUILDERS, default='debian',
        help='of the partition image: debian, from packages; '
             'kernel-beside, the same with the kernel and the initramfs '
             'beside the image; dib, by diskimage-builder (default: '
             '%(default)s)')
    parser.add_argument(
        '--rebuild', action='store_true',
        help='of --partition-image: rebuild each machine afterwards, and see '
             'that a file on its ephemeral partition is still there')
    parser.add_argument(
        '--force-raw-images', action=argparse.BooleanOptionalAction,
        default=True,
        help="Ironic's option of this name: with the interface direct, the "
             'conductor converts the image to raw (default: as in Ironic)')
    parser.add_argument(
        '--json', action='store_true',
        help='of --compare: the figures as JSON on standard output, and all '
             'else on standard error')
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
        '--timeout', type=int, metavar='SECONDS',
        help='of all checks together (default: 1800, and 900 for each '
             'deployment of a partition image; 1800 for each controller of '
             '--start)')
    arguments = parser.parse_args()
    if arguments.json and arguments.compare is None:
        parser.error('--json goes with --compare')
    if arguments.partition_image is None and (
            arguments.rebuild or arguments.builder != 'debian'):
        parser.error('--builder and --rebuild go with --partition-image')
    if arguments.partition_image == []:
        arguments.partition_image = ['uefi', 'bios']
    if (arguments.guide is not None or arguments.agent_builder
            or arguments.quickstart):
        arguments.timeout = arguments.timeout or 14400
    if arguments.timeout is None:
        machines = (len(arguments.partition_image or [])
                    + (arguments.neighbours or 0) + 2 * arguments.kexec)
        arguments.timeout = 1800 + 900 * machines * (1 + arguments.rebuild)
        if arguments.start is not None:
            arguments.timeout *= 1 + len(arguments.start
                                         or starting.CONTROLLERS)
    return arguments


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
