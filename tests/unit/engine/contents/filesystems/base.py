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

"""What the tests of the file systems share: one tree, looked at by name."""

import collections
from collections.abc import Mapping
import os
import pathlib
import random
import time
import typing

from ironic_imagedeploy.engine.contents import filesystems
from ironic_imagedeploy.engine import exceptions
from tests.unit.engine import base
from tests.unit.engine import volumes

KIB = base.KIB
MIB = base.MIB

#: Names of many lengths, which take more than a few blocks.
MANY = [f'{number:05d}-{"x" * (number % 90)}' for number in range(700)]
TREE: volumes.Tree = {
    **volumes.BOOTABLE, 'vmlinuz': '/boot/vmlinuz-6.1.0',
    'deep/a/b/c/up': '../../../../usr', 'escape': '../../../../etc',
    'loop': 'pool', 'pool': 'loop', 'dangling': 'nowhere', 'empty': None,
    'long': './' * 90 + 'boot', 'longer': './' * 400 + 'boot',
    'through': 'etc/fstab/x', 'some/large': bytes(range(251)) * 300,
    'some/small': b'x' * 300, **{f'many/{name}': b'' for name in MANY}}
PRESENT = ('usr', 'usr/sbin/grub-install', 'sbin/grub-install', 'vmlinuz',
           '/vmlinuz', 'usr//./sbin', 'deep/a/b/c/up/sbin', 'escape/fstab',
           '../../etc/fstab', 'usr/../etc', 'long/grub', 'longer/grub',
           'empty', '', f'many/{MANY[0]}', f'many/{MANY[-1]}')
ABSENT = ('usr/sbin/grub', 'loop', 'loop/x', 'dangling', 'etc/fstab/x',
          'through', 'nowhere/at/all', 'empty/x', 'USR', 'many/00000')
#: Files of many sizes; half of them do not compress.
FILES: Mapping[str, bytes] = {
    f'etc/{kind}-{size}': part[:size]
    for kind, part in (('text', b'NAME=VALUE of a line\n' * 20_000),
                       ('noise', random.Random(5).randbytes(400_000)))
    for size in (0, 1, 50, 100, 900, 4095, 4096, 5000, 66_000, 300_000)}


class Reads:
    """Reads of a file, counted, with some of its bytes changed.

    :param changes: other bytes by their offset.
    :ivar log: offset and length of each read.
    """

    def __init__(self, path: pathlib.Path,
                 changes: Mapping[int, bytes] | None = None) -> None:
        self._path = path
        self._changes = changes or {}
        self.log: list[tuple[int, int]] = []

    def __call__(self, offset: int, length: int) -> bytes:
        self.log.append((offset, length))
        # Beyond what a file may have there is nothing.
        if offset >= 1 << 62:
            return b''
        with self._path.open('rb') as file:
            read = bytearray(os.pread(file.fileno(), length, offset))
        for at, change in self._changes.items():
            if offset <= at and at + len(change) <= offset + len(read):
                read[at - offset:at - offset + len(change)] = change
        return bytes(read)

    @property
    def total(self) -> int:
        """Bytes that were read."""
        return sum(length for _, length in self.log)


class FileSystemTestCase(base.EngineTestCase):

    kind: typing.ClassVar[str]

    def setUp(self) -> None:
        super().setUp()
        self.path = self.directory / 'volume'

    def opened(self, size: int | None = None) -> filesystems.FileSystem:
        """The volume, of that size or as large as it is."""
        self.read = Reads(self.path)
        return filesystems.open_file_system(
            self.kind, self.read, size or self.path.stat().st_size)

    def assert_tree(self) -> None:
        """All of :data:`TREE` is there, and nothing else."""
        files = self.opened()
        self.assertEqual(self.kind, files.kind)
        self.assertFalse(files.is_dirty)
        for path in PRESENT:
            self.assertTrue(files.exists(path), path)
        for path in ABSENT:
            self.assertFalse(files.exists(path), path)
        for path, names in (
                ('many', MANY), ('empty', []), ('nowhere', []),
                ('etc/fstab', []), ('usr', ['sbin']), ('long', sorted(
                    ('grub', 'vmlinuz-6.1.0'))), ('boot/grub', ['grub.cfg']),
                ('deep/a/b/c', ['up'])):
            self.assertEqual(names, [name for name in files.list(path)
                                     if name != 'lost+found'], path)
        self.assertLessEqual(self.read.total, 4 * MIB)

    def assert_files(self) -> None:
        """All of :data:`FILES` have their content, up to any byte."""
        files = self.opened()
        for path, content in FILES.items():
            for length in (0, 1, 99, 4096, 70_000, 1 << 30):
                self.assertEqual(content[:length], files.front(path, length),
                                 (path, length))
            pieces = [*files.pieces(path)]
            self.assertEqual(content, b''.join(pieces), path)
            self.assertLessEqual(max(map(len, pieces), default=0), 256 * KIB)
        self.assertEqual([], [*files.pieces('nowhere')])

    def assert_bad(self, code: str, *words: str, size: int | None = None
                   ) -> None:
        with self.assertRaises(exceptions.BadContent) as caught:
            self.opened(size)
        self.assertEqual(code, caught.exception.code)
        for word in words:
            self.assertIn(word, str(caught.exception))

    def patch(self, offset: int, content: bytes) -> None:
        """Overwrite bytes of the volume."""
        with self.path.open('r+b') as file:
            file.seek(offset)
            file.write(content)

    def assert_damage_is_survived(self, rounds: int = 300) -> None:
        """Where metadata changes: an answer, or one of three errors."""
        self.use(self.opened())
        places = [offset + at for offset, _ in list(self.read.log)
                  for at, byte in enumerate(self.read(offset, 32 << 10))
                  if byte]
        dice = random.Random(rounds)
        outcomes: collections.Counter[str] = collections.Counter()
        size = self.path.stat().st_size
        for _ in range(rounds):
            read = Reads(self.path, {
                dice.choice(places): dice.choice((
                    dice.randbytes(1), dice.randbytes(8), b'\xff' * 4,
                    bytes(4)))
                for _ in range(dice.choice((1, 1, 4, 30)))})
            start = time.monotonic()
            try:
                self.use(filesystems.open_file_system(self.kind, read, size))
                outcomes['read'] += 1
            except (exceptions.BadContent, exceptions.TooComplex,
                    exceptions.UnreadableContent) as error:
                outcomes[type(error).__name__] += 1
            self.assertLess(time.monotonic() - start, 60)
            self.assertLessEqual(read.total, 17 * MIB)
        self.assertGreater(outcomes['read'], rounds // 20, outcomes)
        self.assertGreater(outcomes['UnreadableContent'], 0, outcomes)

    def use(self, files: filesystems.FileSystem) -> None:
        """Ask for all kinds of things."""
        for path in PRESENT + ABSENT:
            files.exists(path)
        for path in ('', 'many', 'boot'):
            files.list(path)
        for path in ('some/large', 'some/small'):
            files.front(path, 70_000)
