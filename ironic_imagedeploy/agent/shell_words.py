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

"""Assignments of a shell file, read as data: nothing is evaluated.

What would have to be evaluated (``$``, backquotes, commands) or goes beyond
one line is an error of that line.
"""

import re
import typing

_ASSIGNMENT = re.compile(
    r'\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)(\+?)=(.*)')
#: What a backslash protects in double quotes (POSIX, "Double-Quotes").
_ESCAPED = frozenset('$`"\\')
#: What ends a command or redirects it, outside of quotes.
_OPERATORS = frozenset(';&|<>()')
#: Characters of a value; kernel options are shorter.
_MOST = 4096


class NotData(Exception):
    """A value that only a shell could tell."""


class Assignment(typing.NamedTuple):
    """A line that gives a variable its value.

    :ivar written: all that is behind the equals sign.
    :ivar appends: to the value that it had (of bash).
    """

    name: str
    written: str
    appends: bool = False


def assignment(line: str) -> Assignment | None:
    """What a line assigns; None when it is something else."""
    match = _ASSIGNMENT.fullmatch(line)
    return Assignment(match[1], match[3], bool(match[2])) if match else None


def value(written: str) -> str:
    """The value of an assignment, without its quotes.

    :param written: all that is behind the equals sign.
    :raises NotData: with the reason.
    """
    if len(written) > _MOST:
        raise NotData(f'a value of more than {_MOST} characters')
    taken: list[str] = []
    rest = written
    while rest and not rest[0].isspace():
        first, rest = rest[0], rest[1:]
        if first == "'":
            inside, closed, rest = rest.partition("'")
            if not closed:
                raise NotData('a quote that is not closed in its line')
            taken.append(inside)
        elif first == '"':
            inside, rest = _double_quoted(rest)
            taken.append(inside)
        elif first == '\\':
            if not rest:
                raise NotData('a line that is continued')
            taken.append(rest[0])
            rest = rest[1:]
        else:
            taken.append(_plain(first, _OPERATORS))
    if rest.strip() and not rest.strip().startswith('#'):
        raise NotData('a command behind the value')
    return ''.join(taken)


def _double_quoted(rest: str) -> tuple[str, str]:
    """What is in double quotes, and what is behind them."""
    taken: list[str] = []
    position = 0
    while position < len(rest):
        character = rest[position]
        position += 1
        if character == '"':
            return ''.join(taken), rest[position:]
        if character == '\\' and rest[position:position + 1] in _ESCAPED:
            character = rest[position]
            position += 1
            taken.append(character)
        else:
            taken.append(_plain(character, frozenset()))
    raise NotData('a quote that is not closed in its line')


def _plain(character: str, refused: frozenset[str]) -> str:
    if character == '$':
        raise NotData('a $ to be expanded')
    if character == '`':
        raise NotData('a backquote to be executed')
    if character in refused:
        raise NotData(f'the shell operator {character}')
    return character
