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

"""Disks of a small machine that are recorded, and fail, outside of it.

Whoever is inside asks for that through a folder that both have: an order is a
file of JSON there, and an empty one is the answer.
"""

from collections.abc import Sequence
import json
import os
import pathlib
import shutil
import threading
import time
import traceback
import typing

from tests.support import commands
from tests.support import disks
from tests.support.faults import disk as faulty
from tests.support.faults import rules

#: Seconds between two looks at the folder, and until an answer is late.
_INTERVAL, _LATE = 0.05, 300


class Orders:
    """What is asked for from inside.

    :param folder: that both have.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        self._folder = folder

    def fill(self, byte: int) -> None:
        """Make the disks anew: nothing fails, and all bytes are this one."""
        self._ask('fill', byte=byte)

    def fail(self, disk: int, *wanted: rules.Rule) -> None:
        """Let these requests to a disk, and no others, go wrong."""
        self._ask('fail', disk=disk, rules=[vars(rule) for rule in wanted])

    def begin(self, name: str) -> None:
        """Keep what is on the disks, and record what comes from here on."""
        self._ask('begin', name=name)

    def restore(self, name: str) -> None:
        """Put on the disks what :meth:`begin` kept; nothing fails then."""
        self._ask('restore', name=name)

    def end(self, name: str, **about: typing.Any) -> None:
        """Keep what is on the disks now, and what was recorded if it was.

        :param about: kept with it.
        """
        self._ask('end', name=name, about=about)

    def _ask(self, order: str, **arguments: typing.Any) -> None:
        path = self._folder / f'{time.monotonic_ns()}.order'
        _put(path, json.dumps([order, arguments]))
        answer = path.with_suffix('.answer')
        commands.wait_for('answer', answer.exists, timeout=_LATE,
                          interval=_INTERVAL)
        if failed := answer.read_text():
            raise AssertionError(failed)


class Disks:
    """The disks, outside; orders are carried out inside of a ``with``.

    :param folder: that both have; gets a folder for each name, with the
        files ``before``, ``log`` and ``after`` of each disk, counted from 0,
        and ``about``.
    """

    def __init__(self, folder: pathlib.Path, of: Sequence[faulty.FaultyDisk]
                 ) -> None:
        self._folder = folder
        self._disks = of
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> 'Disks':
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()

    def _serve(self) -> None:
        while not self._ended.wait(_INTERVAL):
            for path in sorted(self._folder.glob('*.order')):
                order, arguments = json.loads(path.read_text())
                failed = ''
                try:
                    getattr(self, f'_{order}')(**arguments)
                except Exception:
                    failed = traceback.format_exc()
                _put(path.with_suffix('.answer'), failed)
                path.unlink()

    def _fill(self, byte: int) -> None:
        for disk in self._disks:
            disk.set_rules()
            disks.fill(disk.backing, disk.size, byte)

    def _restore(self, name: str) -> None:
        for number, disk in enumerate(self._disks):
            disk.set_rules()
            shutil.copyfile(self._path(name, 'before', number),
                            disk.backing)
            os.truncate(disk.log, 0)

    def _fail(self, disk: int, rules: list[dict[str, typing.Any]]) -> None:
        self._disks[disk].set_rules(*map(_rule, rules))

    def _begin(self, name: str) -> None:
        self._keep('before', name)
        for disk in self._disks:
            os.truncate(disk.log, 0)

    def _end(self, name: str, about: dict[str, typing.Any]) -> None:
        self._keep('after', name)
        for number, disk in enumerate(self._disks):
            if self._path(name, 'before', number).exists():
                shutil.copyfile(disk.log, self._path(name, 'log', number))
        (self._folder / name / 'about').write_text(json.dumps(about))

    def _keep(self, kind: str, name: str) -> None:
        (self._folder / name).mkdir(parents=True, exist_ok=True)
        for number, disk in enumerate(self._disks):
            disks.run('cp', '--sparse=always', disk.backing,
                      self._path(name, kind, number))

    def _path(self, name: str, kind: str, number: int) -> pathlib.Path:
        return self._folder / name / f'{kind}{number}'


def _rule(values: dict[str, typing.Any]) -> rules.Rule:
    return rules.Rule(**values)


def _put(path: pathlib.Path, text: str) -> None:
    """Make a file that is whole as soon as it is there."""
    part = path.with_suffix('.part')
    part.write_text(text)
    part.rename(path)
