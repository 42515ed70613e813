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

"""How sizes, times and names that nobody vouches for are written."""

import re

from ironic_imagedeploy.engine import text as _text

printable = _text.printable
bounded = _text.bounded

#: Of a URL: user and password, and the query, which may be a signature.
_SECRETS = re.compile(r"""(?<=://)[^/\s@]+@|(?<=\?)[^\s"'<>)]+""")
_UNITS = ('KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB')


def size(count: float) -> str:
    """A number of bytes with three significant digits, as ``2.20 GiB``."""
    if count < 1024:
        return f'{count:.0f} B'
    unit = 0
    count /= 1024
    while count >= 1023.5 and unit < len(_UNITS) - 1:
        unit += 1
        count /= 1024
    digits = 2 if count < 9.995 else 1 if count < 99.95 else 0
    return f'{count:.{digits}f} {_UNITS[unit]}'.replace('.00 ', ' ').replace(
        '.0 ', ' ')


def duration(seconds: float) -> str:
    """A time in seconds, as ``4.2 s``, ``3 min 07 s`` or ``1 h 02 min``."""
    if seconds < 9.95:
        return f'{seconds:.1f} s'
    whole = round(seconds)
    if whole < 60:
        return f'{whole} s'
    if whole < 3600:
        return f'{whole // 60} min {whole % 60:02} s'
    return f'{whole // 3600} h {whole % 3600 // 60:02} min'


def share(part: int, whole: int) -> str:
    """A part of a whole, as ``12%``; never 0% or 100% by rounding."""
    if not part or not whole:
        return '0%'
    if part >= whole:
        return '100%'
    percent = 100 * part / whole
    if percent < 1:
        return '<1%'
    return f'{min(percent, 99):.0f}%'


def counted(count: int, noun: str) -> str:
    """How many of them, as ``1 extent`` or ``2 extents``."""
    return f'{count} {noun}{"" if count == 1 else "s"}'


def without_secrets(words: str) -> str:
    """The text without the parts of URLs that can be secrets."""
    return _SECRETS.sub('...', words)
