#!/usr/bin/env python3
#
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

"""Make the man page of ironic-imagedeploy from its parser.

    tools/manual.py >doc/man/ironic-imagedeploy.1
"""

import argparse
from collections.abc import Iterator
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

from ironic_imagedeploy.cmd import imagedeploy  # noqa: E402

_FILES = """\
.SH FILES
.TP
.I clouds.yaml
Where openstacksdk finds the cloud of
.BR glance: UUID,
.B watch
and
.BR report .
.SH ENVIRONMENT
.TP
.B OS_CLOUD
The cloud where no
.B \\-\\-os\\-cloud
names one.
.TP
.BR http_proxy ", " https_proxy ", " no_proxy
Proxies for images on web servers.
.SH SEE ALSO
.BR qemu\\-img (1),
.BR bmaptool (1),
.BR gpgv (1)
"""


def pages() -> Iterator[str]:
    """The man page in pieces."""
    parser = imagedeploy.parser()
    yield '.\\" Made by tools/manual.py from the parser.\n'
    yield ('.TH IRONIC\\-IMAGEDEPLOY 1 "" "ironic\\-imagedeploy" '
           '"User Commands"\n')
    yield ('.SH NAME\nironic\\-imagedeploy \\- check disk images, and write '
           'them to disks in one pass\n')
    yield '.SH SYNOPSIS\n.B ironic\\-imagedeploy\n'
    yield '.I COMMAND\n.RI [ ARGUMENT " ...]"\n'
    yield f'.SH DESCRIPTION\n{_text(parser.description or "")}\n'
    yield '.SH OPTIONS\n'
    yield from _arguments(parser)
    yield '.SH COMMANDS\n'
    for name, sub in _commands(parser).items():
        yield f'.SS {_text(name)}\n{_text(sub.description or "")}\n'
        yield f'.PP\n{_usage(sub)}\n'
        yield from _arguments(sub)
        for action, nested in _commands(sub).items():
            yield f'.TP\n\\fB{_text(action)}\\fR ...\n'
            yield f'{_text(nested.description or "")}\n'
            yield from _arguments(nested)
    yield from _statuses(parser.epilog or '')
    yield _FILES


def _commands(parser: argparse.ArgumentParser
              ) -> dict[str, argparse.ArgumentParser]:
    return {name: sub for action in parser._actions
            if isinstance(action, argparse._SubParsersAction)
            for name, sub in action.choices.items()}


def _usage(parser: argparse.ArgumentParser) -> str:
    """Program, command and what is told by its place."""
    words = [f'.B {_text(parser.prog)}', '.RI [ OPTION " ...]"']
    for action in parser._actions:
        if not action.option_strings:
            name = _text(str(action.metavar or '|'.join(action.choices)))
            words.append(f'.RI [ {name} " ...]"' if action.nargs == '*'
                         else f'.I {name}')
    return '\n'.join(words)


def _arguments(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction) or not action.help:
            continue
        value = '' if action.nargs == 0 else (
            '{' + ','.join(map(str, action.choices)) + '}'
            if action.choices else str(action.metavar))
        flags = ', '.join(f'\\fB{_text(flag)}\\fR'
                          for flag in action.option_strings)
        words = ' '.join(filter(None, (
            flags, f'\\fI{_text(value)}\\fR' if value else '')))
        help_ = parser._get_formatter()._expand_help(action)
        yield f'.TP\n{words}\n{_text(help_)}\n'


def _statuses(epilog: str) -> Iterator[str]:
    yield '.SH EXIT STATUS\n'
    for number, words in re.findall(r'^  (\d)  (.*)$', epilog, re.MULTILINE):
        yield f'.TP\n.B {number}\n{_text(words)}\n'


def _text(words: str) -> str:
    escaped = words.replace('\\', '\\e').replace('-', '\\-')
    return re.sub(r"^(?=[.'])", '\\\\&', escaped)


if __name__ == '__main__':
    sys.stdout.writelines(pages())
