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

"""The question before something is overwritten."""

import contextlib
import os
import sys
import typing

from ironic_imagedeploy.cmd import text
from ironic_imagedeploy import engine

_FRONT = 1 << 20
#: Offset, bytes there, and what has them.
_SIGNATURES = (
    (512, b'EFI PART', 'a GPT'), (4096, b'EFI PART', 'a GPT'),
    (510, b'\x55\xaa', 'an MBR or a boot sector'),
    (0, b'LUKS\xba\xbe', 'an encrypted volume'),
    (512, b'LABELONE', 'a volume of LVM'), (0, b'XFSB', 'a file system'),
    (1080, b'\x53\xef', 'a file system'),
    (65600, b'_BHRfS_M', 'a file system'))


def is_confirmed(target: engine.Target, *, yes: bool, piped: bool) -> bool:
    """Whether what is on the target may go.

    Somebody at a terminal is asked when there is something. Programs, which
    nobody could answer for, are trusted.

    :param yes: not to ask.
    :param piped: standard input is the image, and answers none.
    """
    if yes or target.created or not sys.stderr.isatty():
        return True
    found = content(target)
    if not found:
        return True
    with contextlib.ExitStack() as stack:
        answers = _terminal(stack, piped)
        if answers is None:
            return True
        sys.stderr.write(
            f'{text.printable(target.path)} has {found} '
            f'({text.size(target.size)}). Overwrite it? [y/N] ')
        sys.stderr.flush()
        return answers.readline().strip().lower() in ('y', 'yes')


def content(target: engine.Target) -> str:
    """Content of a target, in words; empty when nothing is known of it.

    A disk holds a partition table, or something else that has a signature;
    a file holds whatever is in it.

    :raises TargetError: when it cannot be read.
    """
    front = bytes(target.read(0, min(_FRONT, target.size)))
    for offset, signature, name in _SIGNATURES:
        if front.startswith(signature, offset):
            return name
    return 'data' if any(front) and not target.fixed_sectors else ''


def _terminal(stack: contextlib.ExitStack, piped: bool
              ) -> typing.TextIO | None:
    """Where answers come from; None where nobody can answer."""
    if not piped:
        return sys.stdin if sys.stdin and sys.stdin.isatty() else None
    try:
        descriptor = os.open('/dev/tty', os.O_RDWR)
    except OSError:
        return None
    return stack.enter_context(os.fdopen(descriptor, encoding='utf-8'))
