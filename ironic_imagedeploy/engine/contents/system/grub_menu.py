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

"""Entries of a grub.cfg, and which of them is the default.

Source: the manual of grub2, "Configuration", as grub-mkconfig writes it. The
script is not executed.
"""

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import re
import shlex

from ironic_imagedeploy.engine.contents.system import config_files
from ironic_imagedeploy.engine import exceptions

Unreadable = exceptions.UnreadableContent

#: Entries of a menu.
_MOST = 256
#: Characters of a line with words; the kernel takes options of 4096 at most.
_LONGEST = 16 << 10
_MENU_ENTRY = ('menuentry', 'submenu')
_ID = ('--id', '$menuentry_id_option', '${menuentry_id_option}')
_LINUX = re.compile(r'linux(?:16|efi)?')
_INITRD = re.compile(r'initrd(?:16|efi)?')
_BY_UUID = frozenset({'--fs-uuid', '-u'})
_ON_ROOT = re.compile(r'\(\$\{?root\}?\)')
_SAVED = re.compile(r'\$\{?saved_entry\}?')
_NEXT = re.compile(r'\$\{?next_entry\}?')


@dataclasses.dataclass(kw_only=True)
class _Block:
    """A menu entry, or another block in braces."""

    names: tuple[str, ...] = ()
    is_entry: bool = False
    below: list['_Block'] = dataclasses.field(default_factory=list)
    kernels: list[tuple[str, ...]] = dataclasses.field(default_factory=list)
    initramfs: list[tuple[str, ...]] = dataclasses.field(default_factory=list)
    searches: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Entry:
    """A menu entry that starts Linux. Its words have variables in them.

    :ivar kernel: the path of the kernel, and its options.
    :ivar initramfs: paths.
    :ivar searches: UUIDs of file systems that they may be on.
    """

    kernel: tuple[str, ...]
    initramfs: tuple[str, ...]
    searches: tuple[str, ...]


class Menu:
    """A menu of grub2.

    :ivar variables: that are set once, to what needs no shell.
    :ivar loads_environment: it reads the environment block.
    :ivar has_described: its entries have a file each.
    """

    def __init__(self) -> None:
        self.variables: dict[str, str] = {}
        self.loads_environment = False
        self.has_described = False
        self._defaults: list[str] = []
        self._top = _Block()

    def take(self, lines: Iterable[str]) -> None:
        """Read the lines of a script, without comments.

        :raises UnreadableContent: when they are not such a menu.
        """
        blocks, entries = [self._top], 0
        for line in lines:
            words = _words(line)
            if words[-1:] == ['{']:
                block = _Block(is_entry=words[0] in _MENU_ENTRY,
                               names=_names(words))
                blocks[-1].below.append(block)
                blocks.append(block)
                entries += 1
                if entries > _MOST:
                    raise Unreadable(f'more than {_MOST} entries in a menu')
            elif words == ['}']:
                if len(blocks) == 1:
                    raise Unreadable('a menu with a brace too many')
                blocks.pop()
            elif words:
                self._take(words, blocks[-1])
        if len(blocks) > 1:
            raise Unreadable('a menu that does not end')

    def default(self, environment: Mapping[str, str]) -> str:
        """Number, name or identifier of the default entry.

        :raises UnreadableContent: when that depends on the machine.
        """
        if any(map(_SAVED.fullmatch, self._defaults)) and (
                saved := environment.get('saved_entry')):
            return saved
        stated = {default for default in self._defaults
                  if not _SAVED.fullmatch(default)
                  and not _NEXT.fullmatch(default)} or {'0'}
        if len(stated) > 1 or '$' in ''.join(stated):
            raise Unreadable('a menu that computes its default entry')
        return stated.pop() or '0'

    def entry(self, default: str) -> Entry:
        """The entry of a number, a name or an identifier.

        :param default: those of the menus above it come first, before a >.
        :raises UnreadableContent: when it is not there, or does not start
            one kernel.
        """
        block = self._top
        for wanted in default.split('>'):
            below = [each for each in block.below if each.is_entry]
            block = next((each for number, each in enumerate(below)
                          if wanted in (str(number), *each.names)),
                         self._top)
            if block is self._top:
                raise Unreadable('a menu without its default entry, '
                                 + ascii(default[:80]))
        if len(block.kernels) != 1 or len(block.initramfs) > 1 or block.below:
            raise Unreadable('a default entry that does not start one kernel')
        return Entry(
            kernel=block.kernels[0], initramfs=tuple(
                word for words in block.initramfs for word in words),
            searches=tuple(block.searches or self._top.searches))

    def _take(self, words: list[str], block: _Block) -> None:
        command, *rest = words
        if command == 'set' or '=' in command:
            assignment = rest[0] if command == 'set' and rest else command
            name, _, value = assignment.partition('=')
            if name == 'default':
                self._defaults.append(value)
            elif '$' not in value:
                self.variables[name] = value
        elif command == 'load_env':
            self.loads_environment = True
        elif command == 'blscfg':
            self.has_described = True
        elif _LINUX.fullmatch(command) and rest:
            block.kernels.append((_ON_ROOT.sub('', rest[0]), *rest[1:]))
        elif _INITRD.fullmatch(command):
            block.initramfs.append(tuple(
                _ON_ROOT.sub('', word) for word in rest))
        elif uuid := searched(words):
            block.searches.append(uuid)


def searched(words: Sequence[str]) -> str:
    """The UUID that a command looks for; empty for another command."""
    if words[0] == 'search.fs_uuid':
        return words[1] if len(words) > 1 else ''
    if words[0] == 'search' and not _BY_UUID.isdisjoint(words):
        return words[-1]
    return ''


def parse(text: str) -> Menu:
    """The menu that a script makes.

    :raises UnreadableContent: when it is not such a menu.
    """
    menu = Menu()
    menu.take(config_files.lines(text))
    return menu


def _words(line: str) -> list[str]:
    """Words of a line, quotes removed; of none that only a shell reads.

    :raises UnreadableContent: when it takes shlex too long, the square of the
        length of a word.
    """
    if len(line) > _LONGEST:
        raise Unreadable(f'a menu with a line that is too long, {len(line)} '
                         f'characters where {_LONGEST} are read')
    try:
        return shlex.split(line)
    except ValueError:
        return []


def _names(words: list[str]) -> tuple[str, ...]:
    """Title and identifier of an entry."""
    found = words[1:2]
    for option, value in zip(words, words[1:], strict=False):
        if option in _ID:
            found.append(value)
    return tuple(found)
