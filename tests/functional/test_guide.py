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

"""The user guide about images: its commands work, its pictures are right."""

import collections
import contextlib
import datetime
import io
import os
import pathlib
import re
import shutil
import subprocess
import sys
import typing
from unittest import mock

from ironic_imagedeploy.cmd import imagedeploy
from tests.functional import glance
from tests.functional import guide
from tests.functional import partition_images
from tests.support import boot_files
from tests.support import disks
from tests.support import images

_BLOCK = re.compile(
    r'(?:^\.\. seen:: (?P<seen>.*)\n\n)?'
    r'^\.\. code-block:: console\n\n(?P<body>(?:   .*\n|\n)+)', re.MULTILINE)
_SEEN = re.compile(r'(\d{4}-\d\d-\d\d) (network|hypervisor|devices)')


class Block(typing.NamedTuple):
    """Commands of the page.

    :ivar seen: when they were last seen to work, and what they take; empty
        for those that a test runs.
    """

    seen: str
    script: str


def blocks(page: str) -> list[Block]:
    """Blocks of commands, without prompts."""
    found = []
    for match in _BLOCK.finditer(page):
        lines = [line.strip() for line in match['body'].splitlines()]
        found.append(Block(match['seen'] or '', '\n'.join(
            re.sub(r'^[$#] ', '', line) for line in lines if line)))
    return found


class PageTest(glance.GlanceTestCase):

    def test_every_command_is_run_or_says_why_not(self) -> None:
        page = guide.PAGE.read_text()
        self.assertEqual(page.count('code-block:: console'),
                         len(blocks(page)))
        count = collections.Counter(bool(block.seen)
                                    for block in blocks(page))
        self.assertLess(count[True], count[False])
        for block in blocks(page):
            if block.seen:
                match = _SEEN.fullmatch(block.seen)
                self.assertIsNotNone(match, block)
                assert match
                self.assertLessEqual(
                    datetime.date.fromisoformat(match[1]),
                    datetime.date.today())

    def test_commands_work_one_after_the_other(self) -> None:
        self.provide()
        variables = ''
        for block in blocks(guide.PAGE.read_text()):
            if block.seen:
                continue
            with self.subTest(block.script):
                done = subprocess.run(
                    ['bash', '-c', f'set -eu -o pipefail\n{variables}\n'
                     f'{block.script}\ndeclare -p image 2>/dev/null '
                     '>variables || true'],
                    cwd=self.directory, text=True, capture_output=True,
                    timeout=300, stdin=subprocess.DEVNULL)
                self.assertEqual(0, done.returncode,
                                 done.stdout + done.stderr)
                variables = (self.directory / 'variables').read_text()

    def test_builds_that_take_a_network_are_understood(self) -> None:
        """Each shows what it would run."""
        lines = [line for block in blocks(guide.PAGE.read_text())
                 for line in block.script.replace('\\\n', '').splitlines()
                 if line.startswith('ironic-imagedeploy build')]
        self.assertGreater(len(lines), 1)
        for line in lines:
            words = [word for word in line.split()[1:] if word != '--print']
            shown = io.StringIO()
            with contextlib.redirect_stdout(shown):
                self.assertEqual(0, imagedeploy.main([*words, '--print']))
            self.assertIn('disk-image-create', shown.getvalue())

    def provide(self) -> None:
        """Files that the page calls by their names, and its programs."""
        if not shutil.which('jq'):
            self.skipTest('no jq')
        guide.make(self.directory)
        images.convert(self.directory / 'debian-13.raw',
                       self.directory / 'box.vdi', form='vdi')
        tree = self.directory / 'tree'
        tree.mkdir()
        partition_images.debian(tree)
        self.make_root(tree, 'debian-13-root')
        images.convert(self.directory / 'debian-13-root.raw',
                       self.directory / 'debian-13-root.qcow2')
        for path in (tree / 'boot').glob('*-6.1.0-*'):
            path.unlink()
        self.make_root(tree, 'root')
        for name, content in (('vmlinuz', boot_files.bzimage()),
                              ('initrd.img', boot_files.initramfs())):
            (self.directory / name).write_bytes(content)
        self.enterContext(mock.patch.dict(os.environ, {
            'PATH': f'{pathlib.Path(sys.executable).parent}:'
                    f'{os.environ["PATH"]}'}))

    def make_root(self, tree: pathlib.Path, name: str) -> None:
        """A raw image of a root file system with these files."""
        disks.run('mke2fs', '-q', '-t', 'ext4', '-d', tree,
                  self.directory / f'{name}.raw', '32M')


class PicturesTest(glance.base.FunctionalTestCase):

    def setUp(self) -> None:
        super().setUp()
        guide.make(self.directory)

    def test_screen_of_check(self) -> None:
        self.assertEqual(guide.steady(guide.SCREEN.read_text()),
                         guide.steady(guide.screen(self.directory)))

    def test_picture_of_map(self) -> None:
        self.assertEqual(guide.steady(guide.MAP.read_text()),
                         guide.steady(guide.picture(self.directory)))

    def test_the_page_shows_both(self) -> None:
        page = guide.PAGE.read_text()
        for path in (guide.SCREEN, guide.MAP):
            self.assertIn(f':: {path.name}\n', page)
