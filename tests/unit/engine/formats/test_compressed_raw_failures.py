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

import gzip
import random
import struct
import threading

from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.targets import file
from tests.unit.engine import base
from tests.unit.engine import disks
from tests.unit.engine.formats import compressed
from tests.unit.engine import recording
from tests.unit.engine import transfers

PACK = compressed.PACK
MIB = base.MIB
Target = recording.RecordingTarget


class FailureTest(compressed.PackedTestCase):

    def test_wrong_checksum(self) -> None:
        for name in PACK:
            target = Target(10 * MIB)
            inspection = self.inspect(
                PACK[name](self.disk(10 * MIB)),
                checksum=engine.Checksum('sha512', '0' * 128))
            self.assertRaises(exceptions.ChecksumMismatch, engine.transfer,
                              inspection, target)
            self.assert_boots_nothing(target)

    def test_truncated_file(self) -> None:
        disk = self.disk(8 * MIB)
        for name in PACK:
            stored = PACK[name](disk)
            for missing in (1, 8, 2 * MIB):
                self.assert_fails('truncated', stored[:-missing],
                                  Target(8 * MIB))

    def test_truncated_on_its_way(self) -> None:
        """It is the source that fails, not the image."""
        stored = PACK['gz'](self.disk(8 * MIB))
        target = Target(8 * MIB)
        self.assertRaises(
            exceptions.SourceTruncated, engine.transfer,
            self.inspect(stored, streamed=stored[:-MIB]), target)
        self.assert_boots_nothing(target)
        self.assert_no_threads()

    def test_damaged_behind_the_front(self) -> None:
        disk = self.disk(8 * MIB)
        for name in PACK:
            stored = bytearray(PACK[name](disk))
            at = len(stored) - MIB
            stored[at:at + 4096] = random.Random(4).randbytes(4096)
            self.assert_fails('corrupt', bytes(stored), Target(8 * MIB))

    def test_garbage_behind_it(self) -> None:
        disk = self.disk(8 * MIB)
        for name in ('xz', 'zstd'):
            self.assert_fails('corrupt', PACK[name](disk) + b'and then more',
                              Target(8 * MIB))

    def test_bytes_that_its_own_tools_leave_out(self) -> None:
        tail = b'{ "metadata_version": "1.1" }'
        for name in ('gz', 'bz2'):
            for size, padding in ((2 * MIB, 0), (8 * MIB, 0), (8 * MIB, 9)):
                if padding and name == 'bz2':
                    continue
                disk = self.disk(size)
                stored = PACK[name](disk) + bytes(padding) + tail
                inspection = self.inspect(stored)
                self.assertEqual('accept', inspection.verdict)
                target = Target(size)
                if size == 2 * MIB:
                    engine.transfer(inspection, target)
                    self.assertIn(
                        ('bytes-left-out', f'{len(tail)} bytes'),
                        [(finding.code, finding.found)
                         for finding in inspection.findings])
                else:
                    with self.assertLogs(
                            'ironic_imagedeploy', 'WARNING') as logs:
                        engine.transfer(inspection, target)
                    self.assertIn(f'{len(tail)} bytes', logs.output[0])
                self.assert_same(disk, target.disk)

    def test_bytes_after_a_small_file_of_a_large_disk(self) -> None:
        """The look ends before the disk does."""
        disk = bytes(disks.gpt(20 * MIB, [disks.Entry(64, 4000)]))
        inspection = self.inspect(PACK['gz'](disk) + b'signature')
        target = Target(20 * MIB)
        with self.assertLogs('ironic_imagedeploy', 'WARNING') as logs:
            engine.transfer(inspection, target)
        self.assertIn('9 bytes', logs.output[0])
        self.assert_same(disk, target.disk)

    def test_small_files_are_looked_at_to_their_end(self) -> None:
        """So that a check and a write agree."""
        disk = self.disk(2 * MIB)
        for name in PACK:
            stored = bytearray(PACK[name](disk))
            stored[-MIB:-MIB + 4096] = random.Random(4).randbytes(4096)
            self.assert_refused('corrupt', bytes(stored))
            self.assert_refused('truncated', PACK[name](disk)[:-1])

    def test_a_front_that_gives_no_disk(self) -> None:
        """A header that goes on and on; a frame that holds nothing."""
        plain = gzip.compress(self.disk(2 * MIB), mtime=0)
        for flags in (8, 16, 24):
            for size in (2 * MIB, 20 * MIB):
                found = self.assert_refused(
                    'corrupt', bytes([*plain[:3], flags, *plain[4:10]])
                    + b'n' * size + b'\0c\0' + plain[10:]).found
                self.assertIn('a gzip header of more than 1048576 bytes',
                              found)
        frame = struct.pack('<II', 0x184d2a50, 20 * MIB) + bytes(20 * MIB)
        found = self.assert_refused(
            'corrupt', frame + PACK['zstd'](self.disk(2 * MIB))).found
        self.assertIn('0 bytes of a disk in the first 16777216 bytes', found)

    def test_windows_within_the_operator_s_bound(self) -> None:
        disk = self.disk(10 * MIB)
        packer = compressed.zstd.ZstdCompressor(options={
            compressed.zstd.CompressionParameter.window_log: 27})
        stored = packer.compress(disk) + packer.flush()
        target = Target(10 * MIB)
        engine.transfer(self.inspect(stored), target)
        self.assert_same(disk, target.disk)
        finding = self.assert_refused('format-unsupported', stored,
                                      decompression_memory=64 * MIB)
        self.assertIn(str(64 * MIB), finding.expected)
        self.assertEqual(f'{128 * MIB} bytes', finding.found)

    def test_another_front_in_the_stream(self) -> None:
        disk, other = self.disk(10 * MIB), self.disk(10 * MIB, seed=2)
        for name in PACK:
            stored = PACK[name](disk)
            streamed = PACK[name](other)[:len(stored)].ljust(len(stored),
                                                             b'\0')
            target = Target(10 * MIB)
            with self.assertRaises(exceptions.ImageDeployError):
                engine.transfer(self.inspect(stored, streamed=streamed),
                                target)
            self.assert_boots_nothing(target)

    def test_larger_than_the_target(self) -> None:
        """Known by the table before a byte is written, else at once."""
        stored = PACK['zstd'](self.disk(8 * MIB))
        target = Target(7 * MIB)
        self.assertRaises(exceptions.TargetTooSmall, engine.transfer,
                          self.inspect(stored), target)
        self.assert_untouched(target)
        for name in PACK:
            bomb = PACK[name](bytes(100 * MIB))
            for act in (engine.transfer, engine.compare):
                target = Target(8 * MIB)
                inspection = self.inspect(bomb, disk_format='raw')
                self.assertEqual('accept', inspection.verdict)
                if act == engine.compare:
                    target.disk[:] = bytes(8 * MIB)
                self.assertRaises(exceptions.TargetTooSmall, act,
                                  inspection, target)
                self.assert_no_threads()

    def test_larger_than_the_disk_size_that_is_expected(self) -> None:
        for name in PACK:
            self.assert_fails('too-large', PACK[name](bytes(64 * MIB)),
                              Target(32 * MIB), disk_format='raw',
                              disk_size=30 * MIB)

    def test_a_bomb_into_a_new_file(self) -> None:
        path = self.directory / 'new'
        for name in PACK:
            inspection = self.inspect(PACK[name](bytes(64 * MIB)),
                                      disk_format='raw')
            self.assertEqual(16 << 30, inspection.largest)
            with self.assertRaises(exceptions.ImageRefused) as caught, \
                    file.FileTarget(str(path), 32 * MIB) as target:
                engine.transfer(inspection, target)
            self.assertEqual('decompression-bomb',
                             caught.exception.findings[0].code)
            self.assert_complete(caught.exception)
            self.assertFalse(path.exists())

    def test_a_disk_that_fails(self) -> None:
        stored = PACK['gz'](self.disk(8 * MIB))
        for number in (6, 12):
            target = Target(8 * MIB)
            target.fail_nth(number)
            self.assertRaises(exceptions.TargetError, engine.transfer,
                              self.inspect(stored), target)
            self.assert_boots_nothing(target)
            self.assert_no_threads()

    def test_memory_is_bounded_when_the_disk_is_slow(self) -> None:
        stored = PACK['zstd'](bytes(64) + transfers.noise(64 * MIB))
        inspection = self.inspect(stored, disk_format='raw')
        target = Target(80 * MIB)
        resumed = threading.Event()
        self.addCleanup(resumed.set)
        target.fault = lambda action: (
            None if action.kind != 'write' else resumed.wait(30) and None)
        running = threading.Thread(
            target=engine.transfer, args=(inspection, target),
            kwargs={'workers': 1})
        running.start()
        streams, held = transfers.source_of(inspection).streams, -1
        while running.is_alive() and (
                not streams or held != streams[0]._position):
            held = streams[0]._position if streams else -1
            running.join(0.5)
        self.assertLessEqual(held, 20 * MIB)
        resumed.set()
        running.join(60)
        self.assertFalse(running.is_alive())
