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

"""The kernel that a boot loader starts when nobody chooses.

Sources: the manual of grub2; "The Boot Loader Specification" of UAPI. No menu
is executed. Where only that would tell, nothing is guessed.
"""

from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import dataclasses
import fnmatch
import re

from ironic_imagedeploy.engine.contents import boot_entries
from ironic_imagedeploy.engine.contents import kernel_options
from ironic_imagedeploy.engine.contents.system import config_files
from ironic_imagedeploy.engine.contents.system import files as _files
from ironic_imagedeploy.engine.contents.system import grub_menu
from ironic_imagedeploy.engine.contents.system import loaders
from ironic_imagedeploy.engine.contents.system import root as _root
from ironic_imagedeploy.engine import exceptions

Unreadable = exceptions.UnreadableContent

_MENUS = ('boot/grub/grub.cfg', 'boot/grub2/grub.cfg')
_ENVIRONMENTS = ('boot/grub/grubenv', 'boot/grub2/grubenv')
_LOADERS = ('boot/loader', 'efi/loader', 'boot/efi/loader')
_ENVIRONMENT_SIZE = 4096
_RESCUE = 'rescue'
_VARIABLE = re.compile(r'\$\{?[A-Za-z_]\w*\}?')
_TOO_LONG = 'kernel options that are too long, or not printable'
_ROOT = re.compile(r'(?:^|\s)root=\S')


@dataclasses.dataclass(frozen=True, kw_only=True)
class DefaultEntry:
    """A kernel and what it is started with. All of it is hostile text.

    :ivar menu: file that names it.
    :ivar kernel: its path.
    :ivar initramfs: paths, in the order in which they are loaded.
    :ivar command_line: options of the kernel.
    """

    menu: str
    kernel: str
    initramfs: tuple[str, ...]
    command_line: str


def find(root: _root.Root) -> DefaultEntry:
    """The entry that a machine starts from its disk.

    :raises UnreadableContent: when it cannot be told which one that is, or
        not without a boot loader.
    """
    files = root.files
    for path in _MENUS:
        if text := config_files.read(files, path):
            return _of_grub(root, path, text)
    for folder in _LOADERS:
        if files.list(f'{folder}/entries'):
            wanted = boot_entries.keys(
                files.front(f'{folder}/loader.conf', boot_entries.MOST_TEXT)
                or b'').get('default', [''])[-1]
            return _described(root, folder, wanted, {})
    raise Unreadable('no menu of grub2, and no entries of the Boot Loader '
                     'Specification')


def kernel_search(files: _files.Files) -> loaders.Search | None:
    """The search of grub2 for the file system with the kernel, if any.

    :returns: None where it cannot be told which entry is the default, too.
    """
    for path in _MENUS:
        if text := config_files.read(files, path):
            with contextlib.suppress(Unreadable):
                menu = grub_menu.parse(text)
                entry = menu.entry(menu.default(_environment(files)))
                if entry.searches:
                    return loaders.Search(path=path, uuids=entry.searches)
            return None
    return None


def _of_grub(root: _root.Root, path: str, text: str) -> DefaultEntry:
    menu = grub_menu.parse(text)
    environment = _environment(root.files) if menu.loads_environment else {}
    if environment.get('next_entry'):
        raise Unreadable('an entry that is chosen for one start only')
    default = menu.default(environment)
    if menu.has_described:
        return _described(root, _LOADERS[0], default,
                          {**menu.variables, **environment})
    entry = menu.entry(default)
    known = menu.variables | environment
    return DefaultEntry(
        menu=path, kernel=_path(root, ''.join(
            _expanded(entry.kernel[:1], known))),
        initramfs=tuple(_path(root, named) for named in _expanded(
            entry.initramfs, known)),
        command_line=_checked(' '.join(map(_quoted, _expanded(
            entry.kernel[1:], known)))))


def _described(root: _root.Root, folder: str, wanted: str,
               variables: Mapping[str, str]) -> DefaultEntry:
    """The default among entries that have a file each."""
    paths = {name.removesuffix('.conf'): f'{folder}/entries/{name}'
             for name in root.files.list(f'{folder}/entries')
             if name.endswith('.conf')}
    usual = [name for name in paths if _RESCUE not in name]
    named = fnmatch.filter(paths, wanted.removesuffix('.conf'))
    # An index, or nothing, means the first: which is clear with one alone.
    chosen = named or (usual if wanted in ('', '0') else [])
    if len(chosen) != 1:
        raise Unreadable(f'{len(usual)} entries in {folder}/entries, of which '
                         'none is known to be the default')
    path = paths[chosen[0]]
    keys = boot_entries.keys(
        root.files.front(path, boot_entries.MOST_TEXT) or b'')
    words = _expanded(tuple(' '.join(keys.get('options', [])).split()),
                      variables)
    # An entry on an EFI system partition counts from there.
    own = folder.removesuffix('loader').strip('/')
    return DefaultEntry(
        menu=path, kernel=_path(root, boot_entries.kernel(keys), own),
        initramfs=tuple(_path(root, named, own)
                        for named in boot_entries.initramfs(keys)),
        command_line=_checked(' '.join(words)))


def _expanded(words: tuple[str, ...], variables: Mapping[str, str]
              ) -> Iterator[str]:
    """Words with the variables that are known; others alone are empty."""
    most = kernel_options.MOST_BYTES
    left = 2 * most
    for word in words:
        if len(word) > most:
            raise Unreadable(_TOO_LONG)
        found = _VARIABLE.sub(lambda match: variables.get(
            match[0].strip('${}'), match[0])[:most], word)
        left -= len(found)
        if left < 0:
            raise Unreadable(_TOO_LONG)
        if _VARIABLE.fullmatch(found):
            continue
        if '$' in found:
            raise Unreadable(f'{ascii(found[:80])}, which only a boot loader '
                             'expands')
        yield found


def _quoted(word: str) -> str:
    """A word as the kernel takes it, by grub2's own rule."""
    return f'"{word}"' if ' ' in word else word


def _checked(line: str) -> str:
    if len(line) > kernel_options.MOST_BYTES or not line.isascii() or (
            not line.isprintable()):
        raise Unreadable(_TOO_LONG)
    if not _ROOT.search(line):
        raise Unreadable('kernel options that name no root')
    return line


def _path(root: _root.Root, named: str, own: str = '') -> str:
    """The file that an entry names."""
    candidates = list(boot_entries.paths(named))
    if 'boot' in root.points:
        # The boot loader knows no other file system.
        candidates.reverse()
    for path in [f'{own}/{named.lstrip("/")}'] * bool(own) + candidates:
        if root.files.front(path.lstrip('/'), 1):
            return path.lstrip('/')
    raise Unreadable(f'a menu that names {ascii(named[:200])}, which is not '
                     'there')


def _environment(files: _files.Files) -> dict[str, str]:
    """Variables of grub2's environment block."""
    found: dict[str, str] = {}
    for path in _ENVIRONMENTS:
        for line in config_files.lines(
                config_files.read(files, path, _ENVIRONMENT_SIZE)):
            name, separator, value = line.partition('=')
            if separator:
                found.setdefault(name, value)
    return found
