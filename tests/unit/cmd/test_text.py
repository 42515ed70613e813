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

"""Sizes, times and hostile names in the program's output."""

import unittest

from ironic_imagedeploy.cmd import text


class SizeTest(unittest.TestCase):
    """A number of bytes for people."""

    def test_three_digits(self) -> None:
        for count, words in (
                (0, '0 B'), (1023, '1023 B'), (1024, '1 KiB'),
                (1536, '1.50 KiB'), (2361393152, '2.20 GiB'),
                (10 << 30, '10 GiB'), (100 << 30, '100 GiB'),
                (1023 << 10, '1023 KiB'), (16 << 60, '16 EiB')):
            with self.subTest(count):
                self.assertEqual(words, text.size(count))

    def test_rounding_up_changes_the_unit(self) -> None:
        self.assertEqual('1 MiB', text.size((1 << 20) - 1))


class DurationTest(unittest.TestCase):
    """A time for people."""

    def test_units(self) -> None:
        for seconds, words in (
                (0, '0.0 s'), (4.25, '4.2 s'), (9.97, '10 s'), (59.4, '59 s'),
                (59.6, '1 min 00 s'), (187, '3 min 07 s'),
                (3720, '1 h 02 min')):
            with self.subTest(seconds):
                self.assertEqual(words, text.duration(seconds))


class ShareTest(unittest.TestCase):
    """A percentage that never claims too much."""

    def test_ends_are_exact(self) -> None:
        for part, words in ((0, '0%'), (1, '<1%'), (500, '50%'),
                            (999, '99%'), (1000, '100%')):
            with self.subTest(part):
                self.assertEqual(words, text.share(part, 1000))

    def test_nothing_of_nothing(self) -> None:
        self.assertEqual('0%', text.share(0, 0))


class SecretsTest(unittest.TestCase):
    """Secrets in URLs do not reach a log."""

    def test_urls(self) -> None:
        for words, said in (
                ('GET https://me:pw@host/i?sig=abc&x=1 failed',
                 'GET https://...host/i?... failed'),
                ('"GET /i?sig=abc HTTP/1.1" 200', '"GET /i?... HTTP/1.1" 200'),
                ("'http://host/i?sig=abc'", "'http://host/i?...'"),
                ('user@host: why? so', 'user@host: why? so')):
            with self.subTest(words):
                self.assertEqual(said, text.without_secrets(words))


class PrintableTest(unittest.TestCase):
    """What strangers named must not command a terminal."""

    def test_escape_sequences_are_shown(self) -> None:
        self.assertEqual(r'a\x1b[2Jb\r\n\x00',
                         text.printable('a\x1b[2Jb\r\n\0'))

    def test_direction_overrides_are_shown(self) -> None:
        self.assertEqual(r'x\u202efdp', text.printable('x\u202efdp'))

    def test_lone_surrogates_can_be_encoded(self) -> None:
        self.assertEqual(r'\ud800', text.printable('\ud800'))

    def test_letters_of_all_scripts_stay(self) -> None:
        self.assertEqual('Wurzel 根 ñ', text.printable('Wurzel 根 ñ'))
