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

import dataclasses
import os
import pathlib
import random
import struct
import threading
from unittest import mock

from ironic_imagedeploy import engine
from ironic_imagedeploy.engine.transfer import journal as journals
from ironic_imagedeploy.engine.transfer import meter
from tests.unit.engine import base
from tests.unit.engine import manifests
from tests.unit.engine import qcow2_builder as qcow2
from tests.unit.engine import recording
from tests.unit.engine import transfers

KIB = base.KIB
MIB = base.MIB
SIZE = 12 * MIB
HEADER = 40


class JournalTestCase(transfers.TransferTestCase):
    """A qcow2 with all kinds of clusters, and the disk that it describes."""

    def setUp(self) -> None:
        super().setUp()
        builder = qcow2.fill(qcow2.Builder(SIZE, seed=5), 'ddcczZ.')
        self.file = builder.build()
        self.disk = bytes(builder.disk)
        self.image = engine.inspect(
            transfers.memory.MemorySource(self.file),
            engine.Expectation()).accepted()
        self.manifest = manifests.built(bytes(self.file))
        self.target = recording.RecordingTarget(SIZE)
        self.folder = self.directory / 'journals'

    @property
    def path(self) -> pathlib.Path:
        path, = self.folder.iterdir()
        return path

    def open_any(self, **others) -> journals.Journal | None:
        return journals.open_journal(str(self.folder), **{
            'manifest': self.manifest, 'target': self.target,
            'disk_size': SIZE, **others})

    def journal(self, **others) -> journals.Journal:
        opened = self.open_any(**others)
        self.assertIsNotNone(opened)
        self.addCleanup(opened.close)
        return opened

    def find(self, journal: journals.Journal) -> set[int]:
        found = journal.find(self.image, self.manifest, self.target,
                             meter.Meter(), workers=2)
        self.assert_no_threads()
        return found

    def begin(self) -> journals.Journal:
        """A journal of nothing yet."""
        journal = self.journal()
        self.assertEqual(set(), self.find(journal))
        return journal

    def write(self, journal: journals.Journal, start: int, length: int
              ) -> None:
        """Write a piece of the image to the disk, as a sink does."""
        view = memoryview(self.disk)[start:start + length]
        self.target.disk[start:start + length] = view
        if any(view):
            journal.wrote(start, view)
        else:
            journal.zeroed(start, length)

    def write_all(self, journal: journals.Journal, step: int = MIB) -> None:
        for start in range(0, SIZE, step):
            self.write(journal, start, step)

    def stored(self) -> set[int]:
        """Chunks with bytes of the disk."""
        return {index for each in self.image.by_source()
                for index in range(each.source_offset // MIB,
                                   (each.source_end - 1) // MIB + 1)}


class JournalTest(JournalTestCase):

    def test_everything(self) -> None:
        for step in (64 * KIB, MIB, 3 * MIB):
            with self.subTest(step=step):
                self.write_all(self.begin(), step)
                self.assertEqual(self.stored(), self.find(self.journal()))
                self.path.unlink()

    def test_any_part(self) -> None:
        dice = random.Random(1)
        for _ in range(8):
            journal = self.begin()
            written = set()
            for index in dice.sample(range(192), 188):
                self.write(journal, index * 64 * KIB, 64 * KIB)
                written.add(index)
            found = self.find(self.journal())
            self.assertEqual(
                {index for index in self.stored() if written.issuperset(
                    each.start // (64 * KIB)
                    for each in self.image.by_source()
                    if each.source_offset < (index + 1) * MIB
                    and each.source_end > index * MIB)}, found)
            self.path.unlink()

    def test_all_but_one_piece(self) -> None:
        for missing in (0, 1, SIZE // (64 * KIB) - 1):
            journal = self.begin()
            for index in range(SIZE // (64 * KIB)):
                if index != missing:
                    self.write(journal, index * 64 * KIB, 64 * KIB)
            # What is zero by the map is not needed.
            needed = {each.source_offset // MIB
                      for each in self.image.by_source()
                      if each.start == missing * 64 * KIB}
            with self.subTest(missing=missing):
                self.assertEqual(self.stored() - needed,
                                 self.find(self.journal()))
            self.path.unlink()

    def test_what_the_disk_does_not_hold_any_more(self) -> None:
        for extent in self.image.by_source():
            at = extent.start
            with self.subTest(at=at):
                self.write_all(self.begin())
                self.target.disk[at] ^= 1
                found = self.find(self.journal())
                self.assertNotIn(extent.source_offset // MIB, found)
                self.assertLess(found, self.stored())
                self.path.unlink()
            if at > 3 * MIB:
                break

    def test_zeroes_that_are_none_any_more(self) -> None:
        journal = self.begin()
        self.target.disk[MIB:2 * MIB] = bytes(MIB)
        journal.zeroed(MIB, MIB)
        self.assertEqual(1, len(self.journal()._entries))
        self.target.disk[2 * MIB - 1] = 1
        self.find(self.journal())
        self.assertEqual([], self.journal()._entries)

    def test_third_attempt_knows_what_the_first_one_wrote(self) -> None:
        self.write(self.begin(), 0, 6 * MIB // 2)
        second = self.journal()
        self.find(second)
        for start in range(3 * MIB, SIZE, MIB):
            self.write(second, start, MIB)
        self.assertEqual(self.stored(), self.find(self.journal()))

    def test_bound_to_image_and_target(self) -> None:
        self.write_all(self.begin())
        self.assertNotEqual([], self.journal()._entries)
        other = dataclasses.replace(
            self.manifest, checksum=manifests.sha512(b'another'))
        larger = recording.RecordingTarget(SIZE + MIB)
        for name, changed in (('manifest', {'manifest': other}),
                              ('target', {'target': larger}),
                              ('disk_size', {'disk_size': SIZE - 512})):
            with self.subTest(name):
                self.assertEqual([], self.journal(**changed)._entries)

    def test_another_image_takes_its_place(self) -> None:
        self.write_all(self.begin())
        other = dataclasses.replace(
            self.manifest, checksum=manifests.sha512(b'another'))
        self.find(self.journal(manifest=other))
        self.assertEqual([], self.journal()._entries)
        self.assertEqual(HEADER, self.path.stat().st_size)

    def test_removed(self) -> None:
        journal = self.begin()
        journal.remove()
        self.assertEqual([], list(self.folder.iterdir()))
        with self.assertLogs(journals.LOG, 'WARNING'):
            journal.remove()

    def test_forgotten(self) -> None:
        self.begin()
        journals.forget(str(self.folder), self.target)
        self.assertEqual([], list(self.folder.iterdir()))
        journals.forget(str(self.folder), self.target)

    def test_zeroes_of_the_map_are_not_logged(self) -> None:
        journal = self.begin()
        for length in (5 * MIB, 4 * MIB + 1):
            journal.zeroed(0, length)
            journal.wrote(0, memoryview(bytes(length)))
        self.assertEqual(HEADER, self.path.stat().st_size)

    def test_the_largest_pieces(self) -> None:
        journal = self.begin()
        self.target.disk[:4 * MIB] = bytes(4 * MIB)
        journal.zeroed(0, 4 * MIB)
        self.write(journal, 4 * MIB, 4 * MIB)
        self.assertEqual(HEADER + 2 * 16, self.path.stat().st_size)
        again = self.journal()
        self.find(again)
        self.assertEqual(HEADER + 2 * 16, self.path.stat().st_size)

    def test_progress(self) -> None:
        self.write_all(self.begin())
        told = []
        counted = meter.Meter(told.append)
        self.journal().find(self.image, self.manifest, self.target, counted)
        self.assertEqual(SIZE, told[-1].done)

    def test_one_for_each_target(self) -> None:
        real = self.directory / 'disk'
        link = self.directory / 'link'
        link.symlink_to(real)
        for path in (real, link, '/dev/disk 1', '/dev/disk%201'):
            self.target.path = str(path)
            self.journal()
        self.assertEqual(3, len(list(self.folder.iterdir())))

    def test_from_several_threads(self) -> None:
        journal = self.begin()

        def write(first: int) -> None:
            for at in range(first * 64 * KIB, SIZE, 4 * 64 * KIB):
                self.write(journal, at, 64 * KIB)
        threads = [threading.Thread(target=write, args=(first,))
                   for first in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(self.stored(), self.find(self.journal()))


class BoundsTest(JournalTestCase):
    """What does not go into the journal, or is not read from there."""

    def test_only_so_many_entries(self) -> None:
        with mock.patch.object(journals, 'MOST_ENTRIES', 3):
            journal = self.begin()
            self.write_all(journal)
            self.assertEqual(HEADER + 3 * 16, self.path.stat().st_size)
            self.assertEqual(3, len(self.journal()._entries))
            with self.path.open('ab') as file:
                file.write(bytes(16))
            self.assertEqual([], self.journal()._entries)

    def test_cut_off(self) -> None:
        self.write_all(self.begin())
        whole = self.path.read_bytes()
        for size in range(len(whole)):
            self.path.write_bytes(whole[:size])
            self.assertEqual(max(size - HEADER, 0) // 16,
                             len(self.journal()._entries))

    def test_goes_on_after_a_cut(self) -> None:
        self.write_all(self.begin())
        with self.path.open('ab') as file:
            file.write(b'rest')
        journal = self.journal()
        self.find(journal)
        journal.zeroed(0, 512)
        self.assertEqual(0, (self.path.stat().st_size - HEADER) % 16)

    def test_entries_of_no_journal(self) -> None:
        self.begin()
        header = self.path.read_bytes()
        for name, entries in (
                ('empty', [(0, 0, 0)]), ('outside', [(SIZE, 512, 0)]),
                ('over the end', [(SIZE - 512, 1024, 0)]),
                ('far away', [((1 << 64) - 512, 1024, 0)]),
                ('too long', [(0, 4 * MIB + 1, 0)]),
                ('too many bytes', [(0, 4 * MIB, 0)] * 4)):
            with self.subTest(name):
                self.path.write_bytes(header + b''.join(
                    struct.pack('<QII', *entry) for entry in entries))
                self.assertEqual(set(), self.find(self.journal()))
                self.assertEqual([], self.target.log)
                self.assertEqual(header, self.path.read_bytes())

    def test_garbage(self) -> None:
        self.begin()
        self.path.write_bytes(random.Random(3).randbytes(100_000))
        self.assertEqual(set(), self.find(self.journal()))
        self.assertEqual(HEADER, self.path.stat().st_size)

    def test_no_room(self) -> None:
        journal = self.begin()
        with (mock.patch.object(journals.os, 'write', autospec=True,
                                side_effect=OSError(28, 'No space')),
              self.assertLogs(journals.LOG, 'WARNING') as logged):
            self.write_all(journal)
        self.assertEqual(1, len(logged.output))

    def test_no_room_from_the_start(self) -> None:
        journal = self.journal()
        with (mock.patch.object(journals.os, 'write', autospec=True,
                                side_effect=OSError(28, 'No space')),
              self.assertLogs(journals.LOG, 'WARNING') as logged):
            self.assertEqual(set(), self.find(journal))
            self.write_all(journal)
        self.assertEqual(1, len(logged.output))

    def test_room_for_a_part(self) -> None:
        journal = self.begin()
        with (mock.patch.object(journals.os, 'write', autospec=True,
                                return_value=7),
              self.assertLogs(journals.LOG, 'WARNING') as logged):
            self.write_all(journal)
        self.assertEqual(1, len(logged.output))


class FileTest(JournalTestCase):
    """Only a file of this user alone is a journal."""

    def assert_none(self) -> None:
        with self.assertLogs(journals.LOG, 'WARNING'):
            self.assertIsNone(self.open_any())

    def test_kinds(self) -> None:
        self.begin()
        path = self.path
        elsewhere = self.directory / 'elsewhere'
        elsewhere.write_bytes(b'content')
        for name, make in (
                ('link', lambda: path.symlink_to(elsewhere)),
                ('directory', path.mkdir),
                ('pipe', lambda: os.mkfifo(path))):
            with self.subTest(name):
                path.unlink()
                make()
                self.assert_none()
                if name == 'directory':
                    path.rmdir()
                    path.touch()
        self.assertEqual(b'content', elsewhere.read_bytes())

    def test_others_may_write(self) -> None:
        self.begin()
        for mode in (0o622, 0o620, 0o602):
            self.path.chmod(mode)
            self.assert_none()
        self.path.chmod(0o644)
        self.folder.chmod(0o755)
        self.journal()
        for mode in (0o777, 0o770, 0o702):
            self.folder.chmod(mode)
            self.assert_none()

    def test_of_somebody_else(self) -> None:
        self.begin()
        with mock.patch.object(os, 'geteuid', autospec=True,
                               return_value=os.geteuid() + 1):
            self.assert_none()

    def test_nothing_is_left_open(self) -> None:
        self.begin()
        self.path.chmod(0o622)
        before = os.listdir('/proc/self/fd')
        self.assert_none()
        self.path.chmod(0o600)
        with mock.patch.object(os, 'pread', autospec=True,
                               side_effect=OSError(5, 'broken')):
            self.assert_none()
        self.assertEqual(len(before), len(os.listdir('/proc/self/fd')))

    def test_of_this_user_alone(self) -> None:
        self.begin()
        self.assertEqual(0o700, self.folder.stat().st_mode & 0o777)
        self.assertEqual(0o600, self.path.stat().st_mode & 0o777)

    def test_a_directory_that_cannot_be_made(self) -> None:
        self.folder = self.directory / 'file' / 'journals'
        (self.directory / 'file').touch()
        self.assert_none()

    def test_a_link_in_place_of_the_directory(self) -> None:
        (self.directory / 'real').mkdir(mode=0o700)
        self.folder.symlink_to(self.directory / 'real')
        self.assert_none()
