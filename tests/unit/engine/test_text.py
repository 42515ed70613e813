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


import time
import unittest

from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine import text

HOSTILE = 'x86\n\x1b[2Jroot\u202e\x9b' + 'y' * (1 << 20)


class TextTest(unittest.TestCase):

    def test_printable(self) -> None:
        self.assertEqual('a\\nb\\x1b[0m\\u202e ä', text.printable(
            'a\nb\x1b[0m\u202e ä'))

    def test_bounded(self) -> None:
        self.assertEqual('x' * 1000, text.bounded('x' * 1000))
        for long in ('x' * 1001, '\n' * 999, '\U0010ffff' * 200):
            self.assertEqual(1000, len(text.bounded(long)))
            self.assertTrue(text.bounded(long).endswith('...'))

    def test_a_long_text_costs_no_time(self) -> None:
        begin = time.thread_time()
        text.bounded('\x1b' * (64 << 20))
        self.assertLess(time.thread_time() - begin, 0.5)


class HostileTest(unittest.TestCase):
    """What a stranger wrote moves no cursor and fills no log."""

    def assert_harmless(self, words: str) -> None:
        self.assertTrue(words.isprintable(), ascii(words[:200]))
        self.assertIn('x86\\n\\x1b[2Jroot\\u202e', words)
        self.assertLess(len(words), 10000)

    def test_finding(self) -> None:
        for name in ('expected', 'found', 'message'):
            given = {'expected': 'this', 'found': 'that', name: HOSTILE}
            finding = engine.Finding(code='dirty', **given)
            self.assert_harmless(str(finding))
            self.assert_harmless(finding.to_dict()[name])
        finding = engine.Finding(code='format-mismatch', expected='this',
                                 found='that', data={'format': HOSTILE})
        self.assert_harmless(str(finding))
        self.assert_harmless(finding.fix)

    def test_error(self) -> None:
        for name in ('expected', 'found'):
            given = {'expected': 'this', 'found': 'that', name: HOSTILE}
            self.assert_harmless(str(exceptions.SourceError(
                'https://example.com/disk', fix='Wait.', **given)))
        error = exceptions.SourceError(HOSTILE, expected='this',
                                       found='that', fix='Wait.')
        self.assert_harmless(error.subject)
        self.assert_harmless(str(error))
