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

"""Files that a command makes, beside those that it reads."""

import argparse
import contextlib
import os
import pathlib
import urllib.parse

from ironic_imagedeploy.cmd import standard_input

#: Arguments that name files which must stay.
_KEPT = ('source', 'target', 'disk', 'checksum_file', 'manifest', 'bmap',
         'signature', 'key', 'subject')


def check(args: argparse.Namespace) -> None:
    """Let no file that a command makes replace one that it was given.

    Arguments of files to be made are paths, all others are text.
    """
    values = vars(args)
    made = {name: value for name, value in values.items()
            if isinstance(value, pathlib.Path)}
    kept = [pathlib.Path(local_path(value)) for name in _KEPT
            for value in _texts(values.get(name))]
    for name, output in made.items():
        for other in [*kept, *(
                path for each, path in made.items() if each < name)]:
            if _is_same(output, other):
                args.parser.error(
                    f'--{name} {output} would replace a file that another '
                    'argument names')


def _texts(value: object) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [each for each in values if isinstance(each, str)]


def local_path(location: str) -> str:
    """Path of a file, by its path or URL, or of standard input."""
    if location == standard_input.DASH:
        return '/proc/self/fd/0'
    if location.lower().startswith('file:'):
        return urllib.parse.unquote(urllib.parse.urlsplit(location).path)
    return location


def _is_same(one: pathlib.Path, other: pathlib.Path) -> bool:
    if one == other:
        return True
    with contextlib.suppress(OSError, ValueError):
        return os.path.samefile(one, other)
    return False


def is_local(location: str) -> bool:
    """Whether it is the path of a file of this machine, or a file URL."""
    scheme, colon, _ = location.partition(':')
    return location != standard_input.DASH and (
        not colon or '/' in scheme or scheme.lower() == 'file')
