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

"""The program as a user runs it."""

import json
import os
import pathlib
import pty
import select
import shutil
import subprocess
from xml.etree import ElementTree

from tests.functional import base
from tests.support import disks
from tests.support import images
from tests.support import web

MIB = base.MIB
SIZE = 16 * MIB
PARTS = ('start=2048, size=8192, type=uefi, name="EFI system"\n'
         'size=20480, type=linux, name="root"\n')
REPORT_KEYS = {
    'source', 'format', 'virtual_size', 'bytes_read', 'bytes_written',
    'bytes_zeroed', 'resumes', 'seconds', 'checksum', 'read_back',
    'bottleneck', 'peak_rss', 'target_size', 'backup_gpt_misplaced'}


class ProgramTestCase(base.FunctionalTestCase):
    """A bootable-looking guest of 16 MiB."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.shared = disks.make_directory()
        cls.addClassCleanup(shutil.rmtree, cls.shared)
        cls.guest = images.make_guest(cls.shared / 'guest', SIZE, seed=20)
        images.partition(cls.guest, 'gpt', PARTS)
        images.fill_esp(cls.guest, start=MIB, size=4 * MIB)
        with cls.guest.open('r+b') as file:
            file.write(b'\xebc\x90 boot code')
        cls.image = images.convert(cls.guest, cls.shared / 'disk.qcow2',
                                   compress=True)


class CheckTest(ProgramTestCase):
    """``check``"""

    def test_accepted(self) -> None:
        outcome = self.execute('check', self.image)
        self.assert_status(0, outcome)
        self.assertEqual('', outcome.stderr)
        lines = outcome.stdout.splitlines()
        self.assertEqual(f'{self.image}: accepted', lines[0])
        self.assertIn('  format       qcow2', lines)
        self.assertIn('  disk size    16 MiB (16777216 bytes)', lines)
        self.assertIn('  boot modes   bios, uefi', lines)

    def test_json(self) -> None:
        outcome = self.execute('check', self.image, '--json',
                               '--disk-format', 'qcow2')
        self.assert_status(0, outcome)
        promised = {
            'verdict': 'accept', 'format': 'qcow2',
            'declared_format': 'qcow2', 'image_type': 'whole-disk',
            'virtual_size': SIZE, 'stored_size': self.image.stat().st_size,
            'partition_table': 'gpt', 'boot_modes': ['bios', 'uefi'],
            'sector_size': 512, 'findings': []}
        self.assertEqual(promised, {key: outcome.json[key]
                                    for key in promised})

    def test_by_url(self) -> None:
        server = web.Server(self.shared)
        self.addCleanup(server.stop)
        for source in (server.url('disk.qcow2'), f'file://{self.image}'):
            self.assert_status(0, self.execute('check', source))


class MapTest(ProgramTestCase):
    """``map``"""

    def test_text(self) -> None:
        outcome = self.execute('map', self.image)
        self.assert_status(0, outcome)
        self.assertIn('EFI system', outcome.stdout)
        self.assertIn('compressed', outcome.stdout)

    def test_json_agrees_with_qemu(self) -> None:
        image = images.make_mixed(self.directory / 'mixed', SIZE, seed=3)
        outcome = self.execute('map', image, '--json')
        self.assert_status(0, outcome)
        ours = outcome.json
        self.assertEqual(SIZE, sum(extent['length']
                                   for extent in ours['extents']))
        self.assertEqual(
            stored(ours['extents'], lambda extent: extent['kind'] != 'zero'),
            stored(json.loads(disks.run('qemu-img', 'map', '--output=json',
                                        '-f', 'qcow2', image)),
                   lambda extent: extent['data']))

    def test_svg(self) -> None:
        picture = self.directory / 'map.svg'
        outcome = self.execute('map', self.image, '--svg', picture)
        self.assert_status(0, outcome)
        self.assertEqual('', outcome.stdout)
        texts = ' '.join(ElementTree.parse(picture).getroot().itertext())
        self.assertIn('2 root', texts)
        self.assertIn('16 MiB', texts)


class WriteTest(ProgramTestCase):
    """``write``"""

    def setUp(self) -> None:
        super().setUp()
        self.target = self.disk(SIZE + 2 * MIB)

    def test_summary(self) -> None:
        checksum = disks.checksum(self.image)
        outcome = self.execute('write', self.image, self.target.device,
                               '--checksum', checksum, '--verify', 'full')
        self.assert_status(0, outcome)
        self.assert_written(self.guest, self.target)
        said = outcome.stdout
        self.assertTrue(said.startswith(
            f'{self.image} (qcow2): written to {self.target.device}\n'), said)
        self.assertIn(f'{self.image.stat().st_size} bytes', said)
        self.assertIn(f'sha512 verified ({checksum[7:23]}...)', said)
        self.assertIn('all that was written or zeroed is identical', said)
        self.assertLess(len(said.splitlines()), 24, 'one screen')
        self.assertLessEqual(max(map(len, said.splitlines())), 100)

    def test_report(self) -> None:
        report = self.directory / 'report.json'
        outcome = self.execute('write', self.image, self.target.device,
                               '--report', report, '--json')
        self.assert_status(0, outcome)
        self.assertEqual(outcome.json, json.loads(report.read_text()))
        self.assertLessEqual(REPORT_KEYS, set(outcome.json))
        self.assertEqual([report], list(self.directory.glob('*report*')))
        self.assertEqual(0o644, report.stat().st_mode & 0o777)

    def test_report_of_a_failure(self) -> None:
        report = self.directory / 'report.json'
        outcome = self.execute(
            'write', self.image, self.target.device, '--report', report,
            '--checksum', 'sha256:' + '0' * 64)
        self.assert_status(6, outcome)
        error = json.loads(report.read_text())['error']
        self.assertEqual(6, error['exit_status'])
        self.assertIn('checksum', error['message'])

    def test_plain_progress_in_a_pipe(self) -> None:
        outcome = self.execute('write', self.image, self.target.device)
        lines = outcome.stderr.splitlines()
        self.assertTrue(lines[0].startswith('writing: '), lines)
        # What the file stores nothing for is apart.
        self.assertRegex(lines[0], r' of \d+(\.\d+)? MiB')
        self.assertNotIn('\r', outcome.stderr)
        self.assertNotIn('\x1b', outcome.stderr)

    def test_no_progress(self) -> None:
        outcome = self.execute('write', self.image, self.target.device,
                               '--progress', 'none')
        self.assertEqual('', outcome.stderr)

    def test_bar_on_a_terminal(self) -> None:
        status, said = run_on_terminal(
            base.PROGRAM, 'write', self.image, self.target.device, '--yes')
        self.assertEqual(0, status, said)
        self.assertIn('\rwriting', said)
        self.assertIn('█', said)
        self.assertIn('written to', said)
        self.assert_written(self.guest, self.target)

    def test_error_on_a_terminal_has_its_own_line(self) -> None:
        status, said = run_on_terminal(
            base.PROGRAM, 'write', self.image, self.target.device,
            '--yes', '--checksum', 'md5:' + '0' * 32)
        self.assertEqual(6, status, said)
        self.assertIn('\nironic-imagedeploy: ', said)

    def test_reader_of_the_output_went_away(self) -> None:
        done = subprocess.run(
            ['bash', '-c', 'exec 2>&1; "$@" | true; exit ${PIPESTATUS[0]}',
             '-', base.PROGRAM, 'write', self.image, self.target.device],
            capture_output=True, text=True, timeout=300)
        self.assertEqual(0, done.returncode, done)
        self.assert_written(self.guest, self.target)

    def test_any_locale(self) -> None:
        for locale in ('C', 'POSIX', 'C.UTF-8', 'en_US.ISO-8859-1'):
            done = subprocess.run(
                [base.PROGRAM, 'map', self.image], capture_output=True,
                env={**os.environ, 'LC_ALL': locale, 'PYTHONUTF8': '0',
                     'PYTHONCOERCECLOCALE': '0'}, timeout=300)
            self.assertEqual(0, done.returncode, done)


class VerifyTest(ProgramTestCase):
    """``verify``"""

    def test_identical(self) -> None:
        target = self.disk(SIZE + 2 * MIB)
        self.assert_status(0, self.execute('write', self.image,
                                           target.device))
        outcome = self.execute('verify', self.image, target.device)
        self.assert_status(0, outcome)
        self.assertIn('identical', outcome.stdout)
        self.assert_written(self.guest, target)

    def test_one_byte_differs(self) -> None:
        for offset in (0, SIZE // 2 + 77, SIZE - 1):
            with self.subTest(offset):
                target = self.directory / 'target'
                content = bytearray(self.guest.read_bytes())
                content[offset] ^= 1
                target.write_bytes(content)
                outcome = self.execute('verify', self.image, target,
                                       '--progress', 'none')
                self.assert_status(6, outcome)
                self.assert_one_sentence(outcome, str(target))
                self.assertEqual(content, target.read_bytes())

    def test_nothing_is_created(self) -> None:
        target = self.directory / 'target'
        outcome = self.execute('verify', self.image, target)
        self.assert_status(5, outcome)
        self.assertFalse(target.exists())


class UsageTest(ProgramTestCase):
    """Wrong usage: status 2, and nothing is touched."""

    def test_wrong(self) -> None:
        target = self.directory / 'target'
        for arguments in (
                (), ('chek', self.image), ('check',),
                ('write', self.image),
                ('check', self.image, '--permit', 'exe'),
                ('check', self.image, '--sector-size', '513'),
                ('check', self.image, '--disk-size', '-1'),
                ('check', self.image, '--disk-size', '1X'),
                ('check', self.image, '--boot-mode', 'pxe'),
                ('check', self.image, '--image-type', 'iso'),
                ('write', self.image, target, '--checksum', 'sha512:abc'),
                ('write', self.image, target, '--checksum', '0' * 64),
                ('write', self.image, target, '--checksum',
                 'crc32:00000000'),
                ('write', self.image, target, '--verify', 'maybe'),
                ('write', self.image, target, '--check', 'sha512:abc'),
                ('write', self.image, target, '--report', '/no/such/dir/r'),
                ('write', self.image, target, '--report', '/dev/null'),
                ('write', self.image, target, '--report', '/'),
                ('map', self.image, '--json', '--svg', target),
                ('check', self.image, '--json', '--disk-size', '1X'),
                ('chek', self.image, '--json')):
            with self.subTest(arguments):
                outcome = self.invoke(*arguments)
                self.assert_status(2, outcome)
                self.assert_one_sentence(outcome, 'usage: ironic-imagedeploy')
                if '--json' in arguments:
                    self.assertEqual(2, outcome.json['error']['exit_status'])
                else:
                    self.assertEqual('', outcome.stdout)
        self.assertFalse(target.exists())

    def test_help(self) -> None:
        for arguments in ((), ('check',), ('map',), ('write',), ('verify',)):
            outcome = self.invoke(*arguments, '--help')
            self.assert_status(0, outcome)
        self.assertIn('exit status:', self.execute('--help').stdout)

    def test_version(self) -> None:
        outcome = self.execute('--version')
        self.assert_status(0, outcome)
        self.assertRegex(outcome.stdout, r'^ironic-imagedeploy \d')


def stored(extents, condition) -> list[tuple[int, int]]:
    """Ranges of the disk that the file stores, neighbours joined."""
    ranges: list[tuple[int, int]] = []
    for extent in filter(condition, extents):
        start, end = extent['start'], extent['start'] + extent['length']
        if ranges and ranges[-1][1] == start:
            start = ranges.pop()[0]
        ranges.append((start, end))
    return ranges


def run_on_terminal(*command: str | pathlib.Path) -> tuple[int, str]:
    """Run a command on a terminal: its status, and what it showed."""
    ours, theirs = pty.openpty()
    program = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs,
        env={**os.environ, 'TERM': 'xterm', 'LC_ALL': 'C.UTF-8'})
    os.close(theirs)
    shown = b''
    try:
        while select.select([ours], [], [], 60)[0]:
            shown += os.read(ours, 65536)
    except OSError:
        # The terminal's other side is closed: the program has ended.
        pass
    finally:
        os.close(ours)
    return program.wait(300), shown.decode()
