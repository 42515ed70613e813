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

"""Words and values of errors, as the command line gives them."""

import contextlib
import io
import json
import os
import subprocess
import sys
import time
from unittest import mock

from ironic_imagedeploy.cmd import imagedeploy
from ironic_imagedeploy import engine
from tests.support import web
from tests.unit.cmd import program
from tests.unit.engine import qcow2_builder

#: Nobody listens there.
NOWHERE = 'http://127.0.0.1:9/image'


class JsonTest(program.CommandTestCase):

    def error(self, status, *arguments):
        self.assertEqual(status, self.run_main(*arguments, '--json'))
        error = json.loads(self.out)['error']
        self.assertEqual(status, error['exit_status'])
        for key in ('subject', 'expected', 'found', 'fix'):
            self.assertIn(error[key], error['message'])
        return error

    def test_a_source(self):
        error = self.error(3, 'check', self.directory / 'gone')
        self.assertEqual(('never', str(self.directory / 'gone')),
                         (error['retry'], error['subject']))

    def test_a_server(self):
        error = self.error(3, 'check', NOWHERE)
        self.assertEqual(('later', 'Connection refused'),
                         (error['retry'], error['found']))

    def test_a_target(self):
        error = self.error(5, 'verify', self.image, self.directory / 'gone')
        self.assertEqual('elsewhere', error['retry'])

    def test_an_image(self):
        error = self.error(4, 'write', self.image, self.target,
                           '--disk-format', 'qcow2')
        self.assertEqual(('never', 'format-mismatch'), (
            error['retry'], error['findings'][0]['code']))

    def test_an_image_for_a_larger_disk(self):
        error = self.error(4, 'write', self.image, self.target,
                           '--disk-size', '1M')
        self.assertEqual('elsewhere', error['retry'])

    def test_no_memory(self):
        with mock.patch.object(engine, 'inspect', autospec=True,
                               side_effect=MemoryError):
            error = self.error(1, 'check', self.image)
        self.assertEqual(('later', 'less'), (error['retry'], error['found']))

    def test_a_bug_has_no_parts(self):
        with mock.patch.object(engine, 'inspect', autospec=True,
                               side_effect=KeyError('bug')):
            self.assertEqual(1, self.run_main('check', self.image, '--json'))
        self.assertEqual({'message', 'exit_status'},
                         set(json.loads(self.out)['error']))


class PatienceTest(program.CommandTestCase):
    """A person waits; a server that is not there is not waited for."""

    def setUp(self):
        super().setUp()
        self.server = web.Server(self.directory)
        self.addCleanup(self.server.stop)

    def test_nobody_there(self):
        began = time.monotonic()
        self.assertEqual(3, self.run_main('check', NOWHERE))
        self.assertLess(time.monotonic() - began, 3)
        self.assertIn('cannot be reached', self.err)
        self.assertEqual(1, self.err.count('retrying in'))

    def test_no_such_host(self):
        self.assertEqual(3, self.run_main('check', 'http://a.invalid/image'))
        self.assertEqual(1, self.err.count('retrying in'))

    def test_another_protocol(self):
        self.server.answer = lambda exchange: exchange.wfile.write(
            b'SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n')
        self.assertEqual(3, self.run_main('check', self.server.url('image')))
        self.assertIn('found an answer that is not HTTP', self.err)
        self.assertEqual(1, self.err.count('retrying in'))

    def test_a_server_that_is_busy_is_asked_again(self):
        self.server.answer = web.in_turn(
            lambda exchange: exchange.refuse(503), web.Exchange.serve)
        self.assertEqual(0, self.run_main('check', self.server.url('image')))
        self.assertIn('HTTP status 503; retrying in', self.err)

    def test_no_reading_to_an_end_that_is_stated_and_far_away(self):
        image = qcow2_builder.Builder(1 << 20).build()
        self.image.write_bytes(image)
        self.server.answer = lambda exchange: exchange.serve(
            ranges=False, headers={'Content-Length': str(10 ** 15)})
        for command in (['check'], ['write', self.target]):
            self.assertEqual(4, self.run_main(
                command[0], self.server.url('image'), *command[1:]))
            self.assertIn('far larger than its disk', self.out + self.err)
        self.assertFalse(self.target.exists())

    def test_a_server_that_gives_no_parts_shows_no_system(self):
        for ranges in (True, False):
            self.server.answer = lambda exchange, has=ranges: exchange.serve(
                ranges=has)
            self.assertEqual(0, self.run_main('check',
                                              self.server.url('image')))
            self.assertIs(ranges, 'the system in it' not in self.out)

    def test_silence_where_that_was_asked_for(self):
        self.server.answer = web.in_turn(
            lambda exchange: exchange.refuse(503), web.Exchange.serve)
        self.assertEqual(0, self.run_main(
            'write', self.server.url('image'), self.target, '--progress',
            'none'))
        self.assertEqual('', self.err)

    def test_a_drop_in_the_middle_is_told(self):
        dropped = []

        def drop_once(exchange):
            first = len(dropped) == 0 and exchange.headers['Range'] != (
                self.server.requests[0])
            dropped.extend([1] * first)
            exchange.serve(stop_after=100 if first else None)

        self.server.answer = drop_once
        self.assertEqual(0, self.run_main(
            'write', self.server.url('image'), self.target))
        self.assertEqual([1], dropped)
        self.assertIn('retrying in', self.err)


class WordsTest(program.CommandTestCase):

    def test_an_empty_name(self):
        for arguments in (('check', ''), ('check', ' '),
                          ('write', self.image, ''),
                          ('check', self.image, '--target', '')):
            self.assertEqual(2, self.run_main(*arguments), arguments)
            self.assertIn('expected a name, found none', self.err)

    def test_standard_output_is_not_a_disk(self):
        for arguments in (('write', self.image, '-'),
                          ('verify', self.image, '-'),
                          ('repair-gpt', '-'), ('mend', '-'),
                          ('check', self.image, '--target', '-')):
            self.assertEqual(2, self.run_main(*arguments), arguments)
            self.assertIn('found standard output', self.err)

    def test_a_disk_that_is_only_read(self):
        for arguments in (('verify', self.image, self.directory),
                          ('check', self.image, '--target', self.directory)):
            self.assertEqual(5, self.run_main(*arguments))
            self.assertIn('cannot be read', self.err)
            self.assertNotIn('writ', self.err)

    def test_another_disk(self):
        self.target.write_bytes(os.urandom(4 << 20))
        self.assertEqual(6, self.run_main('verify', self.image, self.target))
        self.assertIn('does not hold the image', self.err)
        self.assertNotIn('was written', self.err.partition('Compare')[0])

    def test_a_disk_that_cannot_be_written_can_be_compared(self):
        self.target.write_bytes(self.image.read_bytes())
        opened = os.open

        def only_read(path, flags, *mode, **options):
            if str(path) == str(self.target) and flags & os.O_RDWR:
                raise PermissionError(13, 'Permission denied')
            return opened(path, flags, *mode, **options)

        with mock.patch.object(os, 'open', only_read):
            self.assertEqual(0, self.run_main('verify', self.image,
                                              self.target))
            self.assertEqual(0, self.run_main('check', self.image,
                                              '--target', self.target))

    def test_a_disk_that_is_written_though_nothing_is_printed(self):
        for option in ((), ('--json',)):
            err = io.StringIO()
            with (open('/dev/full', 'w') as out,
                  contextlib.redirect_stdout(out),
                  contextlib.redirect_stderr(err)):
                self.assertEqual(0, imagedeploy.main(
                    ['write', str(self.image), str(self.target), *option]))
            self.assertEqual(self.image.read_bytes(),
                             self.target.read_bytes())
            self.assertIn('is written', err.getvalue())
            self.assertIn('No space left', err.getvalue())

    def test_a_report_that_cannot_be_kept(self):
        with mock.patch.object(os, 'replace', autospec=True,
                               side_effect=OSError(28, 'No space left')):
            self.assertEqual(0, self.run_main(
                'write', self.image, self.target, '--report',
                self.directory / 'report'))
        self.assertIn('is written', self.err)
        self.assertIn('verified', self.out.lower())

    def test_what_is_on_a_disk_without_a_gpt(self):
        for content, words in (
                (self.image.read_bytes(), 'no GPT, but an MBR'),
                (bytes(1080) + b'\x53\xef' + bytes(1 << 20),
                 'no GPT, but a file system'),
                (bytes(1 << 20), 'no partition table'),
                (b'abc', 'no GPT, but data')):
            self.target.write_bytes(content)
            self.assertEqual(0, self.run_main('repair-gpt', self.target))
            self.assertIn(f'nothing to repair: there is {words}', self.out)
            self.assertEqual(content, self.target.read_bytes())

    def test_an_image_in_a_container_has_no_gpt(self):
        for magic, name in ((b'QFI\xfb', 'qcow2'), (b'KDMV', 'vmdk'),
                            (b'\x1f\x8b\x08', 'gz')):
            self.target.write_bytes(magic + bytes(1 << 20))
            self.assertEqual(5, self.run_main('repair-gpt', self.target))
            self.assertIn(f'found a file of the format {name}', self.err)


class OutputTest(program.CommandTestCase):
    """Files that a command makes replace none that it was given."""

    def test_an_image_is_not_replaced(self):
        before = self.image.read_bytes()
        link = self.directory / 'link'
        link.symlink_to(self.image)
        for output in (self.image, link):
            for source in (self.image, self.image.as_uri()):
                for arguments in (
                        ('map', source, '--svg', output),
                        ('write', source, self.target, '--report', output),
                        ('manifest', source, '--output', output),
                        ('manifest', source, '--output',
                         self.directory / 'made', '--bmap', output)):
                    with self.subTest(arguments=arguments):
                        self.assertEqual(2, self.run_main(*arguments))
                        self.assertIn('would replace', self.err)
                        self.assertEqual(before, self.image.read_bytes())

    def test_other_files_are_not_either(self):
        sums = self.directory / 'SUMS'
        sums.write_text('0' * 64)
        for arguments in (
                ('write', self.image, self.target, '--report', self.target),
                ('write', self.image, self.target, '--report', sums,
                 '--checksum-file', sums),
                ('manifest', self.image, '--output', sums, '--bmap', sums)):
            with self.subTest(arguments=arguments):
                self.assertEqual(2, self.run_main(*arguments))
                self.assertIn('would replace', self.err)
        self.assertEqual('0' * 64, sums.read_text())
        self.assertFalse(self.target.exists())

    def test_a_manifest_is_not_mixed_with_its_summary(self):
        done = subprocess.run(
            [sys.executable, '-c',
             'from ironic_imagedeploy.cmd import imagedeploy\n'
             'imagedeploy.main(["manifest", '
             f'{str(self.image)!r}, "-o", "/dev/stdout"])'],
            capture_output=True, text=True, check=False)
        self.assertEqual(('', 2), (done.stdout, done.returncode))
        self.assertIn('name a file', done.stderr)
