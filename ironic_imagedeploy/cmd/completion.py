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

"""The command ``completion``: what a shell reads to complete our commands.

It is made of the parser, and so never behind it.
"""

import argparse
from collections.abc import Iterator
from collections.abc import Sequence
import dataclasses
import shlex

from ironic_imagedeploy.cmd import console
from ironic_imagedeploy.cmd import imagedeploy

SHELLS = ('bash', 'zsh', 'fish')

_PROGRAM = 'ironic-imagedeploy'
_FUNCTION = '_ironic_imagedeploy'
#: Names of values that are files, also where an URL would do.
_FILES = ('FILE', 'SOURCE', 'TARGET', 'DEST', 'DISK', 'NODE|FILE')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Argument:
    """An argument of a command.

    :ivar flags: its names; empty for one that is told by its place.
    :ivar value: name of its value; empty when it has none.
    :ivar choices: the values that it can have, where they are few.
    :ivar many: it may be given more than once.
    """

    flags: Sequence[str]
    value: str
    choices: Sequence[str]
    help: str
    many: bool

    @property
    def is_file(self) -> bool:
        """Whether its value can be a file."""
        return self.value in _FILES


def show(args: argparse.Namespace) -> int:
    """Print the completion for a shell."""
    console.show([script(args.shell)])
    return 0


def script(shell: str) -> str:
    """The completion for a shell.

    :param shell: one of :data:`SHELLS`.
    """
    commands = arguments()
    make = {'bash': _bash, 'zsh': _zsh, 'fish': _fish}[shell]
    return '\n'.join([*make(commands), ''])


def arguments() -> dict[str, list[Argument]]:
    """The arguments of each command, and of the program under ``''``."""
    parser = imagedeploy.parser()
    found = {'': [*_arguments(parser)]}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, sub in action.choices.items():
                found[name] = [*_arguments(sub), *_of_actions(sub)]
    return found


def _of_actions(parser: argparse.ArgumentParser) -> Iterator[Argument]:
    """The actions of a command, and their arguments."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield Argument(flags=(), value=str(action.metavar), help='',
                           choices=[*action.choices], many=False)
            for sub in action.choices.values():
                yield from (argument for argument in _arguments(sub)
                            if '--help' not in argument.flags)


def _arguments(parser: argparse.ArgumentParser) -> Iterator[Argument]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            continue
        formatter = parser._get_formatter()
        value = '' if action.nargs == 0 else str(
            action.metavar or action.dest.upper())
        yield Argument(
            flags=tuple(action.option_strings), value=value,
            choices=[str(choice) for choice in action.choices or ()],
            help=formatter._expand_help(action) if action.help else '',
            many=action.nargs == '*' or isinstance(
                action, argparse._AppendAction))


def _bash(commands: dict[str, list[Argument]]) -> Iterator[str]:
    names = [*imagedeploy.COMMANDS]
    yield f'# bash completion of {_PROGRAM}'
    yield f'{_FUNCTION}() {{'
    yield '    local current=${COMP_WORDS[COMP_CWORD]} word'
    yield '    local command= words= files='
    yield '    local before=${COMP_WORDS[COMP_CWORD-1]}'
    yield '    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do'
    yield '        case $word in'
    yield f'            {"|".join(names)}) command=$word; break;;'
    yield '        esac'
    yield '    done'
    yield '    COMPREPLY=()'
    yield '    case $command:$before in'
    for name, found in commands.items():
        for argument in found:
            if argument.flags and argument.value:
                pattern = '|'.join(f'{name}:{flag}'
                                   for flag in argument.flags)
                yield f'        {pattern}) {_bash_value(argument)} return;;'
    yield '    esac'
    yield '    case $command in'
    for name, found in commands.items():
        words = [flag for argument in found for flag in argument.flags]
        words += [choice for argument in found if not argument.flags
                  for choice in argument.choices]
        files = any(each.is_file for each in found if not each.flags)
        yield (f'        {shlex.quote(name)}) words='
               f'{shlex.quote(" ".join(words if name else words + names))}'
               f'{" files=1" if files else ""};;')
    yield '    esac'
    yield '    if [[ $current == -* || -z $files ]]; then'
    yield '        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")'
    yield '    else'
    yield ('        mapfile -t COMPREPLY < <(compgen -W "$words" -- '
           '"$current"; compgen -f -- "$current")')
    yield '        compopt -o filenames 2>/dev/null'
    yield '    fi'
    yield '}'
    yield f'complete -F {_FUNCTION} {_PROGRAM}'


def _bash_value(argument: Argument) -> str:
    """Bash that completes a value."""
    if argument.choices:
        words = shlex.quote(' '.join(argument.choices))
        return (f'mapfile -t COMPREPLY < <(compgen -W {words} -- '
                '"$current");')
    if argument.is_file:
        return ('mapfile -t COMPREPLY < <(compgen -f -- "$current"); '
                'compopt -o filenames 2>/dev/null;')
    return ''


def _zsh(commands: dict[str, list[Argument]]) -> Iterator[str]:
    yield f'#compdef {_PROGRAM}'
    yield f'{_FUNCTION}() {{'
    yield '    local context state state_descr line'
    yield '    typeset -A opt_args'
    yield '    local -a commands'
    yield '    commands=('
    for name, words in imagedeploy.COMMANDS.items():
        yield f'        {shlex.quote(f"{name}:{words}")}'
    yield '    )'
    yield _zsh_call('    ', '-C', *_zsh_arguments(commands['']),
                    "'1: :->command'", "'*:: :->argument'")
    yield '    case $state in'
    yield '        command) _describe -t commands command commands;;'
    yield '        argument)'
    yield '            case $line[1] in'
    for name in imagedeploy.COMMANDS:
        yield f'                {name})'
        yield _zsh_call(' ' * 20, *_zsh_arguments(commands[name])) + ';;'
    yield '            esac;;'
    yield '    esac'
    yield '}'
    yield f'if [ "$funcstack[1]" = "{_FUNCTION}" ]; then'
    yield f'    {_FUNCTION} "$@"'
    yield 'else'
    yield f'    compdef {_FUNCTION} {_PROGRAM}'
    yield 'fi'


def _zsh_call(indent: str, *words: str) -> str:
    return indent + f' \\\n{indent}    '.join(['_arguments', *words])


def _zsh_arguments(found: Sequence[Argument]) -> Iterator[str]:
    place = 0
    for argument in found:
        value = ''
        if argument.value:
            action = (f'({" ".join(argument.choices)})' if argument.choices
                      else '_files' if argument.is_file else ' ')
            value = f':{argument.value}:{action}'
        if not argument.flags:
            place += 1
            yield shlex.quote(('*' if argument.many else f'{place}') + value)
        words = ''.join('\\' + each if each in '\\[]:' else each
                        for each in argument.help)
        for flag in argument.flags:
            before = ('*' if argument.many
                      else f'({" ".join(argument.flags)})')
            yield shlex.quote(f'{before}{flag}[{words}]{value}')


def _fish(commands: dict[str, list[Argument]]) -> Iterator[str]:
    start = f'complete -c {_PROGRAM}'
    first = f"{start} -n __fish_use_subcommand"
    yield f'# fish completion of {_PROGRAM}'
    for name, words in imagedeploy.COMMANDS.items():
        yield f'{first} -f -a {name} -d {_fish_quoted(words)}'
    for name, found in commands.items():
        begin = (f"{start} -n '__fish_seen_subcommand_from {name}'" if name
                 else first)
        if name and not any(each.is_file for each in found
                            if not each.flags):
            yield f'{begin} -f'
        for argument in found:
            flags = ' '.join(
                f'-l {flag[2:]}' if flag.startswith('--') else f'-s {flag[1:]}'
                for flag in argument.flags)
            words = ' '.join(filter(None, (begin, flags, _fish_value(
                argument), f'-d {_fish_quoted(argument.help)}')))
            if argument.flags or argument.choices:
                yield words


def _fish_value(argument: Argument) -> str:
    if argument.choices:
        return f'-x -a {_fish_quoted(" ".join(argument.choices))}'
    if argument.is_file:
        return '-r -F'
    return '-x' if argument.value else ''


def _fish_quoted(words: str) -> str:
    escaped = words.replace('\\', '\\\\').replace("'", "\\'")
    return f"'{escaped}'"
