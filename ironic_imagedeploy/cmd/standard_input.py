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

"""An image that comes on standard input."""

from collections.abc import Iterator
import contextlib
import os
import shutil
import stat
import sys
import tempfile

from ironic_imagedeploy.cmd import console
from ironic_imagedeploy import engine

#: Names standard input as SOURCE.
DASH = '-'
NAME = 'standard input'
#: A disk, where /tmp may be memory. The file there has no name.
_FOLDER = '/var/tmp'  # nosec B108
_PIECE = 1 << 20


@contextlib.contextmanager
def as_file() -> Iterator[str]:
    """Path of a file with the bytes of standard input.

    A file that was redirected is that file. What comes through a pipe is
    copied first, since an image is looked at in places and judged before the
    disk is touched.

    :raises SourceError: when there is nothing to read, or no room for it.
    """
    folder = os.environ.get('TMPDIR') or _FOLDER
    if sys.stdin is None:
        raise _unreadable('a closed stream', 'Redirect an image to it.')
    try:
        descriptor = sys.stdin.fileno()
        if _is_file(descriptor):
            yield f'/proc/self/fd/{descriptor}'
            return
        if os.isatty(descriptor):
            raise _unreadable('a terminal', 'Redirect an image to it.')
        copy = tempfile.TemporaryFile(dir=folder)
    except (OSError, ValueError, AttributeError) as error:
        raise _unreadable(str(error), 'Give the path of an image.') from error
    with copy:
        console.say(f'the image comes through a pipe: it is copied into a '
                    f'file in {folder} first')
        try:
            shutil.copyfileobj(sys.stdin.buffer, copy, _PIECE)
            copy.flush()
        except OSError as error:
            raise _unreadable(
                f'{error.strerror} after {copy.tell()} bytes',
                f'Free space in {folder}, or set TMPDIR.') from error
        yield f'/proc/self/fd/{copy.fileno()}'


def _is_file(descriptor: int) -> bool:
    """Whether it is a regular file of which nothing was read."""
    return (stat.S_ISREG(os.fstat(descriptor).st_mode)
            and os.lseek(descriptor, 0, os.SEEK_CUR) == 0)


def _unreadable(found: str, fix: str) -> engine.exceptions.SourceError:
    return engine.exceptions.SourceError(
        NAME, expected='an image', found=found, fix=fix)
