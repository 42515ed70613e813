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

"""Lines and assignments of configuration files, read as data.

Nothing is evaluated: what only a shell could tell stays as it is written.
"""

from collections.abc import Iterator
import re

from ironic_imagedeploy.engine.contents.system import files as _files

#: Bytes of a file, files of a directory and lines of a file that are read.
LIMIT = 256 << 10
MOST_FILES = 32
_MOST_LINES = 8000
_MASK_BYTES = 4096
_ASSIGNMENT = re.compile(r'\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)')


def read(files: _files.Files, path: str, limit: int = LIMIT) -> str:
    """The text of a file; empty without one."""
    return (files.front(path, limit) or b'').decode('utf-8', 'replace')


def lines(text: str) -> Iterator[str]:
    """Lines of a file without comments, blanks around them and empty ones."""
    for line in text.splitlines()[:_MOST_LINES]:
        line = line.strip()
        if line and not line.startswith(('#', ';')):
            yield line


def below(files: _files.Files, folders: tuple[str, ...], *suffixes: str
          ) -> Iterator[str]:
    """Paths of the files in folders whose names end like that.

    Of files with the same name, the one in the first folder counts. Of many,
    the last ones are given: they overrule the others, or are the newest.
    """
    seen = set[str]()
    for folder in folders:
        names = [name for name in files.list(folder)
                 if name.endswith(suffixes) and name not in seen]
        for name in names[-MOST_FILES:]:
            seen.add(name)
            yield f'{folder}/{name}'


def is_masked(files: _files.Files, folder: str, name: str) -> bool:
    """Whether a file turns its namesake elsewhere off, as systemd has it.

    It is a link to nothing, or empty.
    """
    return name in files.list(folder) and not (
        files.front(f'{folder}/{name}', _MASK_BYTES) or b'').strip()


def assignments(text: str) -> dict[str, str]:
    """Values of the variables that a file of assignments sets."""
    found = {}
    for line in lines(text):
        if match := _ASSIGNMENT.fullmatch(line):
            found[match[1]] = unquoted(match[2])
    return found


def unquoted(written: str) -> str:
    """A value without the quotes around it, and its backslashes."""
    written = written.strip()
    if len(written) > 1 and written[0] == written[-1] and written[0] in '\'"':
        quote, written = written[0], written[1:-1]
        if quote == '"':
            written = re.sub(r'\\(["$`\\])', r'\1', written)
    return written
