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

"""Text from outside, as it may stand in an error, a log or a terminal."""

#: Characters of one text; what a program may need as a whole is in its data.
MOST = 1000
_CUT = '...'


def printable(text: str) -> str:
    """The text with everything that moves a cursor or hides made visible.

    Names of partitions, of files and of servers come from strangers: an
    escape sequence among them must not reach a terminal.
    """
    return ''.join(
        character if character.isprintable()
        else character.encode('unicode_escape').decode('ascii')
        for character in text)


def bounded(text: str, most: int = MOST) -> str:
    """The text, printable, and cut where it is longer than anybody reads.

    :param most: characters.
    """
    # A character becomes ten at most; more of them need not be looked at.
    shown = printable(text[:most + 1])
    return shown if len(shown) <= most else shown[:most - len(_CUT)] + _CUT
