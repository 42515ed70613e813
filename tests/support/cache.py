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

"""What is costly to build, kept under a name that says what it is made of."""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
import contextlib
import fcntl
import hashlib
import os
import pathlib
import shutil
import time

from tests.support import progress

_KEEP_DAYS = 14


def root() -> pathlib.Path:
    """The directory of all cached things."""
    base = os.environ.get('XDG_CACHE_HOME') or pathlib.Path.home() / '.cache'
    return pathlib.Path(base) / 'ironic-imagedeploy'


def get(kind: str, inputs: Iterable[str | pathlib.Path],
        build: Callable[[pathlib.Path], None]) -> pathlib.Path:
    """Return the directory that was built from the inputs.

    :param kind: what it is, the first part of the directory's name
    :param inputs: texts, and files whose content counts
    :param build: is called with an empty directory when there is none yet;
        the directory gets its final name when that returns
    """
    name = f'{kind}-{_key(inputs)}'
    final = root() / name
    root().mkdir(parents=True, exist_ok=True)
    with _locked(root() / f'{name}.lock'):
        if not final.exists():
            progress.say(f'{kind}: building (kept in {final})')
            building = root() / f'{name}.building'
            shutil.rmtree(building, ignore_errors=True)
            building.mkdir()
            build(building)
            building.rename(final)
            progress.say(f'{kind}: built')
        else:
            progress.say(f'{kind}: from the cache')
        os.utime(final)
    _prune(kind)
    return final


def _key(inputs: Iterable[str | pathlib.Path]) -> str:
    digest = hashlib.sha256()
    for item in inputs:
        content = (item.read_bytes() if isinstance(item, pathlib.Path)
                   else item.encode())
        digest.update(b'%d:' % len(content))
        digest.update(content)
    return digest.hexdigest()[:16]


def _prune(kind: str) -> None:
    oldest = time.time() - _KEEP_DAYS * 86400
    for entry in root().glob(f'{kind}-*'):
        if entry.is_dir() and entry.stat().st_mtime < oldest:
            shutil.rmtree(entry, ignore_errors=True)


@contextlib.contextmanager
def _locked(path: pathlib.Path) -> Iterator[None]:
    with path.open('w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
