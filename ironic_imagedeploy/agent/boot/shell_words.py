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
one line is an error of that line; but a value may have that of a variable in
it which is known, and which is data as well.
"""

from collections.abc import Mapping
import re
import typing

_NAME = '[A-Za-z_][A-Za-z0-9_]*'
_ASSIGNMENT = re.compile(rf'\s*(?:export\s+)?({_NAME})(\+?)=(.*)')
_REFERENCE = re.compile(rf'({_NAME})|\{{({_NAME})\}}')
#: What a backslash protects in double quotes (POSIX, "Double-Quotes").
_ESCAPED = frozenset('$`"\\')
_NOTHING: Mapping[str, str] = {}
#: What ends a command or redirects it, outside of quotes.
_OPERATORS = frozenset(';&|<>()')
#: Characters of a value; kernel options are shorter.
_MOST = 4096


class NotData(Exception):
    """A value that only a shell could compute."""


class Assignment(typing.NamedTuple):
    """A line that gives a variable its value.

    :ivar written: all that follows the equals sign.
    :ivar appends: to the value that it had (of bash).
    """

    name: str
    written: str
    appends: bool = False


def assignment(line: str) -> Assignment | None:
    """Assignment in a line; None when it is something else."""
    match = _ASSIGNMENT.fullmatch(line)
    return Assignment(match[1], match[3], bool(match[2])) if match else None


def value(written: str, known: Mapping[str, str] = _NOTHING) -> str:
    """The value of an assignment, without its quotes.

    :param written: all that follows the equals sign.
    :param known: values of variables.
    :raises NotData: with the reason.
    """
    _check_length(written)
    taken: list[str] = []
    rest = written
    while rest and not rest[0].isspace():
        first, rest = rest[0], rest[1:]
        if first == "'":
            inside, closed, rest = rest.partition("'")
            if not closed:
                raise NotData('a quote that is not closed in its line')
        elif first == '"':
            inside, rest = _double_quoted(rest, known)
        elif first == '\\':
            if not rest:
                raise NotData('a line that is continued')
            inside, rest = rest[0], rest[1:]
        elif first in _OPERATORS:
            raise NotData(f'the shell operator {first}')
        else:
            inside, rest = _plain(first, rest, known)
        taken.append(inside)
    if rest.strip() and not rest.strip().startswith('#'):
        raise NotData('a command after the value')
    whole = ''.join(taken)
    # A value that has itself in it twice grows with each line.
    _check_length(whole)
    return whole


def _check_length(text: str) -> None:
    if len(text) > _MOST:
        raise NotData(f'a value of more than {_MOST} characters')


def _double_quoted(rest: str, known: Mapping[str, str]) -> tuple[str, str]:
    """Text in double quotes, and the rest after them."""
    taken: list[str] = []
    while rest:
        first, rest = rest[0], rest[1:]
        if first == '"':
            return ''.join(taken), rest
        if first == '\\' and rest[:1] in _ESCAPED:
            inside, rest = rest[:1], rest[1:]
        else:
            inside, rest = _plain(first, rest, known)
        taken.append(inside)
    raise NotData('a quote that is not closed in its line')


def _plain(first: str, rest: str, known: Mapping[str, str]
           ) -> tuple[str, str]:
    """Text that a character stands for, and the rest after it."""
    if first == '`':
        raise NotData('a backquote to be executed')
    if first != '$':
        return first, rest
    match = _REFERENCE.match(rest)
    found = known.get(match[1] or match[2]) if match else None
    if not match or found is None:
        raise NotData('a $ to be expanded')
    return found, rest[match.end():]
