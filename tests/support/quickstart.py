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

"""The quick start, as commands and settings in the order of the page."""

from collections.abc import Iterator
import dataclasses
import pathlib
import re
import textwrap

PAGE = pathlib.Path(__file__).parents[2] / 'doc/source/install/quickstart.rst'
#: From here on the page speaks of a conductor and a node.
_IRONIC = '\nIronic, in half an hour\n'
_BLOCK = re.compile(
    r'^(?P<margin> *)\.\. code-block:: (?P<kind>console|ini)\n\n'
    r'(?P<body>(?:(?P=margin)   .*\n|\n)+)', re.MULTILINE)
_ENTERED = re.compile(r'^([$#]) ((?:.*\\\n)*.*)$', re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Command:
    """A line for a shell, which a backslash continues.

    :ivar root: it is for a conductor, and for root there.
    """

    text: str
    root: bool


@dataclasses.dataclass(frozen=True)
class Settings:
    """Lines of ironic.conf."""

    text: str


def before_ironic() -> list[Command | Settings]:
    """What the page has for the command line alone, up to the wheel."""
    return list(_steps(PAGE.read_text().partition(_IRONIC)[0]))


def with_ironic() -> list[Command | Settings]:
    """What it has for a conductor, a ramdisk and a node."""
    return list(_steps(PAGE.read_text().partition(_IRONIC)[2]))


def _steps(page: str) -> Iterator[Command | Settings]:
    for match in _BLOCK.finditer(page):
        body = textwrap.dedent(match['body'])
        if match['kind'] == 'ini':
            yield Settings(body)
            continue
        for prompt, text in _ENTERED.findall(body):
            yield Command(text, prompt == '#')
