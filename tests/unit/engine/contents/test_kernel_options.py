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

import unittest

from ironic_imagedeploy.engine.contents import kernel_options


class WordsTest(unittest.TestCase):

    def test_quotes(self) -> None:
        self.assertEqual(
            ['a', 'b=c d', 'e f', 'g='],
            list(kernel_options.words('a  b="c d" "e f"\tg=""')))

    def test_safe(self) -> None:
        for word in ('console=ttyS0,115200n8', 'root=UUID=1-2', 'a.b=c d',
                     'mem=1G@0x1', 'x[0]=*?', '--'):
            self.assertTrue(kernel_options.is_safe(word), word)
        for word in ('', 'a;b', 'a$b', "a'b", 'a`b', 'a\\b', 'a{b', 'a\nb',
                     'a|b', 'a&b', 'a<b', '(', 'é'):
            self.assertFalse(kernel_options.is_safe(word), word)


class UnsafeTest(unittest.TestCase):

    def test_nothing(self) -> None:
        for text in ('', 'nofb vga=normal', 'dyndbg="file a.c +p" -- single',
                     'x' * kernel_options.MOST_BYTES):
            self.assertIsNone(kernel_options.unsafe(text))

    def test_the_first_of_them(self) -> None:
        for text, found in (('a b;c d|e', 'b;c'), ('a="b', 'quotation'),
                            ('a="b;c"', 'a=b;c'),
                            ('x' * 2049, '2049 bytes')):
            self.assertIn(found, str(kernel_options.unsafe(text)))
