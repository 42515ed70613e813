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

"""Fields of a message that nobody vouches for: checked, bounded, printable.

A ramdisk belongs to whoever has the node. What its agent tells is kept in
the database, sent to a message bus and shown on terminals.
"""

from collections.abc import Callable
from collections.abc import Mapping
import math
import typing

#: Gives the checked value of a field; None when it has none.
Check = Callable[[typing.Any], typing.Any]

#: Characters of a word, as the name of a format.
WORD = 32
_MOST = 1 << 63


def text(most: int) -> Check:
    """Check of a text: so many printable characters of it, and no more."""
    def check(value: typing.Any) -> str | None:
        return printable(value, most) if isinstance(value, str) else None
    return check


def printable(value: str, most: int) -> str:
    """The first characters of a text, with a ? for what moves a cursor."""
    return ''.join(each if each.isprintable() else '?'
                   for each in value[:most])


def number(value: typing.Any) -> float | None:
    """A finite number from 0 up to what a database keeps."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # An int may be too large to be made a float.
    if value != value or not 0 <= value < _MOST:
        return None
    return value


def count(value: typing.Any) -> int | None:
    """A number of bytes or of events."""
    checked = number(value)
    return None if checked is None else math.floor(checked)


def flag(value: typing.Any) -> bool | None:
    """True or false."""
    return value if isinstance(value, bool) else None


def mapping(**checks: Check) -> Check:
    """Check of a mapping: its known fields, each checked."""
    def check(value: typing.Any) -> dict[str, typing.Any] | None:
        if not isinstance(value, Mapping):
            return None
        checked = {name: check(value[name])
                   for name, check in checks.items() if name in value}
        return {name: each for name, each in checked.items()
                if each is not None}
    return check


def sequence(each: Check, most: int) -> Check:
    """Check of a list: its first items, each checked."""
    def check(value: typing.Any) -> list[typing.Any] | None:
        if not isinstance(value, list):
            return None
        checked = map(each, value[:most])
        return [item for item in checked if item is not None]
    return check
