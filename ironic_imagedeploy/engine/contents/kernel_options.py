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

"""Kernel options that somebody else wrote, as words that are safe in a menu.

Source: Linux, lib/cmdline.c, next_arg().
"""

from collections.abc import Iterator
import re

#: As many bytes as the kernel takes on x86 (COMMAND_LINE_SIZE).
MOST_BYTES = 2048
#: No quotes, no operators, nothing that grub2 or a shell would expand.
_SAFE = re.compile(r'[A-Za-z0-9_.,:=+/@%^~!#*?\[\] -]+')
_WORD = re.compile(r'(?:[^\s"]|"[^"]*")+')


def words(text: str) -> Iterator[str]:
    """The options, without quotes.

    The kernel takes quotes around the value or the whole word.
    """
    for match in _WORD.finditer(text):
        yield match[0].replace('"', '')


def is_safe(word: str) -> bool:
    """Whether a boot menu takes an option for nothing but that."""
    return _SAFE.fullmatch(word) is not None


def unsafe(text: str) -> str | None:
    """Part of a kernel command line that cannot stand in a menu, if any."""
    if len(text) > MOST_BYTES:
        return f'{len(text)} bytes'
    if text.count('"') % 2:
        return 'a quotation mark without its end'
    return next((word for word in words(text) if not is_safe(word)), None)
