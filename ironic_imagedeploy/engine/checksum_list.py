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

"""Files of checksums, as GNU's and BSD's tools write them."""

from collections.abc import Iterator
import re

from ironic_imagedeploy.engine import checksum as _checksum

_HEX = '([0-9a-fA-F]{32,128})'
_VALUE = re.compile(_HEX)
#: ``VALUE  NAME`` for text, ``VALUE *NAME`` for binary files.
_GNU = re.compile(_HEX + r'[ \t]+\*?(.+)')
#: ``ALGORITHM (NAME) = VALUE``.
_BSD = re.compile(r'([\w-]{1,16}) ?\((.+)\) ?= ?' + _HEX)


def find(text: str, name: str) -> _checksum.Checksum:
    """Strongest checksum that a file of checksums lists for a name.

    A file with one value and nothing else is about any name.

    :param text: of the file.
    :param name: of the image file, without directories.
    :raises ValueError: when there is none, or two contradict each other.
    """
    lines = [line.strip() for line in text.lstrip('\ufeff').splitlines()]
    lines = [line for line in lines if line and not line.startswith('#')]
    if len(lines) == 1 and _VALUE.fullmatch(lines[0]):
        return _checksum.Checksum.parse(lines[0])
    found: dict[str, _checksum.Checksum] = {}
    for candidate in _listed(lines, name):
        if found.setdefault(candidate.algorithm, candidate) != candidate:
            raise ValueError(
                f'two values of {candidate.algorithm} for {name!a}')
    if not found:
        raise ValueError(f'no checksum of {name!a} in {len(lines)} '
                         f'{"line" if len(lines) == 1 else "lines"}')
    return max(found.values(), key=lambda each: len(each.value))


def _listed(lines: list[str], name: str) -> Iterator[_checksum.Checksum]:
    for line in lines:
        if match := _GNU.fullmatch(line):
            stated, listed = match[1], match[2]
        elif match := _BSD.fullmatch(line):
            stated, listed = f'{match[1]}:{match[3]}', match[2]
        else:
            continue
        if listed.removeprefix('./') != name:
            continue
        try:
            yield _checksum.Checksum.parse(stated)
        except ValueError:
            # By an algorithm that nobody here computes.
            continue
