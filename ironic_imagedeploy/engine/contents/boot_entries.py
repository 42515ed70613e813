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

"""Entries of the Boot Loader Specification, type 1, and the files they name.

What a look at an image takes for a kernel that a boot menu can name is what
the menu is made of.
"""

import re

#: Directory that they are in.
FOLDER = 'boot/loader/entries'
#: The same, where an EFI system partition is elsewhere.
FOLDERS = (FOLDER, 'efi/loader/entries', 'boot/efi/loader/entries')
#: Bytes of each.
MOST_TEXT = 16 << 10
#: Initramfs of each.
MOST_INITRAMFS = 16
#: Name of a file, and its path, as a boot menu can have it.
NAME = re.compile(r'[A-Za-z0-9._+~@%:,=-]{1,255}')
PATH = re.compile(r'(?:/[A-Za-z0-9._+~@%:,=-]+)+')


def keys(content: bytes) -> dict[str, list[str]]:
    """Values of an entry by their key, in their sequence."""
    found: dict[str, list[str]] = {}
    for line in content.decode('utf-8', 'replace').split('\n'):
        key, *value = line.split(None, 1) or ['']
        if value and not key.startswith('#'):
            found.setdefault(key, []).append(value[0].strip())
    return found


def words(values: list[str]) -> list[str]:
    """Words but variables of Red Hat's grub2: their values are in grubenv."""
    return [word for word in ' '.join(values).split()
            if not word.startswith('$')]


def kernel(found: dict[str, list[str]]) -> str:
    """The kernel that the keys of an entry name; empty without one."""
    return found.get('linux', [''])[0]


def initramfs(found: dict[str, list[str]]) -> list[str]:
    """Files that the keys of an entry name to be loaded with the kernel."""
    return words(found.get('initrd', []))[:MOST_INITRAMFS]


def paths(named: str) -> tuple[str, ...]:
    """Where a file that an entry names may be, in the root file system.

    A path counts from the file system that /boot was on when the system was
    installed; here all is one.

    :returns: absolute paths; none when no boot menu can have them.
    """
    path = '/' + named.lstrip('/')
    if not PATH.fullmatch(path) or '/..' in path:
        return ()
    return path, f'/boot{path}'
