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

"""The images: one disk with files of this machine, stored in many ways."""

from collections.abc import Callable
from collections.abc import Iterator
import dataclasses
import functools
import hashlib
import itertools
import json
import os
import pathlib
import shutil
import subprocess
import sys
import typing

from benchmarks import digest

MIB = 1 << 20
_START = MIB
_ORIGINS = ('/usr', '/opt', '/var/lib', '/srv', '/home')
_LARGEST_FILE = 256 * MIB


@dataclasses.dataclass(frozen=True)
class Image:
    """A file that holds a disk.

    :ivar name: as the table says it.
    :ivar form: as Ironic names formats; of a packed file, of what is in it.
    :ivar virtual_size: bytes of the disk.
    :ivar guest: the same disk as a sparse file.
    """

    name: str
    path: pathlib.Path
    form: str
    virtual_size: int
    guest: pathlib.Path

    @property
    def packed(self) -> bool:
        """Compressed as a whole."""
        return self.path.suffix == '.zst'

    @functools.cached_property
    def manifest(self) -> pathlib.Path:
        """The manifest of the file, beside it."""
        path = self.path.with_name(f'{self.path.name}.manifest')
        if not path.exists() or (path.stat().st_mtime_ns
                                 < self.path.stat().st_mtime_ns):
            _run(pathlib.Path(sys.prefix, 'bin', 'ironic-imagedeploy'),
                 'manifest', '--progress', 'none', self.path, '-o', path)
        return path

    @functools.cached_property
    def sha512(self) -> str:
        """The checksum of the file."""
        return _remembered(self.path, 'sha512', _sha512)

    @functools.cached_property
    def digest(self) -> str:
        """What a disk with this image on it must have."""
        return _remembered(self.guest, 'digest', lambda path: digest.of_file(
            path, self.virtual_size))


def prepare(cache: pathlib.Path, size: int, names: list[str]) -> list[Image]:
    """Those images, built when they are not there yet.

    :param size: bytes of the disk; that of ``thin`` is 12.5 times larger
        and holds a tenth of the files.
    """
    folder = cache / f'{size // MIB}M'
    folder.mkdir(parents=True, exist_ok=True)
    images = []
    for name in names:
        virtual, files = size, size // 8 * 5
        if name == 'thin':
            virtual, files = size // 2 * 25, files // 10
        guest = folder / ('thin.raw' if name == 'thin' else 'raw')
        once(guest, functools.partial(_guest, size=virtual, files=files))
        path = guest if name == 'raw' else folder / name
        if name == 'raw.zst':
            once(path, functools.partial(
                _run, 'zstd', '-q', '-f', '-T0', '-3', guest, '-o'))
        elif name != 'raw':
            once(path, functools.partial(convert, name, guest))
        images.append(Image(name, path, 'raw' if 'raw' in name else 'qcow2',
                            virtual, guest))
    return images


_QCOW2 = {
    'qcow2-zlib': ('-c',),
    'qcow2-zstd': ('-c', '-o', 'compression_type=zstd'),
    'qcow2-plain': (),
    'thin': ('-c',),
}
NAMES = ('qcow2-zlib', 'qcow2-zstd', 'qcow2-plain', 'raw', 'raw.zst', 'thin')


def convert(name: str, guest: pathlib.Path, path: pathlib.Path) -> None:
    """Make a qcow2 of a disk.

    :param name: of the image.
    """
    _run('qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', '-m', '8',
         *_QCOW2[name], guest, path)


def _guest(path: pathlib.Path, size: int, files: int) -> None:
    """A disk with a GPT and an ext4 with that many bytes of files."""
    tree = path.with_suffix('.tree')
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir()
    try:
        _collect(tree, files)
        with path.open('wb') as file:
            file.truncate(size)
        length = size - 2 * _START
        _run('sfdisk', '-q', path, text=True, input=(
            f'label: gpt\nstart={_START // 512}, size={length // 512}\n'))
        _run('mke2fs', '-q', '-F', '-t', 'ext4', '-d', tree, '-E',
             f'offset={_START},lazy_itable_init=1', path, f'{length // 1024}k')
    finally:
        shutil.rmtree(tree)


def _collect(tree: pathlib.Path, wanted: int) -> None:
    """Real files in the order of their names, again when they run out."""
    got = 0
    for number in itertools.count():
        before = got
        for index, path in enumerate(_files()):
            folder = tree / str(number) / str(index // 1000)
            if index % 1000 == 0:
                folder.mkdir(parents=True)
            got += _link(path, folder / f'{index % 1000}-{path.name[-80:]}')
            if got >= wanted:
                return
        if got == before:
            raise RuntimeError('no files to fill an image with')


def _files() -> Iterator[pathlib.Path]:
    for origin in _ORIGINS:
        for folder, folders, names in os.walk(origin):
            folders.sort()
            for name in sorted(names):
                path = pathlib.Path(folder, name)
                if path.is_file() and not path.is_symlink() and (
                        0 < path.stat().st_size <= _LARGEST_FILE):
                    yield path


def _link(path: pathlib.Path, copy: pathlib.Path) -> int:
    try:
        try:
            copy.hardlink_to(path)
        except OSError:
            shutil.copyfile(path, copy)
        return copy.stat().st_size
    except FileNotFoundError:
        return 0


def once(path: pathlib.Path, build: Callable[[pathlib.Path], None]
          ) -> None:
    """Build a file under another name, so that it is whole or missing."""
    if path.exists():
        return
    print(f'building {path}', flush=True)
    part = path.with_name(f'{path.name}.part')
    part.unlink(missing_ok=True)
    build(part)
    part.replace(path)


def _remembered(path: pathlib.Path, what: str,
                compute: Callable[[pathlib.Path], str]) -> str:
    note = path.with_name(f'{path.name}.{what}')
    state = path.stat()
    key = [state.st_size, state.st_mtime_ns]
    if note.exists():
        found: dict[str, typing.Any] = json.loads(note.read_text())
        if found['of'] == key:
            return str(found[what])
    value = compute(path)
    note.write_text(json.dumps({'of': key, what: value}))
    return value


def _sha512(path: pathlib.Path) -> str:
    with path.open('rb') as file:
        return hashlib.file_digest(file, 'sha512').hexdigest()


def _run(*command: str | pathlib.Path, **options: typing.Any) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **options)
