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

import importlib.util
import os
import pathlib
import re
import shutil
import subprocess
import types
import unittest

from ironic_imagedeploy.cmd import completion
from ironic_imagedeploy.cmd import imagedeploy
from tests.unit.cmd import program

ROOT = pathlib.Path(__file__).parents[3]

#: What bash does when the tabulator is pressed after these words.
TAB = """
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
compopt() { :; }
_ironic_imagedeploy
printf '%s\\n' "${COMPREPLY[@]}"
"""
#: What zsh does on a terminal of its own when the tabulator is pressed twice;
#: the other key leaves it.
ZSH_TAB = r"""
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell 'fpath=($PWD $fpath); autoload -Uz compinit; compinit -u -D'
zpty -w shell 'leave() { BUFFER=exit; zle accept-line; }; zle -N leave'
zpty -w shell "bindkey '^X' leave; LISTMAX=1000; setopt no_list_ambiguous"
zpty -w shell 'PS1=rea; PS1+=dy'
zpty -r shell text '*ready*'
zpty -w -n shell "$*"$'\t\t\x18'
while zpty -r shell text; do print -rn -- $text; done
"""
#: What a real shell offers after words.
OFFERED = {
    'rep': {'repair-gpt', 'report'},
    'check --im': {'--image-type'},
    'write disk --check': {'--checksum', '--checksum-file'},
    'check --boot-mode u': {'uefi'},
    'check im': {'image'},
    'check --checksum-file im': {'image'},
    'completion ': {'bash', 'zsh', 'fish'},
    'ramdisk ': {'add'},
    'watch im': set(),
    'check --disk-size i': set()}


def manual() -> types.ModuleType:
    """The tool that makes the man page."""
    path = ROOT / 'tools' / 'manual.py'
    specification = importlib.util.spec_from_file_location('manual', path)
    assert specification and specification.loader
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


class CompletionTest(program.CommandTestCase):

    def bash(self, *words: str) -> set[str]:
        """Words that bash offers."""
        outcome = subprocess.run(
            ['bash', '-uc', completion.script('bash') + TAB, 'bash',
             'ironic-imagedeploy', *words], cwd=self.directory, check=True,
            capture_output=True, text=True)
        self.assertEqual('', outcome.stderr)
        return set(outcome.stdout.split())

    def test_commands(self) -> None:
        self.assertLess(set(imagedeploy.COMMANDS), self.bash(''))
        self.assertEqual({'repair-gpt', 'report'}, self.bash('rep'))

    def test_options_of_a_command(self) -> None:
        self.assertEqual({'--image-type'}, self.bash('check', '--im'))
        self.assertEqual(set(), self.bash('map', '--im'))
        self.assertEqual({'--checksum', '--checksum-file'},
                         self.bash('write', 'disk', '--check'))

    def test_values(self) -> None:
        self.assertEqual({'uefi'}, self.bash('check', '--boot-mode', 'u'))
        self.assertLess({'bash', 'zsh', 'fish'}, self.bash(
            'completion', ''))

    def test_files(self) -> None:
        self.assertEqual({'image'}, self.bash('check', 'im'))
        self.assertEqual({'image'}, self.bash('convert', 'image', 'im'))
        self.assertEqual(set(), self.bash('watch', 'im'))
        self.assertNotIn('image', self.bash('completion', ''))
        self.assertEqual({'image'}, self.bash('check', '--checksum-file', ''))
        self.assertEqual(set(), self.bash('check', '--disk-size', ''))

    def test_every_option_is_in_each_script(self) -> None:
        for shell in completion.SHELLS:
            script = completion.script(shell)
            for name, found in completion.arguments().items():
                for argument in found:
                    for flag in argument.flags:
                        word = (flag if shell != 'fish'
                                else f'{"-l" if flag[1] == "-" else "-s"} '
                                f'{flag.lstrip("-")}')
                        self.assertIn(word, script, (shell, name))

    @unittest.skipUnless(shutil.which('fish'), 'fish is not here')
    def test_fish(self) -> None:
        script = self.directory / 'script.fish'
        script.write_text(completion.script('fish'))
        for words, offered in OFFERED.items():
            found = subprocess.run(
                ['fish', '--no-config', '--command',
                 f'source {script}; complete --do-complete '
                 f'"ironic-imagedeploy {words}"'],
                cwd=self.directory, check=True, capture_output=True,
                text=True, env={**os.environ, 'HOME': str(self.directory)})
            self.assertEqual('', found.stderr)
            self.assertEqual(offered, {
                line.partition('\t')[0]
                for line in found.stdout.splitlines()}, words)

    @unittest.skipUnless(shutil.which('zsh'), 'zsh is not here')
    def test_zsh(self) -> None:
        (self.directory / '_ironic-imagedeploy').write_text(
            completion.script('zsh'))
        words_of_all = set().union(*OFFERED.values())
        for words, offered in OFFERED.items():
            shown = subprocess.run(
                ['zsh', '-f', '-c', ZSH_TAB, 'zsh',
                 f'ironic-imagedeploy {words}'], cwd=self.directory,
                check=True, capture_output=True, text=True, timeout=300,
                env={**os.environ, 'TERM': 'dumb', 'COLUMNS': '200'}
                ).stdout.replace('\a', '')
            shown = re.sub(r' -- .*', '', shown)
            self.assertEqual(offered, {
                word for word in words_of_all
                if re.search(rf'(?<![\w-]){word}(?![\w-])', shown)
                } - set(words.split()), (words, shown))

    def test_shells_that_are_here_read_it(self) -> None:
        for shell in completion.SHELLS:
            if shutil.which(shell):
                with self.subTest(shell):
                    subprocess.run([shell, '-n'], check=True,
                                   input=completion.script(shell).encode())

    def test_it_is_printed(self) -> None:
        for shell in completion.SHELLS:
            self.assertEqual(0, self.run_main('completion', shell), self.err)
            self.assertEqual(completion.script(shell), self.out)


class ManualTest(unittest.TestCase):

    def test_the_page_is_that_of_the_parser(self) -> None:
        self.assertEqual(
            ''.join(manual().pages()),
            (ROOT / 'doc/man/ironic-imagedeploy.1').read_text(),
            'run tools/manual.py >doc/man/ironic-imagedeploy.1')

    def test_it_has_every_command_and_option(self) -> None:
        page = ''.join(manual().pages()).replace('\\-', '-')
        for name, found in completion.arguments().items():
            self.assertIn(f'.SS {name}\n' if name else '.SH OPTIONS', page)
            for argument in found:
                for flag in argument.flags:
                    self.assertIn(f'\\fB{flag}\\fR', page)
