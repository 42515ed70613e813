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

"""``convert``, by the qemu-img of this machine, and by bad ones."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
from unittest import mock

from tests.functional import base
from tests.support import commands
from tests.support import disks
from tests.support import images
from tests.support import signals

MIB = base.MIB
SIZE = 24 * MIB


class ConvertTestCase(base.FunctionalTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.guest = images.make_guest(self.directory / 'guest', SIZE,
                                       seed=31, label='gpt')
        self.made = self.directory / 'made.qcow2'

    def assert_nothing_made(self) -> None:
        self.assertFalse(self.made.exists())
        self.assertEqual([], [*self.directory.glob('.made*')])

    def program(self, script: str) -> None:
        """Put another qemu-img in front of the one of this machine."""
        folder = self.directory / 'bin'
        folder.mkdir()
        path = folder / 'qemu-img'
        path.write_text(f'#!/bin/sh\nreal={shutil.which("qemu-img")}\n'
                        f'{script}\n')
        path.chmod(0o755)
        self.enterContext(mock.patch.dict(os.environ, {
            'PATH': f'{folder}:{os.environ["PATH"]}'}))


class FormatsTest(ConvertTestCase):

    def assert_converted(self, source: pathlib.Path, *options: str) -> None:
        outcome = self.invoke('convert', source, self.made, *options,
                              '--json')
        self.assert_status(0, outcome)
        about = json.loads(disks.run('qemu-img', 'info', '--output=json',
                                     self.made))
        self.assertEqual('zstd', about['format-specific']['data'][
            'compression-type'])
        self.assertIsNone(disks.first_difference(
            self.guest, images.as_raw(self.made), SIZE))
        self.assertEqual(disks.checksum(self.made), ':'.join(
            outcome.json['checksum'].values()))
        self.assertLess(self.made.stat().st_size, SIZE)
        self.assertEqual([], [*self.directory.glob('.made*')])

    def test_raw(self) -> None:
        self.assert_converted(self.guest)

    def test_qcow2(self) -> None:
        self.assert_converted(images.convert(
            self.guest, self.directory / 'old.qcow2', 'cluster_size=4k',
            compress=True))

    def test_vdi(self) -> None:
        source = images.convert(self.guest, self.directory / 'box.vdi',
                                form='vdi')
        self.assert_status(4, self.invoke('convert', source, self.made))
        self.assert_nothing_made()
        self.assert_converted(source, '--permit', 'vdi')

    def test_vmdk(self) -> None:
        for kind in ('monolithicSparse', 'streamOptimized'):
            with self.subTest(kind):
                source = images.convert(
                    self.guest, self.directory / f'{kind}.vmdk',
                    f'subformat={kind}', form='vmdk')
                self.assert_converted(source, '--permit', 'vmdk', '--force')

    def test_a_name_with_a_colon_is_a_name(self) -> None:
        source = self.directory / 'nbd:localhost:1,backing=x'
        shutil.copy(self.guest, source)
        self.assert_converted(source.absolute())

    def test_what_is_there_stays_without_force(self) -> None:
        self.made.write_text('precious')
        outcome = self.invoke('convert', self.guest, self.made)
        self.assert_status(2, outcome)
        self.assertEqual('precious', self.made.read_text())
        self.assert_converted(self.guest, '--force')

    def test_onto_itself(self) -> None:
        before = self.guest.read_bytes()
        self.assert_status(2, self.invoke('convert', self.guest, self.guest,
                                          '--force'))
        self.assertEqual(before, self.guest.read_bytes())

    def test_compressed_raw(self) -> None:
        disks.run('gzip', '-k', self.guest)
        outcome = self.invoke('convert', f'{self.guest}.gz', self.made)
        self.assert_status(3, outcome)
        self.assertIn('ironic-imagedeploy write', outcome.stderr)

    def test_a_backing_file_is_never_read(self) -> None:
        overlay = self.directory / 'overlay.qcow2'
        disks.run('qemu-img', 'create', '-q', '-f', 'qcow2', '-b', self.guest,
                  '-F', 'raw', overlay)
        self.program('touch "$(dirname "$0")/ran"; exec $real "$@"')
        outcome = self.invoke('convert', overlay, self.made)
        self.assert_status(4, outcome)
        self.assertIn('backing-file', outcome.stderr)
        self.assert_nothing_made()


class BadProgramTest(ConvertTestCase):

    def assert_failed(self, status: int, *words: str) -> None:
        outcome = self.invoke('convert', self.guest, self.made,
                              '--progress', 'none')
        self.assert_status(status, outcome)
        for word in words:
            self.assertIn(word, outcome.stderr)
        self.assert_nothing_made()

    def test_missing(self) -> None:
        with mock.patch.dict(os.environ, {'PATH': str(self.directory)}):
            self.assert_failed(5, 'apt install qemu-utils')

    def test_too_old(self) -> None:
        self.program('case "$*" in *compression_type*)\n'
                     'echo "qemu-img: Unknown option" >&2; exit 1;; esac\n'
                     'exec $real "$@"')
        self.assert_failed(5, '5.1 or newer', 'Unknown option')

    def test_it_fails(self) -> None:
        self.program('case $1 in convert) echo "error: no luck" >&2\n'
                     'exit 1;; esac; exec $real "$@"')
        self.assert_failed(5, 'no luck')

    def test_it_writes_another_disk(self) -> None:
        self.program(
            'case $1 in convert) $real "$@" || exit; for last; do :; done\n'
            'qemu-io -f qcow2 -c "write -P 7 9M 512" "$last";;\n'
            '*) exec $real "$@";; esac')
        self.assert_failed(6, 'found others')

    def test_it_writes_without_end(self) -> None:
        self.program('case $1 in convert) for last; do :; done\n'
                     'exec cat /dev/zero >"$last";; esac; exec $real "$@"')
        self.assert_failed(5, 'more than such an image can take')

    def test_it_is_stopped(self) -> None:
        signals.dispose(self)
        self.program('case $1 in convert) echo $$ >"$(dirname "$0")/pid"\n'
                     'exec sleep 600;; esac; exec $real "$@"')
        process = subprocess.Popen(
            [base.PROGRAM, 'convert', self.guest, self.made],
            stderr=subprocess.PIPE, text=True)
        note = self.directory / 'bin/pid'
        commands.wait_for('qemu-img', lambda: note.exists()
                          and note.read_text().strip(), timeout=60,
                          interval=0.1)
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=300)[1]
        self.assertEqual(128 + signal.SIGTERM, process.returncode, said)
        self.assert_nothing_made()
        with self.assertRaises(ProcessLookupError):
            os.kill(int(note.read_text()), 0)
