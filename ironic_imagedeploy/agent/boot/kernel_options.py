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

"""Kernel options that an image names, reduced to what is safe in a menu."""

from collections.abc import Iterator
import re

from oslo_log import log

from ironic_imagedeploy.agent.boot import image_tree
from ironic_imagedeploy.agent.boot import shell_words
from ironic_imagedeploy.engine.contents import kernel_options

LOG = log.getLogger(__name__)

#: What the system's own update of the menu reads.
DEFAULTS = 'etc/default/grub'
_MORE_DEFAULTS = 'etc/default/grub.d'
#: Of kernel-install(8): the first that exists, of the system or its vendor.
_COMMAND_LINES = ('etc/kernel/cmdline', 'usr/lib/kernel/cmdline')
#: Files in the directory, and bytes in each: lines are looked at one by one.
_MOST_FILES = 64
_MOST_TEXT = 64 << 10
_NAMES = ('GRUB_CMDLINE_LINUX', 'GRUB_CMDLINE_LINUX_DEFAULT')

#: Said by the menu itself, or by the boot loader.
_OURS = re.compile(r'(root|BOOT_IMAGE|initrd)=.*|ro', re.DOTALL)


def of_image(root: image_tree.ImageTree) -> tuple[str, ...]:
    """Options of /etc/default/grub, else those of kernel-install.

    What is not a file, or leads to none in the image, is not there.

    :raises UnsafePath: when a file is too large, or there are too many.
    """
    if values := _grub_defaults(root):
        return safe(' '.join(values[name] for name in _NAMES
                             if name in values), '/' + DEFAULTS)
    for path in _COMMAND_LINES:
        content = root.optional(path, _MOST_TEXT)
        if content is not None:
            return safe(' '.join(
                line for line in _text(content).split('\n')
                if not line.lstrip().startswith('#')), '/' + path)
    return ()


def safe(text: str, origin: str) -> tuple[str, ...]:
    """Words of a kernel command line, without quotes, that may be used.

    :param origin: where they come from, for the log.
    """
    if len(text) > kernel_options.MOST_BYTES:
        LOG.warning('%(origin)s of the image has more than %(most)d bytes of '
                    'kernel options: none is used',
                    {'origin': origin, 'most': kernel_options.MOST_BYTES})
        return ()
    return tuple(_safe_words(text, origin))


def _safe_words(text: str, origin: str) -> Iterator[str]:
    for word in kernel_options.words(text):
        if _OURS.fullmatch(word):
            continue
        if kernel_options.is_safe(word):
            yield word
        else:
            LOG.warning('The kernel option %(word)s in %(origin)s of the '
                        'image is not used: it has characters that are not '
                        'safe in a boot menu',
                        {'word': ascii(word), 'origin': origin})


def _grub_defaults(root: image_tree.ImageTree) -> dict[str, str]:
    """The names that matter, with the values that they have in the end."""
    names = root.optional_names(_MORE_DEFAULTS, _MOST_FILES)
    paths = [DEFAULTS] + [f'{_MORE_DEFAULTS}/{name}' for name in names
                           if name.endswith('.cfg')]
    values: dict[str, str] = {}
    for path in paths:
        for number, line in enumerate(
                _text(root.optional(path, _MOST_TEXT) or b'').split('\n'), 1):
            try:
                _assign(line, values)
            except shell_words.NotData as reason:
                LOG.warning('Line %(number)d of /%(path)s of the image is '
                            'not used, as nothing of it is evaluated: '
                            '%(reason)s', {'number': number, 'path': path,
                                           'reason': reason})
    return values


def _assign(line: str, values: dict[str, str]) -> None:
    """Do what a line says, when it is about a name that matters."""
    found = shell_words.assignment(line)
    if not found or found.name not in _NAMES:
        return
    known = dict.fromkeys(_NAMES, '') | values
    written = found.written
    if found.appends:
        # a+=b is a=${a}b
        written = f'${{{found.name}}}{written}'
    values[found.name] = shell_words.value(written, known)


def _text(content: bytes) -> str:
    return content.decode('utf-8', 'replace')
