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


import contextlib
import io
import os
import signal
from unittest import mock

from ironic_imagedeploy.cmd import console
from ironic_imagedeploy.cmd import imagedeploy
from ironic_imagedeploy.cmd import overwrite
from ironic_imagedeploy import engine
from tests.unit.cmd import program

MIB = 1 << 20


class OverwriteTest(program.CommandTestCase):
    """Somebody at a terminal is asked before anything is lost."""

    def setUp(self) -> None:
        super().setUp()
        self.before = self.image.read_bytes()[::-1]
        self.target.write_bytes(self.before)

    def write_at_terminal(self, answer: str, *options: str) -> int:
        """The status; what the terminal showed is in ``err``."""
        terminal, program_side = os.openpty()
        with (open(terminal, 'r+b', buffering=0) as person,
              open(program_side, closefd=False) as stdin,
              open(program_side, 'w') as stderr,
              mock.patch('sys.stdin', stdin),
              contextlib.redirect_stderr(stderr),
              contextlib.redirect_stdout(io.StringIO())):
            person.write(answer.encode())
            try:
                status = imagedeploy.main([
                    'write', str(self.image), str(self.target), '--progress',
                    'none', *options])
            except SystemExit as stop:
                status = int(str(stop.code))
            stderr.flush()
            os.set_blocking(terminal, False)
            self.err = b''.join(iter(
                lambda: person.read(4096) or b'', b'')).decode()
        return status

    def test_yes(self) -> None:
        for answer in ('y\n', 'YES\n'):
            self.target.write_bytes(self.before)
            self.assertEqual(0, self.write_at_terminal(answer), self.err)
            self.assertIn('has data (4 MiB). Overwrite it? [y/N]', self.err)
            self.assertEqual(self.image.read_bytes(),
                             self.target.read_bytes())

    def test_anything_else_is_no(self) -> None:
        for answer in ('\n', 'n\n', 'yess\n', '\x04'):
            self.assertEqual(2, self.write_at_terminal(answer))
            self.assertIn('nothing was written', self.err)
            self.assertEqual(self.before, self.target.read_bytes())

    def test_the_question_says_what_would_be_lost(self) -> None:
        blank = bytearray(4 * MIB)
        for offset, content, words in (
                (510, b'\x55\xaa', 'an MBR or a boot sector'),
                (512, b'EFI PART', 'a GPT'), (4096, b'EFI PART', 'a GPT'),
                (0, b'XFSB', 'a file system'),
                (512, b'LABELONE', 'a volume of LVM'),
                (MIB - 1, b'x', 'data')):
            disk = blank.copy()
            disk[offset:offset + len(content)] = content
            self.target.write_bytes(disk)
            self.assertEqual(2, self.write_at_terminal('n\n'))
            self.assertIn(f'has {words} (', self.err)

    def test_a_signal_at_the_question(self) -> None:
        with mock.patch.object(
                overwrite, 'is_confirmed', autospec=True,
                side_effect=console.Interrupted(signal.SIGINT)):
            self.assertEqual(130, self.run_main('write', self.image,
                                                self.target))
        self.assertIn('nothing was written', self.err)
        self.assertNotIn('incomplete', self.err)
        self.assertEqual(self.before, self.target.read_bytes())

    def test_no_question(self) -> None:
        self.assertEqual(0, self.write_at_terminal('', '--yes'))
        self.assertNotIn('Overwrite', self.err)
        self.target.write_bytes(bytes(4 * MIB))
        self.assertEqual(0, self.write_at_terminal(''))
        self.assertNotIn('Overwrite', self.err)
        self.target.unlink()
        self.assertEqual(0, self.write_at_terminal(''))

    def test_programs_are_not_asked(self) -> None:
        self.assertEqual(0, self.run_main(
            'write', self.image, self.target, '--progress', 'none'))
        self.assertEqual(self.image.read_bytes(), self.target.read_bytes())


class DryRunTest(program.CommandTestCase):
    """All but the writing."""

    def test_nothing_is_written(self) -> None:
        before = os.urandom(5 * MIB)
        self.target.write_bytes(before)
        self.assertEqual(0, self.run_main(
            'write', self.image, self.target, '--dry-run'), self.err)
        self.assertIn('dry run: nothing was written', self.out)
        self.assertEqual(before, self.target.read_bytes())

    def test_no_file_is_made(self) -> None:
        self.assertEqual(0, self.run_main(
            'write', self.image, self.target, '--dry-run', '--json'))
        self.assertFalse(self.target.exists())

    def test_a_target_that_is_too_small(self) -> None:
        self.target.write_bytes(bytes(MIB))
        self.assertEqual(5, self.run_main(
            'write', self.image, self.target, '--dry-run'))
        self.assertIn('too small', self.err)

    def test_a_refused_image(self) -> None:
        self.assertEqual(4, self.run_main(
            'write', self.image, self.target, '--dry-run', '--disk-format',
            'qcow2'))

    def test_check_for_a_target_of_the_other_kind(self) -> None:
        """As a write to it would refuse the image."""
        self.target.write_bytes(bytes(4 * MIB))
        for is_partition, status in ((True, 4), (False, 0), (None, 0)):
            with mock.patch.object(
                    engine.Target, 'is_partition',
                    new_callable=mock.PropertyMock,
                    return_value=is_partition):
                self.assertEqual(status, self.run_main(
                    'check', self.image, '--target', self.target), self.out)
        with mock.patch.object(
                engine.Target, 'is_partition', return_value=True,
                new_callable=mock.PropertyMock):
            self.assertEqual(4, self.run_main(
                'write', self.image, self.target, '--dry-run'))

    def test_check_for_a_target(self) -> None:
        self.target.write_bytes(bytes(MIB))
        self.assertEqual(5, self.run_main(
            'check', self.image, '--target', self.target))
        self.assertIn('too-large', self.out)
        self.target.write_bytes(bytes(4 * MIB))
        self.assertEqual(0, self.run_main(
            'check', self.image, '--target', self.target))
        self.assertEqual(bytes(4 * MIB), self.target.read_bytes())
        self.assertEqual(5, self.run_main(
            'check', self.image, '--target', self.directory / 'missing'))
        self.assertEqual(2, self.run_main(
            'check', self.image, '--target', self.target, '--disk-size',
            '4M'))
