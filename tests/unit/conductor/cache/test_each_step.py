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

"""The cache, with something that happens before each of its steps.

A step is what Python audits: a file that is opened, moved, linked or removed.
"""

from collections.abc import Callable
import contextlib
import errno
import itertools
import os
import pathlib
import shutil
import sys
import typing

from ironic.common import exception

from ironic_imagedeploy import engine
from tests.support.faults import table
from tests.unit.conductor.cache import cached

_LOOKS = ('os.listdir', 'os.scandir')
_CHANGES = ('os.link', 'os.mkdir', 'os.rename', 'os.remove',
            'os.symlink')
_NEED_ROOM = ('os.link', 'os.mkdir', 'os.rename', 'os.symlink')
Happening = Callable[[str], None]


class _Steps:
    """Steps in some directories, of which one has something before it."""

    def __init__(self) -> None:
        self.directories: tuple[str, ...] = ()
        self.left: int | None = None
        self.room = False
        self.happening: Happening = lambda path: None
        self._audited = False

    @contextlib.contextmanager
    def before(self, number: int, happening: Happening, *directories:
               pathlib.Path, room: bool = False) -> typing.Iterator[None]:
        """Let that happen before one step, counted from 0.

        :param room: count only those that need room on the disk.
        """
        if not self._audited:
            # For good. Whoever measures coverage runs these tests alone: an
            # audited sys.settrace fails in two threads at once.
            sys.addaudithook(self._audit)
            self._audited = True
        self.directories = tuple(map(str, directories))
        self.left, self.happening, self.room = number, happening, room
        try:
            yield
        finally:
            self.left = None

    @property
    def is_over(self) -> bool:
        """Whether it has happened."""
        return self.left is not None and self.left < 0

    def _audit(self, event: str, arguments: tuple[typing.Any, ...]) -> None:
        if self.left is None or self.left < 0 or not self._counts(
                event, arguments):
            return
        self.left -= 1
        if self.left < 0:
            self.happening(str(arguments[0]))

    def _counts(self, event: str, arguments: tuple[typing.Any, ...]) -> bool:
        if event not in ('open', *_LOOKS, *_CHANGES) or not any(
                str(path).startswith(self.directories)
                for path in arguments[:2]):
            return False
        if not self.room:
            return True
        if event == 'open':
            return bool(arguments[2] & os.O_CREAT)
        return event in _NEED_ROOM


STEPS = _Steps()


class EachStepTest(cached.CacheTestCase):

    def steps(self, fault: str, happening: Happening, *, room: bool = False
              ) -> int:
        """Let it happen before each step of a delivery in turn.

        Whatever becomes of that, nothing stays behind, and the next one is
        as if nothing had happened.

        :returns: the number of deliveries that went well all the same.
        """
        survived = 0
        for number in itertools.count():
            node = self.another_node()
            with STEPS.before(number, happening, self.master,
                              self.directory / 'images', self.http,
                              room=room):
                row = table.Row('conductor', fault, tries=1)
                try:
                    self.provide(node)
                except (exception.IronicException, MemoryError,
                        engine.exceptions.ImageDeployError):
                    row.refused = 1
                else:
                    row.survived = 1
                happened = STEPS.is_over
            if row.survived:
                self.assert_provided(node)
            if not happened:
                break
            table.add(row)
            survived += row.survived
            with self.subTest(fault, step=number):
                self.assertEqual([], self.workshop())
                self.provide(node)
                self.assert_provided(node)
            shutil.rmtree(self.master)
        self.assertGreater(number, 10)
        return survived

    def test_disk_full(self) -> None:
        def fill(path: str) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)

        self.steps('disk full at each step of the cache', fill, room=True)

    def test_no_memory(self) -> None:
        def fail(path: str) -> None:
            raise MemoryError(path)

        self.steps('no memory at each step of the cache', fail)

    def test_cleaned(self) -> None:
        def clean(path: str) -> None:
            for file in self.master.glob('*'):
                if file.is_file() and file.stat().st_nlink == 1:
                    file.unlink()

        self.assertGreater(self.steps(
            'cache cleaned at each step', clean), 10)
