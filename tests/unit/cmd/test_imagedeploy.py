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
import json
import os
import signal
import sys
import typing
from unittest import mock

from ironic_imagedeploy.cmd import imagedeploy
from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import hardware
from tests.support import boot_files
from tests.support import signals
from tests.unit.cmd import program
from tests.unit.engine import volumes

MIB = 1 << 20


class StatusTest(program.CommandTestCase):
    """Each kind of failure has its exit status and one sentence."""

    def assert_fails(self, status: int, *arguments: typing.Any) -> None:
        self.assertEqual(status, self.run_main(*arguments), self.err)
        self.assertEqual(1, len(self.err.splitlines()), self.err)
        self.assertTrue(self.err.startswith('ironic-imagedeploy: '))

    def test_done(self) -> None:
        for arguments in (('check', self.image), ('map', self.image),
                          ('write', self.image, self.target),
                          ('verify', self.image, self.target)):
            self.assertEqual(0, self.run_main(*arguments), self.err)
        self.assertEqual(self.image.read_bytes(), self.target.read_bytes())

    def test_bug(self) -> None:
        with mock.patch.object(engine, 'inspect', autospec=True,
                               side_effect=ZeroDivisionError('secret')):
            self.assert_fails(1, 'check', self.image)
            self.assertIn('ZeroDivisionError', self.err)
            self.assertNotIn('secret', self.err)
            self.assertEqual(1, self.run_main('check', self.image,
                                              '--debug'))
        self.assertIn('Traceback', self.err)

    def test_usage(self) -> None:
        for arguments in (('write', self.image), (), ('check', 'x', '--y\x1b'),
                          ('check', self.image, '--disk-size', '5x')):
            self.assertEqual(2, self.run_main(*arguments))
            self.assertEqual(1, len(self.err.splitlines()), self.err)
            self.assertIn('usage: ironic-imagedeploy', self.err)
            self.assertNotIn('\x1b', self.err)

    def test_usage_in_json(self) -> None:
        for arguments in ((self.image, '--disk-size', '5x'), (),
                          (self.image, '--nonsense'),
                          (self.image, '--target', self.image,
                           '--disk-size', '1G')):
            self.assertEqual(2, self.run_main('check', '--json', *arguments))
            error = json.loads(self.out)['error']
            self.assertEqual(2, error['exit_status'])
            self.assertIn(error['message'][:30], self.err)

    def test_source(self) -> None:
        self.assert_fails(3, 'check', self.directory / 'missing')

    def test_refused(self) -> None:
        self.assert_fails(4, 'write', self.image, self.target,
                          '--disk-format', 'qcow2', '--progress', 'none')
        self.assertFalse(self.target.exists())

    def test_target(self) -> None:
        self.target.write_bytes(bytes(MIB))
        self.assert_fails(5, 'write', self.image, self.target)
        for status, options in ((5, ()), (4, ('--boot-mode', 'uefi'))):
            self.assertEqual(status, self.run_main(
                'check', self.image, '--target', self.target, *options))

    def test_verification(self) -> None:
        self.assert_fails(6, 'write', self.image, self.target, '--checksum',
                          'sha256:' + '0' * 64, '--progress', 'none')
        self.target.write_bytes(bytes(4 * MIB))
        self.assert_fails(6, 'verify', self.image, self.target,
                          '--progress', 'none')


class JsonTest(program.CommandTestCase):
    """One object on standard output, whatever happens."""

    def test_success(self) -> None:
        for command in ('check', 'map', 'write', 'verify'):
            target = (self.target,) if command in ('write', 'verify') else ()
            self.assertEqual(0, self.run_main(command, self.image, *target,
                                              '--json'))
            self.assertIsInstance(json.loads(self.out), dict)

    def test_refused_image_is_a_result_of_check(self) -> None:
        self.assertEqual(4, self.run_main('check', self.image, '--json',
                                          '--disk-format', 'qcow2'))
        self.assertEqual('refuse', json.loads(self.out)['verdict'])
        self.assertEqual('', self.err)

    def test_refused_image_is_an_error_of_write(self) -> None:
        self.assertEqual(4, self.run_main(
            'write', self.image, self.target, '--json', '--disk-format',
            'qcow2'))
        error = json.loads(self.out)['error']
        self.assertEqual(4, error['exit_status'])
        self.assertEqual(['format-mismatch'],
                         [finding['code'] for finding in error['findings']])

    def test_failure(self) -> None:
        self.assertEqual(3, self.run_main('map', '/no/such/image', '--json'))
        self.assertEqual(3, json.loads(self.out)['error']['exit_status'])


class KindTest(program.CommandTestCase):
    """A disk goes onto a disk, and a partition into a partition."""

    def write(self, is_partition: bool | None, *options: str) -> int:
        """The status of a write to a target that is one, or not."""
        with mock.patch.object(
                engine.Target, 'is_partition', create=True,
                new_callable=mock.PropertyMock, return_value=is_partition):
            return self.run_main('write', self.image, self.target, '--json',
                                 *options)

    def test_a_disk_into_a_partition(self) -> None:
        self.target.write_bytes(b'old' + bytes(8 * MIB))
        self.assertEqual(4, self.write(True))
        finding, = json.loads(self.out)['error']['findings']
        self.assertEqual(
            ('image-type-mismatch', 'partition', 'a partition image',
             'a whole-disk image'),
            tuple(finding[name] for name in ('code', 'case', 'expected',
                                             'found')))
        self.assertIn('--force', finding['fix'])
        self.assertEqual(b'old', self.target.read_bytes()[:3])
        self.assertEqual(0, self.write(True, '--force'))

    def test_a_partition_onto_a_disk(self) -> None:
        self.image.write_bytes(volumes.ext4(
            self.directory / 'root', volumes.BOOTABLE).read_bytes())
        self.assertEqual(4, self.write(False))
        finding, = json.loads(self.out)['error']['findings']
        self.assertEqual('disk', finding['case'])
        self.assertFalse(self.target.exists())
        for is_partition, options in ((False, ('--force',)), (True, ()),
                                      (None, ())):
            self.assertEqual(0, self.write(is_partition, *options))

    def test_what_suits(self) -> None:
        for is_partition in (False, None):
            self.assertEqual(0, self.write(is_partition))


class ExpectationTest(program.CommandTestCase):
    """The options reach the inspection."""

    def test_all(self) -> None:
        with mock.patch.object(engine, 'inspect', autospec=True,
                               side_effect=engine.inspect) as inspect:
            self.run_main(
                'check', self.image, '--disk-format', 'raw', '--image-type',
                'whole-disk', '--checksum', 'MD5:' + 'A' * 32, '--permit',
                'vmdk', '--permit', 'vdi', '--disk-size', 9 * MIB,
                '--sector-size', 4096, '--boot-mode', 'bios', '--arch',
                'x86_64')
        self.assertEqual(engine.Expectation(
            disk_format='raw', image_type='whole-disk',
            checksum=engine.Checksum('md5', 'a' * 32),
            permitted=('raw', 'qcow2', 'vmdk', 'vdi'), disk_size=9 * MIB,
            sector_size=4096, boot_mode='bios', arch='x86_64', contents=True),
            inspect.call_args.args[1])

    def test_this_machine(self) -> None:
        device = hardware.Device(kind=hardware.Kind.DISK, alias='virtio:d2',
                                 name='vda', driver='virtio_blk')
        with (mock.patch.object(hardware, 'devices', autospec=True,
                                return_value=(device,)),
              mock.patch.object(engine, 'inspect', autospec=True,
                                side_effect=engine.inspect) as inspect):
            self.run_main('check', self.image, '--here')
            self.assertEqual((device,), inspect.call_args.args[1].devices)
            self.run_main('check', self.image)
            self.assertEqual((), inspect.call_args.args[1].devices)

    def test_a_processor_that_nobody_knows(self) -> None:
        for name in ('x64', 'x86-64', '', 'intel'):
            self.assertEqual(2, self.run_main('check', self.image, '--arch',
                                              name))
            self.assertIn('is not a processor: expected one of aarch64',
                          self.err)
        for name in ('AMD64', 'arm64', 'riscv64'):
            self.run_main('check', self.image, '--arch', name)
            self.assertNotIn('not a processor', self.err)

    def test_what_comes_beside_the_image(self) -> None:
        with mock.patch.object(engine, 'inspect', autospec=True,
                               side_effect=engine.inspect) as inspect:
            self.run_main('check', self.image, '--kernel-beside')
        self.assertEqual(engine.Expectation(has_kernel=True, contents=True),
                         inspect.call_args.args[1])
        kernel = self.directory / 'vmlinuz'
        kernel.write_bytes(boot_files.bzimage())
        self.assertEqual(0, self.run_main('check', kernel, '--image-type',
                                          'kernel', '--json'))
        self.assertEqual(('bzImage', 'kernel'), tuple(
            json.loads(self.out)[key] for key in ('format', 'image_type')))
        self.assertEqual(4, self.run_main('check', kernel, '--image-type',
                                          'ramdisk'))
        self.assertIn('not-an-initramfs', self.out)

    def test_what_comes_beside_an_image_is_not_written(self) -> None:
        for options in (['--image-type', 'kernel'], ['--kernel-beside']):
            self.assertEqual(2, self.run_main(
                'write', self.image, self.target, *options))
        self.assertFalse(self.target.exists())

    def test_sources(self) -> None:
        for source, mirrors, options in (
                ('http://a/i', ['http://b/i', 'http://c/i'], {}),
                ('glance:uuid', [], {'cloud': 'lab'})):
            with mock.patch.object(engine, 'open_source', autospec=True,
                                   side_effect=KeyError) as open_source:
                self.run_main('check', source, '--os-cloud', 'lab', *[
                    part for mirror in mirrors
                    for part in ('--mirror', mirror)])
            open_source.assert_called_once_with(
                source, mirrors=mirrors, checksum_stated=False,
                first_retries=1, notice=mock.ANY, **options)

    def test_read_back(self) -> None:
        with mock.patch.object(engine, 'transfer', autospec=True,
                               side_effect=engine.transfer) as transfer:
            for option in ('--read-back', '--verify'):
                self.run_main('write', self.image, self.target, option,
                              'sample')
                self.assertEqual('sample',
                                 transfer.call_args.kwargs['read_back'])
                self.assertIn('a sample of what was written or zeroed is '
                              'identical', self.out)
        self.run_main('write', self.image, self.target, '--verify', 'full')
        self.assertIn('all that was written or zeroed is identical', self.out)


class SignalTest(program.CommandTestCase):
    """A signal stops a write with one sentence."""

    def setUp(self) -> None:
        super().setUp()
        signals.dispose(self, signal.default_int_handler)

    def write_and_send(self, number: int) -> int:
        def send(*args: typing.Any, **kwargs: typing.Any) -> None:
            os.kill(os.getpid(), number)
            signal.pause()

        with mock.patch.object(engine, 'transfer', autospec=True,
                               side_effect=send):
            return self.run_main('write', self.image, self.target)

    def test_status_and_sentence(self) -> None:
        for number in signals.STOPPING:
            self.assertEqual(128 + number, self.write_and_send(number))
            self.assertEqual(
                f'ironic-imagedeploy: stopped by {number.name}; '
                f'{self.target} was removed\n', self.err)
            self.assertFalse(self.target.exists())

    def test_a_disk_that_was_there_stays(self) -> None:
        self.target.write_bytes(bytes(4 * MIB))
        self.write_and_send(signal.SIGTERM)
        self.assertEqual(
            'ironic-imagedeploy: stopped by SIGTERM; '
            f'{self.target} is incomplete and boots nothing\n', self.err)

    def test_handlers_are_restored(self) -> None:
        self.write_and_send(signal.SIGTERM)
        self.assertIs(signal.default_int_handler,
                      signal.getsignal(signal.SIGTERM))
        self.assertIs(signal.default_int_handler,
                      signal.getsignal(signal.SIGINT))

    def test_ignored_signals_stay_ignored(self) -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

        def send(*args: typing.Any, **kwargs: typing.Any) -> typing.NoReturn:
            os.kill(os.getpid(), signal.SIGHUP)
            raise ZeroDivisionError

        with mock.patch.object(engine, 'transfer', autospec=True,
                               side_effect=send):
            self.assertEqual(1, self.run_main('write', self.image,
                                              self.target))


class TargetTest(program.CommandTestCase):
    """Mistakes that would be expensive."""

    def test_image_onto_itself(self) -> None:
        before = self.image.read_bytes()
        link = self.directory / 'link'
        link.hardlink_to(self.image)
        for source, target in ((self.image, self.image), (self.image, link),
                               (f'file://{self.image}', self.image)):
            self.assertEqual(2, self.run_main('write', source, target))
            self.assertIn('same file', self.err)
        self.assertEqual(before, self.image.read_bytes())

    def test_report_that_cannot_be_written(self) -> None:
        for report in ('/no/such/directory/report', '/dev/null', '/'):
            self.assertEqual(2, self.run_main(
                'write', self.image, self.target, '--report', report))
            self.assertIn(report, self.err)
        self.assertFalse(self.target.exists())


class OutputTest(program.CommandTestCase):
    """What goes where."""

    def test_warnings_go_to_standard_error(self) -> None:
        with self.image.open('r+b') as image:
            image.write(bytes(512))
        self.assertEqual(0, self.run_main(
            'write', self.image, self.target, '--disk-format', 'raw',
            '--progress', 'none'))
        self.assertIn('warning: no-partition-table: ', self.err)

    def test_progress_can_be_silenced(self) -> None:
        self.run_main('write', self.image, self.target, '--progress', 'none')
        self.assertEqual('', self.err)

    def test_hostile_path(self) -> None:
        hostile = self.directory / 'a\x1b[2Jb\nc'
        self.image.rename(hostile)
        for arguments in (('check', hostile), ('map', hostile),
                          ('write', hostile, self.target),
                          ('check', f'{hostile}!')):
            self.run_main(*arguments)
            self.assertNotIn('\x1b', self.out + self.err)
            self.assertIn(r'a\x1b[2Jb\nc', self.out + self.err)

    def test_names_that_are_no_text(self) -> None:
        hostile = os.fsencode(self.directory) + b'/\xff\xfe'
        os.rename(self.image, hostile)
        name = os.fsdecode(hostile)
        out = io.TextIOWrapper(io.BytesIO(), encoding='utf-8')
        with contextlib.redirect_stdout(out):
            self.assertEqual(0, imagedeploy.main(['check', name]))
            self.assertEqual(0, imagedeploy.main(['check', name, '--json']))

    def test_reader_that_went_away(self) -> None:
        receiver, sender = os.pipe()
        os.close(receiver)
        with open(sender, 'w') as out:
            with contextlib.redirect_stdout(out):
                self.assertEqual(0, imagedeploy.main(
                    ['check', str(self.image)]))

    def test_no_room_for_what_is_printed(self) -> None:
        for option in ((), ('--json',)):
            err = io.StringIO()
            with (open('/dev/full', 'w') as out,
                  contextlib.redirect_stdout(out),
                  contextlib.redirect_stderr(err)):
                self.assertEqual(5, imagedeploy.main(
                    ['check', str(self.image), *option]))
            self.assertIn('standard output', err.getvalue())
            self.assertIn('No space left', err.getvalue())

    def test_standard_streams_are_left_alone(self) -> None:
        before = sys.stdout
        self.run_main('check', self.image)
        self.assertIs(before, sys.stdout)
