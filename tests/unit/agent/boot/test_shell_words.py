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

from ironic_imagedeploy.agent.boot import shell_words


class AssignmentTest(unittest.TestCase):

    def test_name_and_value(self):
        for line, found in (
                ('A=b', ('A', 'b', False)), ('A+=b', ('A', 'b', True)),
                ('  export GRUB_X="a b" # why',
                 ('GRUB_X', '"a b" # why', False)),
                ('A=', ('A', '', False))):
            self.assertEqual(found, shell_words.assignment(line), line)

    def test_others(self):
        for line in ('', '# A=b', 'A = b', 'echo A=b', '1A=b', 'if A=b',
                     'A +=b'):
            self.assertIsNone(shell_words.assignment(line), line)


class ValueTest(unittest.TestCase):

    def test_quotes(self):
        for written, value in (
                ('', ''), ('quiet', 'quiet'), ('"a b"', 'a b'),
                ("'a b'", 'a b'), ('a"b c"d\'e f\'', 'ab cde f'),
                (r'"a \"b\" \$c \\ \d"', 'a "b" $c \\ \\d'),
                ("'$(reboot) `x` \\'", '$(reboot) `x` \\'),
                (r'a\ b\$', 'a b$'), ('a # comment', 'a'), ('a  ', 'a')):
            self.assertEqual(value, shell_words.value(written), written)

    def test_what_only_a_shell_could_tell(self):
        for written, reason in (
                ('"$(touch /tmp/pwned)"', 'expanded'), ('$HOME', 'expanded'),
                ('"quiet ${X}"', 'expanded'), ('`id`', 'backquote'),
                ('"a `id`"', 'backquote'), ('"a', 'not closed'),
                ("'a", 'not closed'), ('a\\', 'continued'),
                ('"a\\', 'not closed'), ('a; reboot', 'operator ;'),
                ('a reboot', 'command'), ('a|b', 'operator |'),
                ('a>/etc/passwd', 'operator >'), ('<(id)', 'operator <'),
                ('a&', 'operator &')):
            with self.assertRaisesRegex(shell_words.NotData, reason.replace(
                    '|', r'\|'), msg=written):
                shell_words.value(written)

    def test_the_longest(self):
        for written, known in (('x' * 4096, {}), ('"$A"', {'A': 'x' * 4096})):
            self.assertEqual('x' * 4096, shell_words.value(written, known))
        for written, known in (('x' * 4097, {}), ('"$A"y', {'A': 'x' * 4096})):
            with self.assertRaisesRegex(shell_words.NotData,
                                        'more than 4096 characters'):
                shell_words.value(written, known)

    def test_known_variables(self):
        known = {'A': 'x "$B" `y`', 'B': ''}
        for written, value in (
                ('$A', 'x "$B" `y`'), ('"${A}b $B"', 'x "$B" `y`b '),
                ("'$A'", '$A'), (r'"\$A"', '$A')):
            self.assertEqual(value, shell_words.value(written, known))
        for written in ('$AB', '"$"', '${A', '"${A:-b}"', '$1', '$(A)'):
            with self.assertRaisesRegex(shell_words.NotData, 'expanded'):
                shell_words.value(written, known)
