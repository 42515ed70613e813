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

"""The power fails while a software RAID gets a system, and its disks fail.

The array is the kernel's, in a machine that has it. What reaches its disks is
recorded outside, and each state that a power cut may leave of both is judged
as firmware would, which may start from either.
"""

import json
import pathlib
import subprocess
import typing

from tests.functional import array_images
from tests.functional import inside
from tests.functional import machine_array_members
from tests.functional import machine_array_power
from tests.support import disks
from tests.support.faults import cuts
from tests.support.faults import deployed
from tests.support.faults import disk as faulty
from tests.support.faults import firmware
from tests.support.faults import outside
from tests.support.faults import power
from tests.support.faults import recording
from tests.support.faults import systems
from tests.support.faults import table

SIZE = array_images.SIZE
COUNT = len(array_images.DISKS)
#: About disks without a system.
_NOTHING = {'esp': [None] * COUNT, 'needed': [[[0, SIZE]]] * COUNT,
            'array': [[]] * COUNT}
_MODULES = ('loop', 'virtio_blk', 'raid1', 'ext4', 'vfat', 'nls_cp437',
            'nls_ascii')
#: Seconds, of some thirty deployments on a busy computer.
_LONGEST = 5400

#: By udev the agent knows what is on a device. It assembles no array: tests
#: do, when they have been told to.
_UDEV = '''mkdir -p /etc/mdadm
echo AUTO -all >/etc/mdadm/mdadm.conf
/lib/systemd/systemd-udevd --daemon
udevadm trigger
udevadm settle'''


class ArrayMachineTest(inside.MachineTestCase):

    def setUp(self) -> None:
        super().setUp()
        if lacking := systems.lacking():
            self.skipTest(f'needs the package {lacking}')
        self.shared = self.directory / 'shared'
        self.shared.mkdir()

    def run_with_disks(self, tests: str) -> None:
        """Run tests inside, with the disks outside."""
        served = []
        for number in range(COUNT):
            backing = self.directory / f'disk{number}'
            disks.fill(backing, SIZE, 0)
            disk = faulty.FaultyDisk(backing, self.directory, loop=False)
            self.addCleanup(disk.close)
            served.append(disk)
        with outside.Disks(self.shared, served):
            self.run_inside(tests, *_MODULES, prepare=_UDEV,
                            shared=self.shared, timeout=_LONGEST,
                            files=[disk.file for disk in served])

    def test_power(self) -> None:
        self.run_with_disks(machine_array_power.__name__)
        for name in machine_array_power.NAMES:
            for kind in ('OLD', 'NEW'):
                with self.subTest(name, kind=kind):
                    self.check(name, kind)

    def test_members_that_fail(self) -> None:
        self.run_with_disks(machine_array_members.__name__)
        self.judge_attempts()

    def judge_attempts(self) -> None:
        attempts = sorted(
            (self.shared / machine_array_members.ATTEMPTS).iterdir(),
            key=lambda folder: int(folder.name))
        for folder in attempts:
            about = json.loads((folder / 'about').read_text())
            with self.subTest(about['fault'], error=about['error']):
                self.check_attempt(folder, **about)

    def check_attempt(self, folder: pathlib.Path, fault: str, error: str,
                      former: str, words: str, survives: bool,
                      about: dict[str, typing.Any] | None) -> None:
        """See that a deployment is whole on both disks, or was refused."""
        media = [cuts.Medium(folder / f'after{number}')
                 for number in range(COUNT)]
        known = system(self.shared / former, 'OLD', media)
        starts = [[*firmware.starts(medium)] for medium in media]
        whole = bool(about and all(starts) and _is_whole(media, about))
        halves = [str(start) for medium, found in zip(
            media, starts, strict=True) for start in found
            if not known.is_whole(medium, start.firmware)]
        if whole or 'MAY BOOT' in error:
            halves = []
        table.add(table.Row(
            'raid', fault, tries=1, survived=int(whole),
            refused=int(bool(error)), lost=int(not error and not whole),
            half=len(halves) if error else 0))
        self.assertTrue(whole or error)
        self.assertEqual(survives, not error)
        self.assertEqual([], halves)
        if error:
            self.assertIn(words, error)

    def check(self, name: str, kind: str) -> None:
        """Judge each state that a power cut may leave of a recording."""
        folder = self.shared / name / kind
        media = [cuts.Medium(folder / f'before{number}')
                 for number in range(COUNT)]
        known = [system(self.shared / name / each, each, media)
                 for each in dict.fromkeys((kind, 'OLD'))]
        made = recording.JointRecording([
            recording.Recording(folder / f'log{number}')
            for number in range(COUNT)], SIZE)
        verdicts = power.Verdicts(media, known)
        cuts.replay(made, cuts.Media(media), verdicts.judge, sectors=[
            number * SIZE + at for number in range(COUNT)
            for at in firmware.sectors(SIZE)], effort=table.effort() / 6)
        over = ' over another' if kind == 'NEW' else ''
        table.add(verdicts.row('raid', f'{name}{over}'))
        for number, medium in enumerate(media):
            self.assertEqual((folder / f'after{number}').read_bytes(),
                             medium.view.tobytes(), 'the recording differs')
        self.assertEqual([], [str(half) for half in verdicts.halves[:20]],
                         f'{len(verdicts.halves)} of {verdicts.tries}')
        self.assertGreater(verdicts.counts[kind], 0, verdicts.counts)
        self.assertGreater(verdicts.counts[power.NOTHING], 100)


def _is_whole(media: list[cuts.Medium], about: dict[str, typing.Any]
              ) -> bool:
    """Whether each disk has the root file system, and that all of it."""
    found = {bytes(medium.view[start:end])
             for medium, [(start, end)] in zip(
                 media, about['array'], strict=True)}
    path = media[0].path.with_name('root')
    path.write_bytes(min(found))
    checked = subprocess.run(['e2fsck', '-fn', path], capture_output=True)
    return len(found) == 1 and not checked.returncode and all(
        _content(path, name) == content for name, content in (
            (machine_array_members.PATH, machine_array_members.PAYLOAD),
            (machine_array_members.KERNEL, machine_array_members.NEW)))


def _content(path: pathlib.Path, name: str) -> bytes:
    """A file in a file system."""
    return subprocess.run(['debugfs', '-R', f'cat /{name}', path],
                          capture_output=True).stdout


def system(folder: pathlib.Path, name: str, media: list[cuts.Medium]
           ) -> deployed.MirroredSystem:
    """What was deployed in a recording."""
    about = json.loads((folder / 'about').read_text()) or _NOTHING
    return deployed.MirroredSystem(name, [
        deployed.DeployedSystem(name, folder / f'after{number}', esp, needed)
        for number, (esp, needed) in enumerate(zip(
            about['esp'], about['needed'], strict=True))],
        about['array'], media)
