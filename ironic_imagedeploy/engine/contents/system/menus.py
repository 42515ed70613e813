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

"""Menus of boot loaders, and the kernel options in them.

Sources: "The Boot Loader Specification" of UAPI; the manuals of grub2 and
SYSLINUX. No menu is executed: what a script of grub2 computes is left out.
"""

from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
import re

from ironic_imagedeploy.engine.contents import boot_entries
from ironic_imagedeploy.engine.contents import kernel_options
from ironic_imagedeploy.engine.contents.system import config_files
from ironic_imagedeploy.engine.contents.system import files as _files

#: Menu entries that are looked at.
_MOST = 32
_GRUB = ('boot/grub/grub.cfg', 'boot/grub2/grub.cfg')
_GRUB_ENVIRONMENT = ('boot/grub2/grubenv', 'boot/grub/grubenv')
_SYSLINUX = ('boot/extlinux/extlinux.conf', 'boot/extlinux.conf',
             'boot/syslinux/syslinux.cfg', 'boot/efi/syslinux.cfg')
_LISTED = ('etc/kernel/cmdline', 'usr/lib/kernel/cmdline')
_DEFAULTS = 'etc/default/grub'
_LINUX = re.compile(r'linux(?:16|efi)?\s+\S+\s*(.*)')
_APPEND = re.compile(r'append\s+(.*)', re.IGNORECASE)
_VARIABLE = re.compile(r'\$\{?([A-Za-z_][A-Za-z0-9_]*)\}?')
#: What nobody starts but to repair a system.
_REPAIR = frozenset({'single', 'recovery', 'rescue', 'emergency', '1',
                     'systemd.unit=rescue.target'})


@dataclasses.dataclass(frozen=True, kw_only=True)
class CommandLine:
    """Kernel options of an entry.

    :ivar path: the file that has it.
    :ivar options: hostile text, without quotes.
    """

    path: str
    options: tuple[str, ...]

    @classmethod
    def parse(cls, path: str, written: str) -> 'CommandLine':
        """The options as a file has them, in one line."""
        most = kernel_options.MOST_BYTES
        return cls(path=path, options=tuple(
            word for word in kernel_options.words(written[:most])
            if '$' not in word))

    def values(self, name: str) -> tuple[str, ...]:
        """Values of an option, in their order."""
        start = f'{name}='
        return tuple(option[len(start):] for option in self.options
                     if option.startswith(start))


def read(files: _files.Files) -> tuple[CommandLine, ...]:
    """Different sets of kernel options, as they come in the menus.

    Where no menu has any, those that menus are made with.
    """
    found = dict.fromkeys(_bounded(_menus(files)))
    if not found:
        found = dict.fromkeys(_bounded(_sources(files)))
    return tuple(found)


def _bounded(entries: Iterator[CommandLine]) -> Iterator[CommandLine]:
    for _, entry in zip(range(_MOST), entries, strict=False):
        if _REPAIR.isdisjoint(entry.options):
            yield entry


def _menus(files: _files.Files) -> Iterator[CommandLine]:
    environment = _environment(files)
    for path in _GRUB:
        text = config_files.read(files, path)
        # A name in the script may be set there, too.
        known = {**_set_in(text), **environment}
        for line in config_files.lines(text):
            if match := _LINUX.fullmatch(line):
                yield _entry(path, match[1], known)
    for path in config_files.below(files, boot_entries.FOLDERS, '.conf'):
        options = [
            line.partition(' ')[2] for line in config_files.lines(
                config_files.read(files, path).replace('\t', ' '))
            if line.startswith('options ')]
        if options:
            yield _entry(path, ' '.join(options), environment)
    for path in _SYSLINUX:
        for line in config_files.lines(config_files.read(files, path)):
            if match := _APPEND.fullmatch(line):
                yield _entry(path, match[1], {})


def _sources(files: _files.Files) -> Iterator[CommandLine]:
    for path in _LISTED:
        if text := config_files.read(files, path).strip():
            yield _entry(path, text, {})
    values = config_files.assignments(config_files.read(files, _DEFAULTS))
    options = ' '.join(filter(None, (
        values.get('GRUB_CMDLINE_LINUX'),
        values.get('GRUB_CMDLINE_LINUX_DEFAULT'))))
    if options:
        yield _entry(_DEFAULTS, options, {})


def _entry(path: str, text: str, known: Mapping[str, str]) -> CommandLine:
    """An entry, without what only the loader could expand."""
    most = kernel_options.MOST_BYTES
    expanded = _VARIABLE.sub(
        lambda match: known.get(match[1], match[0])[:most], text[:most])
    return CommandLine.parse(path, expanded)


def _environment(files: _files.Files) -> dict[str, str]:
    """Variables of grub2's environment block."""
    found: dict[str, str] = {}
    for path in _GRUB_ENVIRONMENT:
        for line in config_files.lines(config_files.read(files, path, 4096)):
            name, separator, value = line.partition('=')
            if separator:
                found.setdefault(name, value)
    return found


def _set_in(text: str) -> dict[str, str]:
    """Variables that a script of grub2 sets once, to what needs no shell."""
    found: dict[str, str] = {}
    for line in config_files.lines(text):
        if line.startswith('set '):
            name, _, value = line[4:].partition('=')
            found[name.strip()] = config_files.unquoted(value)
    return {name: value for name, value in found.items()
            if '$' not in value}
