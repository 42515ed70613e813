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

"""What the pages tell people to type exists: commands, options, settings."""

import argparse
from collections.abc import Iterator
import configparser
import contextlib
import io
import itertools
import pathlib
import re
import shlex
import textwrap
import unittest

from ironic.conf import opts as options_of_ironic

from ironic_imagedeploy.cmd import imagedeploy
from ironic_imagedeploy.conf import opts

ROOT = pathlib.Path(__file__).parents[2]
_BLOCK = re.compile(
    r'^(?P<margin> *)\.\. code-block:: (?P<kind>\w+)\n\n'
    r'(?P<body>(?:(?P=margin)   .*\n|\n)+)', re.MULTILINE)
#: An option, whose group may end a line.
_OPTION = re.compile(
    r'(?<![\w-])\[([A-Za-z_-]+)\](?:\n\s*)?([a-z][a-z0-9_]+)')
_PROGRAM = 'ironic-imagedeploy'
#: After a prompt; a text in quotes goes over several lines.
_ENTERED = re.compile(r'^[$#] ((?:"[^"]*"|[^"\n])+)', re.MULTILINE)
#: What shows the forms of a command instead of one.
_SYNOPSIS = re.compile(r'\||\[[A-Z-]')
#: Words of which a page has the beginning, or the kind.
_PLACEHOLDERS = {'9d12...': '9d' * 64, 'SYSTEM': 'debian', 'SHELL': 'bash'}
#: What is for the shell begins with one of these.
_SHELL = ('|', '>', '&&', ';')


def pages() -> Iterator[tuple[pathlib.Path, str]]:
    """Pages of the documentation and what leads to it."""
    for pattern in ('doc/source/**/*.rst', '*.rst', 'devstack/*.rst',
                    'dib/*/*.rst'):
        for path in sorted(ROOT.glob(pattern)):
            yield path.relative_to(ROOT), path.read_text()


def blocks(page: str, kind: str) -> Iterator[str]:
    """Literal blocks of a language."""
    for match in _BLOCK.finditer(page):
        if match['kind'] == kind:
            yield textwrap.dedent(match['body'])


def commands(page: str) -> Iterator[list[str]]:
    """Words of the commands that begin with a prompt."""
    for block in blocks(page, 'console'):
        for line in _ENTERED.findall(block.replace('\\\n', ' ')):
            for name, value in _PLACEHOLDERS.items():
                line = line.replace(name, value)
            yield list(itertools.takewhile(
                lambda word: not word.startswith(_SHELL),
                shlex.split(line, comments=True)))


def of_ours(words: list[str]) -> list[str] | None:
    """Arguments of our program; None when it is another one."""
    program, *arguments = words or ['']
    return arguments if program.rpartition('/')[2] == _PROGRAM else None


class OptionsTest(unittest.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.known: dict[str, set[str]] = {}
        for group, options in [*opts.list_opts(),
                               *options_of_ironic.list_opts()]:
            name = str(getattr(group, 'name', group) or 'DEFAULT')
            self.known.setdefault(name, set()).update(
                option.dest for option in options)

    def test_options_that_are_named_exist(self) -> None:
        seen = 0
        for path, page in pages():
            for group, option in _OPTION.findall(
                    page.replace('\\_', '_')):
                with self.subTest(str(path), group=group, option=option):
                    seen += 1
                    self.assertIn(option, self.known.get(group, ()))
        self.assertGreater(seen, 100)

    def test_settings_exist(self) -> None:
        seen = 0
        for path, page in pages():
            for block in blocks(page, 'ini'):
                if 'local|localrc' in block:
                    continue
                settings = configparser.ConfigParser(
                    interpolation=None, default_section='')
                settings.read_string(block)
                for group in settings.sections():
                    for option in settings[group]:
                        with self.subTest(str(path), group=group,
                                          option=option):
                            seen += 1
                            self.assertIn(option, self.known.get(group, ()))
        self.assertGreater(seen, 20)


class CommandsTest(unittest.TestCase):

    def test_commands_are_understood(self) -> None:
        seen = 0
        parser = imagedeploy.parser()
        for path, page in pages():
            for words in commands(page):
                arguments = of_ours(words)
                if arguments is None or self.is_synopsis(arguments):
                    continue
                with self.subTest(str(path), arguments=arguments):
                    seen += 1
                    self.parse(parser, arguments)
        self.assertGreater(seen, 50)

    def test_pip_installs_a_file(self) -> None:
        """A package index may not have the name, or that of somebody else."""
        seen = 0
        for path, page in pages():
            for words in commands(page):
                program, *arguments = words or ['']
                if not program.rpartition('/')[2].startswith('pip'):
                    continue
                with self.subTest(str(path), arguments=arguments):
                    seen += 1
                    self.assertFalse([word for word in arguments if re.match(
                        _PROGRAM + r'($|\[|=)', word)
                        and 'uninstall' not in arguments])
        self.assertGreater(seen, 5)

    def is_synopsis(self, arguments: list[str]) -> bool:
        return any(_SYNOPSIS.search(word) for word in arguments)

    def parse(self, parser: argparse.ArgumentParser, arguments: list[str]
              ) -> None:
        said = io.StringIO()
        try:
            with contextlib.redirect_stdout(said), \
                    contextlib.redirect_stderr(said):
                parser.parse_args(arguments)
        except SystemExit as error:
            self.assertEqual(0, error.code, said.getvalue())
