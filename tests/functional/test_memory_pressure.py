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

"""A write with too little memory ends, and leaves nothing that starts.

The kernel kills it at any moment, or gives it no more. ``tools/faults.sh
memory`` tries more moments.
"""

import hashlib
import json
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from tests.functional import agent_process
from tests.functional import base
from tests.functional import memory
from tests.functional import partition_images
from tests.support import disks
from tests.support.faults import cuts
from tests.support.faults import firmware
from tests.support.faults import memory_group
from tests.support.faults import table
from tests.support import images
from tests.support import ramdisk
from tests.support import web

MIB = base.MIB
SIZE = 96 * MIB
#: Seconds of the server for 256 KiB.
_SLOW = 0.003


class PressureTestCase(base.FunctionalTestCase):
    """A compressed image on a server, which is none too fast.

    :cvar WHO: writes it, for the table.
    :cvar ENDS: statuses of a write whose memory was taken.
    :cvar LAST: statuses of one with the least memory that is tried.
    """

    WHO = ''
    ENDS = 0, -signal.SIGKILL
    LAST: tuple[int, ...] = (-signal.SIGKILL,)

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.shared = disks.make_directory()
        cls.addClassCleanup(shutil.rmtree, cls.shared)
        cls.guest = images.make_guest(cls.shared / 'guest', SIZE, seed=31,
                                      label='gpt')
        dice = random.Random(31)
        with cls.guest.open('r+b') as file:
            file.seek(4 * MIB)
            for _ in range(80):
                file.write(dice.randbytes(MIB // 2) + bytes(MIB // 2))
        images.convert(cls.guest, cls.shared / 'image', compress=True)

    def setUp(self) -> None:
        super().setUp()
        if lacking := memory_group.lacking():
            self.skipTest(f'no {lacking}')
        self.server = web.Server(self.shared)
        self.addCleanup(self.server.stop)
        self.server.answer = self.slowly
        self.target = self.disk(SIZE + 2 * MIB)
        self.command = (base.PROGRAM, 'write', self.server.url('image'),
                        self.target.device, '--progress', 'none',
                        '--checksum', disks.checksum(self.shared / 'image'))

    def slowly(self, exchange: web.Exchange) -> None:
        write = exchange.wfile.write

        def slow(content: bytes) -> int:
            time.sleep(_SLOW)
            return write(content)
        exchange.wfile.write = slow
        exchange.serve()

    def is_whole(self) -> bool:
        """Whether the image is on the disk."""
        return disks.first_difference(
            self.guest, self.target.backing, SIZE) is None

    def ended(self, fault: str, status: int, said: str) -> None:
        """Look at the disk after a write that has ended."""
        disks.run('sync')
        whole = self.is_whole()
        started = [] if whole else [
            *firmware.starts(cuts.Medium(self.target.backing))]
        table.add(table.Row(
            'memory', f'{self.WHO}{fault}', tries=1,
            survived=int(not status and whole),
            refused=int(status != 0), lost=int(not status and not whole),
            half=len(started)))
        self.assertEqual([], started)
        self.assertTrue(whole or status, 'the image is not there')
        self.check_said(said)
        if not whole and not disks.holds(
                self.target.backing, 0, self.target.size, disks.OLD):
            self.check_left()

    def check_left(self) -> None:
        """See what a write that ended too early leaves."""
        self.assert_boots_nothing(self.target)

    def check_said(self, said: str) -> None:
        """See that what was said is for users."""
        self.assertNotIn('Traceback', said)

    def check_moments(self, tries: int) -> None:
        """Take the memory of a write, at any moment."""
        dice = random.Random(3)
        began = time.monotonic()
        with memory_group.MemoryGroup(512 * MIB) as group:
            process = group.start(*self.command)
            _, said = process.communicate(timeout=120)
            self.ended('memory is plenty', process.returncode, said)
            self.assertEqual((0, 0), (process.returncode, group.kills), said)
        whole = time.monotonic() - began
        killed = 0
        for _ in range(int(tries * table.effort())):
            disks.fill(self.target.backing, self.target.size)
            with memory_group.MemoryGroup(256 * MIB) as group:
                process = group.start(*self.command)
                time.sleep(dice.uniform(0, whole))
                with group.exhausted():
                    _, said = process.communicate(timeout=120)
                self.ended('the kernel kills for memory',
                           process.returncode, said)
                self.assertIn(process.returncode, self.ENDS, said)
                if process.returncode:
                    self.assertGreater(group.kills, 0)
                    killed += 1
        self.assertGreater(killed, tries // 3)
        done = subprocess.run(self.command, capture_output=True, text=True,
                              check=False)
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertTrue(self.is_whole())

    def check_sizes(self, *sizes: int) -> None:
        """Give a write less and less memory; the first is enough.

        :param sizes: MiB; the last is too little.
        """
        statuses = []
        for size in sizes:
            disks.fill(self.target.backing, self.target.size)
            with memory_group.MemoryGroup(size * MIB) as group:
                process = group.start(*self.command)
                _, said = process.communicate(timeout=300)
            self.ended('memory is little', process.returncode, said)
            self.assertIn(process.returncode, self.ENDS, said)
            statuses.append(process.returncode)
        self.assertEqual(0, statuses[0])
        self.assertIn(statuses[-1], self.LAST)


class KilledTest(PressureTestCase):

    def test_at_any_moment(self) -> None:
        self.check_moments(6)


class LittleTest(PressureTestCase):

    def test_less_and_less(self) -> None:
        # The first one is what is promised.
        self.assertEqual(memory.BOUND, 128 * MIB)
        self.check_sizes(128, 96, 64, 48, 32, 24, 16)

    def test_addresses_run_out(self) -> None:
        """Python is told that there is no more, wherever it asks."""
        ended = set()
        for size in range(120, 700, int(80 / table.effort()) + 20):
            disks.fill(self.target.backing, self.target.size)
            done = subprocess.run(
                ['sh', '-c', 'ulimit -v "$0" && exec "$@"', str(size << 10),
                 *self.command], text=True, capture_output=True, timeout=120)
            self.ended('addresses run out', done.returncode, done.stderr)
            ended.add(done.returncode)
            if done.returncode:
                self.assertIn('memory ran out', done.stderr)
        self.assertIn(0, ended)
        self.assertGreater(len(ended), 1)


class AgentTestCase(PressureTestCase):
    """The agent, which Ironic asks for the deploy step."""

    WHO = 'agent: '
    # A program that it needs may be killed in its place.
    ENDS = 0, 1, -signal.SIGKILL
    #: A command that the agent runs in.
    INSIDE: tuple[str, ...] = ()

    def setUp(self) -> None:
        super().setUp()
        # It moves the backup of a GPT to the end of a larger disk.
        self.target = self.disk(SIZE)
        self.order()

    def order(self, **info: object) -> None:
        """Let the command be the agent, which is told that of the image."""
        image = self.shared / 'image'
        order = self.directory / 'order'
        order.write_text(json.dumps({
            'node': {'uuid': ramdisk.NODE_ID, 'instance_info': {},
                     'deploy_interface': 'imagedeploy',
                     'driver_internal_info': {},
                     'properties': {'capabilities': 'boot_mode:bios'}},
            'image_info': {
                'id': 'image', 'urls': [self.server.url('image')],
                'disk_format': 'qcow2', 'container_format': 'bare',
                'image_type': 'whole-disk', 'node_uuid': ramdisk.NODE_ID,
                'os_hash_algo': 'sha512', 'os_hash_value': hashlib.sha512(
                    image.read_bytes()).hexdigest(),
                'stream_raw_images': True, **info}}))
        self.command = (*self.INSIDE, sys.executable, '-m',
                        agent_process.__name__, self.target.device, order)

    def check_said(self, said: str) -> None:
        """Its log may have tracebacks."""


class WholeDiskAgentTest(AgentTestCase):

    def test_at_any_moment(self) -> None:
        self.check_moments(3)

    def test_less_and_less(self) -> None:
        self.check_sizes(256, 192, 160, 128, 112, 96, 80, 64, 48)


class PartitionAgentTest(AgentTestCase):
    """The agent, which makes partitions and installs the boot loader."""

    WHO = 'agent, partition image: '
    LAST = 1, -signal.SIGKILL
    # What a killed one had mounted ends with it, and fuser, which it asks who
    # has the disk, may look at all processes there.
    INSIDE = ('unshare', '--mount', '--pid', '--mount-proc', '--fork',
              '--kill-child')

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.content = random.Random(32).randbytes(24 * MIB)
        root = partition_images.make_file_system(
            cls.shared / 'root', 'ext4', partition_images.debian,
            lambda tree: partition_images.put(tree, 'content', cls.content))
        images.convert(root, cls.shared / 'image', compress=True)

    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(subprocess.run, ['partx', '-d', self.target.device])
        self.order(image_type='partition', root_mb=80, swap_mb=0,
                   ephemeral_mb=0, ephemeral_format=None,
                   preserve_ephemeral=False)

    def is_whole(self) -> bool:
        """Whether the disk starts a system that has all its files."""
        if not [*firmware.starts(cuts.Medium(self.target.backing))]:
            return False
        disks.run('partx', '-u', self.target.device)
        with tempfile.TemporaryDirectory() as place:
            disks.run('mount', '-o', 'ro', f'{self.target.device}p1', place)
            try:
                tree = pathlib.Path(place)
                return ((tree / 'content').read_bytes() == self.content
                        and 'vmlinuz-6.1.0-10-amd64' in (
                            tree / 'boot/grub/grub.cfg').read_text())
            finally:
                disks.run('umount', place)

    def check_left(self) -> None:
        """Partitions stay; that nothing starts was looked at."""

    def test_at_any_moment(self) -> None:
        self.check_moments(3)

    def test_less_and_less(self) -> None:
        self.check_sizes(256, 128, 64, 48)
