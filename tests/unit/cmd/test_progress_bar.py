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

"""The bar on a terminal, the lines elsewhere."""

import io
import os
import pty
import unittest
from unittest import mock

from ironic_imagedeploy.cmd import progress_bar
from ironic_imagedeploy import engine

MIB = 1 << 20


def at(done: int, phase: str = 'write', rate: float = 10.0 * MIB
       ) -> engine.Progress:
    """The progress of a disk of 100 MiB, in MiB."""
    return engine.Progress(phase, done * MIB, 100 * MIB, rate, 'network')


class LineTest(unittest.TestCase):
    """One line of a log."""

    def test_says_all(self) -> None:
        self.assertEqual(
            'writing: 25%, 25 MiB of 100 MiB, 10 MiB/s, 7.5 s left, '
            'limited by network', progress_bar.line(at(25)))

    def test_without_a_rate_there_is_no_time_left(self) -> None:
        self.assertEqual(
            'reading back: 0%, 0 B of 100 MiB, limited by network',
            progress_bar.line(at(0, 'read-back', 0.0)))

    def test_without_a_whole_there_is_no_share(self) -> None:
        self.assertEqual(
            'writing: 25 MiB, 10 MiB/s, limited by network',
            progress_bar.line(at(25)._replace(total=0)))


class BarTest(unittest.TestCase):
    """The bar fits into the terminal, whatever its width."""

    def test_full_width(self) -> None:
        drawn = progress_bar.bar(at(50), columns=100, ascii_only=False)
        self.assertTrue(drawn.startswith('writing      ▕█'), drawn)
        self.assertTrue(
            drawn.endswith('  50%    50 MiB of 100 MiB     10 MiB/s  '
                           '5.0 s left         network'), drawn)

    def test_does_not_jump(self) -> None:
        widths = {
            progress_bar.bar(at(done, rate=rate), columns=120, ascii_only=True)
            .index(']') for done in (0, 1, 50, 100)
            for rate in (0.0, 1023.0, 3.0 * MIB, 999.0 * MIB)}
        self.assertEqual(1, len(widths), widths)

    def test_does_not_jump_from_phase_to_phase(self) -> None:
        for columns in range(60, 140):
            places = {progress_bar.bar(
                at(done, phase)._replace(total=total), columns=columns,
                ascii_only=True).index(']')
                for phase, total in (('write', 42 * MIB + 12345),
                                     ('zero', 999 * MIB),
                                     ('finish', 512 * MIB), ('write', 0))
                for done in (0, 40)}
            self.assertEqual(1, len(places), columns)

    def test_never_reaches_the_last_column(self) -> None:
        for columns in range(1, 200):
            for ascii_only in (True, False):
                drawn = progress_bar.bar(at(50), columns=columns,
                                         ascii_only=ascii_only)
                self.assertLess(len(drawn), max(columns, 1), drawn)

    def test_time_left_and_bottleneck_outlive_the_size(self) -> None:
        drawn = progress_bar.bar(at(50), columns=71, ascii_only=False)
        self.assertTrue(drawn.endswith(
            '▏  50%    10 MiB/s  5.0 s left         network'), drawn)

    def test_percentage_outlives_the_details(self) -> None:
        drawn = progress_bar.bar(at(50), columns=40, ascii_only=True)
        self.assertIn('#', drawn)
        self.assertTrue(drawn.rstrip().endswith('50%'), drawn)

    def test_done_is_full(self) -> None:
        drawn = progress_bar.bar(at(100), columns=80, ascii_only=True)
        self.assertIn('#]', drawn)
        self.assertIn('100%', drawn)

    def test_an_unknown_whole_is_empty(self) -> None:
        drawn = progress_bar.bar(at(25)._replace(total=0), columns=100,
                                 ascii_only=True)
        self.assertNotIn('#', drawn)
        self.assertNotIn('%', drawn)
        self.assertIn('25 MiB  ', drawn)

    def test_the_locale_c(self) -> None:
        stream = io.TextIOWrapper(io.BytesIO(), encoding='utf-8')
        for stated, able in (
                ({'LC_ALL': 'C'}, False), ({'LANG': 'C'}, False),
                ({'LANG': 'POSIX', 'LC_CTYPE': 'C.UTF-8'}, False),
                ({'LANG': 'C', 'LC_ALL': 'en_US.UTF-8'}, True),
                ({'LANG': 'C', 'LC_ALL': 'C.UTF-8'}, True),
                ({'LC_CTYPE': 'C.UTF-8'}, True), ({}, True)):
            values = {name: '' for name in ('LC_ALL', 'LC_CTYPE', 'LANG')}
            for terminal in (True, False):
                with (self.subTest(stated=stated, terminal=terminal),
                      mock.patch.dict(os.environ, {
                          **values, **stated, 'TERM': 'xterm'}),
                      mock.patch.object(stream, 'isatty', autospec=True,
                                        return_value=terminal)):
                    self.assertEqual(
                        able, progress_bar.can_encode(stream, '█'))

    def test_plain_on_a_terminal_with_few_characters(self) -> None:
        """The font of a console has no shades, whatever the locale says."""
        stream = io.TextIOWrapper(io.BytesIO(), encoding='utf-8')
        self.enterContext(mock.patch.object(
            stream, 'isatty', autospec=True, return_value=True))
        for terminal, able in (('linux', False), ('dumb', False),
                               ('xterm', True)):
            with mock.patch.dict('os.environ', TERM=terminal):
                self.assertEqual(able,
                                 progress_bar.can_encode(stream, '█'))

    def test_ascii_where_the_stream_has_no_blocks(self) -> None:
        stream = io.TextIOWrapper(io.BytesIO(), encoding='latin-1')
        with progress_bar.Bar(stream) as shown:
            shown(at(50))
        drawn = stream.buffer.getvalue()
        self.assertIn(b'[####', drawn)


class DisplayTest(unittest.TestCase):
    """Who gets a bar, who lines, who nothing."""

    def lines(self, *seconds: float) -> list[str]:
        stream = io.StringIO()
        with (mock.patch.object(progress_bar.time, 'monotonic', autospec=True,
                                side_effect=seconds),
              progress_bar.Lines(stream) as shown):
            for index in range(len(seconds)):
                shown(at(index))
        return stream.getvalue().splitlines()

    def test_a_line_every_five_seconds(self) -> None:
        shown = self.lines(0, 1, 4.9, 5.1, 6, 10.2)
        self.assertEqual(['0%', '3%', '5%'],
                         [line.split()[1].rstrip(',') for line in shown])

    def test_a_line_for_each_phase(self) -> None:
        stream = io.StringIO()
        with progress_bar.display('plain', stream) as shown:
            for phase in ('write', 'write', 'read-back', 'finish'):
                shown(at(1, phase))
        self.assertEqual(
            ['writing', 'reading back', 'finishing'],
            [line.partition(':')[0]
             for line in stream.getvalue().splitlines()])

    def test_no_limit_before_anything_is_done(self) -> None:
        self.assertEqual([False, True, True], [
            'limited by' in line for line in self.lines(0, 6, 12)])

    def test_none_is_silent(self) -> None:
        stream = io.StringIO()
        with progress_bar.display('none', stream) as shown:
            shown(at(1))
        self.assertEqual('', stream.getvalue())

    def test_no_bar_in_a_pipe(self) -> None:
        self.assertIsInstance(progress_bar.display('auto', io.StringIO()),
                              progress_bar.Lines)

    def test_bar_on_a_terminal_that_can_draw(self) -> None:
        ours, theirs = pty.openpty()
        self.addCleanup(os.close, ours)
        with open(theirs, 'w') as terminal:
            with mock.patch.dict(os.environ, TERM='xterm'):
                bar = progress_bar.display('auto', terminal)
            with mock.patch.dict(os.environ, TERM='dumb'):
                dumb = progress_bar.display('auto', terminal)
            self.assertIsInstance(bar, progress_bar.Bar)
            self.assertIsInstance(dumb, progress_bar.Lines)
            with bar:
                bar(at(50))
            drawn = b''
            while not drawn.endswith(b'\n'):
                drawn += os.read(ours, 4096)
        self.assertTrue(drawn.startswith(b'\rwriting'), drawn)

    def test_a_reader_that_went_away_stops_nothing(self) -> None:
        receiver, sender = os.pipe()
        os.close(receiver)
        stream = open(sender, 'w')
        with progress_bar.display('plain', stream) as shown:
            shown(at(1))
        with self.assertRaises(BrokenPipeError):
            stream.close()
