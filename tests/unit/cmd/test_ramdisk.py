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

import importlib.metadata
import json
import pathlib
import re
import shutil
import subprocess
import sys
import time

from tests.support import boot_files
from tests.support import initramfs
from tests.unit.cmd import program

SITE = initramfs.SITE


class RamdiskTestCase(program.CommandTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.path = self.directory / 'agent.initramfs'

    def make(self, *more: str, kind: str | None = 'gz', site: str = SITE,
             name: str = 'tree') -> bytes:
        content = initramfs.PACKERS[kind](initramfs.archive(
            initramfs.agent_tree(self.directory / name, site, *more)))
        self.path.write_bytes(content)
        return content

    def added(self, *options: str) -> str:
        status = self.run_main('ramdisk', 'add', self.path, *options)
        self.assertEqual(0, status, self.err)
        return self.out

    def refused(self, *words: str, options: tuple[str, ...] = ()) -> None:
        before = self.path.read_bytes() if self.path.exists() else None
        status = self.run_main('ramdisk', 'add', self.path, *options)
        self.assertEqual(5, status, self.err)
        for word in words:
            self.assertIn(word, self.err)
        if before is not None:
            self.assertEqual(before, self.path.read_bytes())


class AddTest(RamdiskTestCase):

    def test_it_comes_after_what_is_there(self) -> None:
        for kind in initramfs.PACKERS:
            before = self.make(kind=kind, name=f'tree-{kind}')
            with self.subTest(kind):
                told = self.added()
                after = self.path.read_bytes()
                kept = before.rstrip(b'\0')
                self.assertTrue(after.startswith(kept))
                self.assertIn(f'packages          {SITE}', told)
                self.assertIn('no grub2 in it', told)
                # Linux takes an archive as it is at multiples of four only.
                rest = after[len(kept):]
                start = len(after) - len(rest.lstrip(b'\0'))
                if after[start:start + 6] == b'070701':
                    self.assertEqual(0, start % 4)

    def test_a_second_time_changes_nothing(self) -> None:
        self.make()
        self.added()
        first = self.written()
        self.assertIn('already', self.added())
        self.assertEqual(first, self.written())

    def written(self) -> tuple[int, int, int]:
        """What changes when the file is written or replaced."""
        status = self.path.stat()
        return status.st_ino, status.st_size, status.st_mtime_ns

    def test_an_older_one_is_replaced(self) -> None:
        for kind in initramfs.PACKERS:
            # That of another release has a file more.
            other = initramfs.archive(initramfs.tree(
                self.directory / 'other',
                f'{SITE}/ironic_imagedeploy/old.py'),
                f'{SITE}/ironic_imagedeploy')
            self.make(kind=kind, name=f'again-{kind}')
            content = self.path.read_bytes()
            content += bytes(-len(content) % 4) + other
            self.path.write_bytes(content)
            with self.subTest(kind):
                self.assertIn('in place of another', self.added())
                self.assertNotIn(b'old.py', self.path.read_bytes())

    def test_one_that_was_built_in_stays(self) -> None:
        before = self.make(f'{SITE}/ironic_imagedeploy/__init__.py')
        self.assertIn('also in the ramdisk itself', self.added())
        self.assertTrue(self.path.read_bytes().startswith(
            before.rstrip(b'\0')))

    def test_output(self) -> None:
        before = self.make()
        other = self.directory / 'other'
        self.added('--output', str(other))
        self.assertEqual(before, self.path.read_bytes())
        self.assertGreater(other.stat().st_size, len(before))

    def test_what_it_found(self) -> None:
        self.make(f'{SITE}/isal/__init__.py',
                  # A namespace, which has no module of its own.
                  f'{SITE}/backports/zstd/__init__.py',
                  f'{SITE}/zstandard/__init__.py',
                  'usr/lib/grub/x86_64-efi/normal.mod',
                  'usr/lib/grub/i386-pc/normal.mod')
        before = self.path.read_bytes()
        self.path.write_bytes(initramfs.archive(initramfs.tree(
            self.directory / 'first', 'microcode')) * 3 + before)
        told = self.added()
        self.assertIn('archives          4 (3 as it is, 1 gz)\n', told)
        self.assertIn('fast codecs       isal, backports.zstd, zstandard\n',
                      told)
        self.assertIn('grub2 for i386-pc, x86_64-efi', told)


class ContentTest(RamdiskTestCase):
    """What cpio makes of it, and Python of that."""

    def setUp(self) -> None:
        super().setUp()
        self.make(kind=None)
        size = self.path.stat().st_size
        self.added()
        content = self.path.read_bytes()
        start = content.rindex(b'070701', 0, content.index(
            b'ironic_imagedeploy'))
        self.folder = initramfs.extracted(content[start:],
                                          self.directory / 'out')
        self.assertGreater(len(content), size)
        self.site = self.folder / SITE

    def test_files(self) -> None:
        package = self.site / 'ironic_imagedeploy'
        self.assertTrue((package / 'agent' / 'manager.py').is_file())
        self.assertFalse((package / 'conductor').exists())
        import ironic_imagedeploy
        origin = pathlib.Path(ironic_imagedeploy.__path__[0])
        for path in package.rglob('*.py'):
            self.assertEqual(
                (origin / path.relative_to(package)).read_bytes(),
                path.read_bytes())
        self.assertEqual(
            {0o644, 0o755}, {path.stat().st_mode & 0o777
                             for path in self.site.rglob('*')})

    def test_python_finds_the_hardware_manager(self) -> None:
        done = subprocess.run(
            [sys.executable, '-c', 'import importlib.metadata, json, sys\n'
             'sys.path.insert(0, sys.argv[1])\n'
             'found = importlib.metadata.distribution("ironic-imagedeploy")\n'
             'print(json.dumps([found.version, sorted(\n'
             '    f"{each.group} {each.value}" for each in '
             'found.entry_points)]))\n'
             'import ironic_imagedeploy\n'
             'assert ironic_imagedeploy.__path__[0].startswith(sys.argv[1])',
             str(self.site)], capture_output=True, text=True, check=True,
            cwd=self.directory, env={})
        version, points = json.loads(done.stdout)
        self.assertEqual(importlib.metadata.version('ironic-imagedeploy'),
                         version)
        self.assertIn(
            'ironic_python_agent.hardware_managers '
            'ironic_imagedeploy.agent.manager:ImageDeployHardwareManager',
            points)
        self.assertFalse([point for point in points
                          if re.match('ironic[.]', point)])


class RefusalsTest(RamdiskTestCase):

    def test_no_agent(self) -> None:
        self.path.write_bytes(initramfs.archive(initramfs.tree(
            self.directory / 'tree', 'init')))
        self.refused('ironic-python-agent in one folder', 'found none')

    def test_two_agents(self) -> None:
        other = 'usr/lib/python3/dist-packages'
        self.make(f'{other}/ironic_python_agent/__init__.py')
        self.refused(f'{SITE}, {other}', '--site-packages')
        self.added('--site-packages', f'/{other}/')
        self.assertIn('already', self.added('--site-packages', other))

    def test_an_old_python(self) -> None:
        self.make(site='opt/agent/lib/python3.9/site-packages')
        self.refused('Python 3.11 or later', 'Python 3.9')

    def test_bombs_end_soon(self) -> None:
        for kind in ('gz', 'bz2'):
            self.path.write_bytes(initramfs.PACKERS[kind](
                boot_files.archive({'x': bytes(70 << 20)})))
            begin = time.process_time()
            with self.subTest(kind):
                self.refused('unpacks to at most 64 times its bytes')
                self.assertLess(time.process_time() - begin, 5)

    def test_modules_that_are_missing(self) -> None:
        folder = initramfs.tree(
            self.directory / 'tree',
            f'{SITE}/ironic_python_agent/__init__.py')
        self.path.write_bytes(initramfs.archive(folder))
        self.refused('found none of them')
        self.make()
        shutil.rmtree(self.directory / 'tree' / SITE / 'oslo_log')
        self.path.write_bytes(initramfs.archive(self.directory / 'tree'))
        self.refused('found all but oslo_log')

    def test_files_that_are_none(self) -> None:
        for content, found in (
                (b'', 'an empty file'), (bytes(512), 'an empty file'),
                (b'CD001' * 99, 'a file that does not begin'),
                (b'hsqs' + bytes(99), 'a file that does not begin')):
            self.path.write_bytes(content)
            with self.subTest(content[:9]):
                self.refused(f'expected an initramfs, found {found}')
        self.path.unlink()
        self.refused('No such file')
        self.path.mkdir()
        self.assertEqual(5, self.run_main('ramdisk', 'add', self.path))
