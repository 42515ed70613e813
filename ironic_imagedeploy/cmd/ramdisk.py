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

"""The agent side, put into a deploy ramdisk that is there already.

Linux unpacks one archive after the other, so a ramdisk is changed by one more
archive at its end. Only what stands there by an earlier command is replaced.
"""

import argparse
import collections
from collections.abc import Iterator
import functools
from importlib import metadata
import io
import lzma
import os
import pathlib
import re
import shutil
import typing
import zlib

import ironic_imagedeploy
from ironic_imagedeploy.cmd import console
from ironic_imagedeploy.cmd import options
from ironic_imagedeploy.cmd import text
from ironic_imagedeploy import engine
from ironic_imagedeploy.engine.contents import initramfs

_PACKAGE = 'ironic_imagedeploy'
_DISTRIBUTION = 'ironic-imagedeploy'
#: Parts of the package that no ramdisk needs.
_LEFT_OUT = ('conductor', '__pycache__')
_OLDEST_PYTHON = 11
_AGENT = re.compile(r'(?P<site>.*(?:site|dist)-packages)/ironic_python_agent/'
                    r'__init__\.py')
_OURS = re.compile(rf'(?:.*(?:site|dist)-packages/){_PACKAGE}'
                   r'(?:-[^/]+\.dist-info)?(?:/.*)?')
_MODULE = re.compile(r'.*(?:site|dist)-packages/'
                     r'(?P<name>(?:backports/)?[a-z_0-9]+)/__init__\.py')
#: Modules that the agent side imports; those of the agent are among them.
_NEEDED = ('cryptography', 'oslo_config', 'oslo_log', 'oslo_utils',
           'requests', 'stevedore')
#: Modules that make it faster.
_FASTER = ('isal', 'deflate', 'backports.zstd', 'zstandard')
#: Files of grub2 that partition images take, by firmware.
_GRUB = re.compile(r'(?:.*/)?grub/(?P<platform>i386-pc|x86_64-efi|arm64-efi)/'
                   r'normal\.mod')
_FILE, _FOLDER = 0o100644, 0o040755
_PIECE = 1 << 20
#: Bytes that a ramdisk unpacks to, which is more than it could boot with, and
#: steps and seconds that this may take: one of 700 MiB in xz takes 60.
_BYTES = 16 << 30
_STEPS = 128 << 20
_SECONDS = 200.0


class RamdiskError(engine.exceptions.TargetError):
    """A ramdisk that cannot take the agent side."""

    retry = 'never'
    summary = 'the ramdisk cannot be changed'


class _Ramdisk:
    """Content of an initramfs, as far as it matters here.

    :ivar sites: folders of packages that have the agent.
    :ivar modules: of Python, in any folder of packages.
    :ivar platforms: of grub2.
    :ivar ours: segments with the agent side, and whether with nothing else.
    """

    def __init__(self, file: typing.BinaryIO) -> None:
        self.sites: set[str] = set()
        self.modules: set[str] = set()
        self.platforms: set[str] = set()
        self.ours: dict[int, bool] = {}
        self.agent_segment = 0
        self._others: collections.Counter[int] = collections.Counter()
        whole = initramfs.Initramfs(
            iter(functools.partial(file.read, _PIECE), b''),
            engine.Budget(bytes=_BYTES, entries=_STEPS, seconds=_SECONDS))
        self.segments = whole.segments
        for name in whole.names():
            self._see(len(self.segments), name)
        if not self.segments:
            raise engine.exceptions.UnreadableContent('an empty file')
        self.ours = {number: not self._others[number]
                     for number in self.ours}

    def _see(self, segment: int, name: str) -> None:
        if _OURS.fullmatch(name):
            self.ours[segment] = True
            return
        self._others[segment] += 1
        if match := _AGENT.fullmatch(name):
            self.sites.add(match['site'])
            self.agent_segment = segment
        if match := _MODULE.fullmatch(name):
            self.modules.add(match['name'].replace('/', '.'))
        elif match := _GRUB.fullmatch(name):
            self.platforms.add(match['platform'])


def _arguments(ramdisk: argparse.ArgumentParser) -> None:
    """The one action of the command."""
    actions = ramdisk.add_subparsers(required=True, metavar='ACTION')
    description = ('Add the agent side to a ramdisk, or bring it up to date '
                   'there.')
    sub = actions.add_parser('add', description=description,
                             help=description, allow_abbrev=False)
    sub.set_defaults(command=add, parser=sub, json=False)
    sub.add_argument('file', metavar='FILE', type=options.named,
                     help='the initramfs of the ramdisk')
    sub.add_argument(
        '--output', '-o', metavar='FILE',
        help='write the new ramdisk into this file (default: the same)')
    sub.add_argument(
        '--site-packages', metavar='FOLDER',
        help='folder of packages in the ramdisk that has the agent, without '
        'the first slash (default: found in there)')
    options.debug(sub)


def add(args: argparse.Namespace) -> int:
    """Add the agent side to a ramdisk, or bring it up to date there."""
    path = pathlib.Path(args.file)
    try:
        with path.open('rb') as file:
            ramdisk = _Ramdisk(file)
            site = ((args.site_packages or '').strip('/')
                    or _site(ramdisk, path))
            _check(ramdisk, site, path)
            keep = _kept(ramdisk)
            addition = _addition(site, ramdisk, keep)
            file.seek(keep)
            is_there = file.read(len(addition) + 1) == addition
        output = pathlib.Path(args.output or path)
        if not is_there or output != path:
            _write(path, keep, addition, output)
    except OSError as error:
        raise RamdiskError(
            str(path), expected='a file that can be read and written',
            found=error.strerror or 'an error',
            fix='Check the path and its permissions.') from error
    except (engine.exceptions.UnreadableContent,
            engine.exceptions.TooComplex) as error:
        raise RamdiskError(
            str(path), found=error.found, expected=(
                'an initramfs' if isinstance(
                    error, engine.exceptions.UnreadableContent)
                else error.expected),
            fix='Give the initramfs of a deploy ramdisk; one that is packed '
                'in another way, as an ISO or a container, is not changed '
                'here.') from None
    console.show(f'{line}\n' for line in _summary(
        ramdisk, site, len(addition), is_there, output))
    return 0


def _site(ramdisk: _Ramdisk, path: pathlib.Path) -> str:
    """The folder of packages that has the agent."""
    if len(ramdisk.sites) == 1:
        return next(iter(ramdisk.sites))
    raise RamdiskError(
        str(path), expected='ironic-python-agent in one folder of packages',
        found=', '.join(sorted(ramdisk.sites)) or 'none',
        fix='Name the folder with --site-packages, or give the initramfs of '
            'a deploy ramdisk.')


def _check(ramdisk: _Ramdisk, site: str, path: pathlib.Path) -> None:
    version = re.search(r'python3\.(\d+)', site)
    if version and int(version[1]) < _OLDEST_PYTHON:
        raise RamdiskError(
            str(path), expected=f'Python 3.{_OLDEST_PYTHON} or later',
            found=f'Python 3.{version[1]}, in {site}',
            fix='Use a ramdisk of a later distribution.')
    missing = [name for name in _NEEDED if name not in ramdisk.modules]
    if missing:
        raise RamdiskError(
            str(path), expected='the modules ' + ', '.join(_NEEDED),
            found='none of them' if len(missing) == len(_NEEDED)
            else 'all but ' + ', '.join(missing),
            fix='Use a ramdisk with a complete ironic-python-agent.')


def _kept(ramdisk: _Ramdisk) -> int:
    """Bytes of the file that stay: all but what was added before."""
    last = len(ramdisk.segments) - 1
    if ramdisk.ours.get(last) and last:
        return ramdisk.segments[last - 1].end
    return ramdisk.segments[last].end


def _addition(site: str, ramdisk: _Ramdisk, keep: int) -> bytes:
    """The bytes to come after those that stay.

    An archive as it is has to begin at a multiple of four.
    """
    archive = _archive(site)
    compression = ramdisk.segments[ramdisk.agent_segment].compression
    if compression == 'gz':
        packer = zlib.compressobj(9, wbits=31)
        archive = packer.compress(archive) + packer.flush()
    elif compression == 'xz':
        # Linux checks no better sum than this one.
        archive = lzma.compress(archive, check=lzma.CHECK_CRC32)
    return bytes(-keep % 4) + archive


def _archive(site: str) -> bytes:
    """The agent side as a cpio archive, the same bytes each time."""
    archive, number, folders = io.BytesIO(), 0, set()
    for name, content in sorted(_files()):
        parent = pathlib.PurePosixPath(name).parent
        for folder in (*reversed(parent.parents), parent):
            if str(folder) != '.' and folder not in folders:
                folders.add(folder)
                number += 1
                _append(archive, f'{site}/{folder}', b'', _FOLDER, number)
        number += 1
        _append(archive, f'{site}/{name}', content, _FILE, number)
    _append(archive, initramfs.TRAILER, b'', 0, 0)
    return archive.getvalue()


def _append(archive: io.BytesIO, name: str, content: bytes, mode: int,
            number: int) -> None:
    """Append a member ("newc"; Linux, "initramfs buffer format")."""
    encoded = name.encode() + b'\0'
    links = 2 if mode == _FOLDER else 1
    fields = (number, mode, 0, 0, links, 0, len(content), 0, 0, 0, 0,
              len(encoded), 0)
    archive.write(initramfs.MAGICS[0] + b''.join(
        b'%08X' % field for field in fields) + encoded)
    archive.write(bytes(-archive.tell() % 4))
    archive.write(content)
    archive.write(bytes(-archive.tell() % 4))


def _files() -> Iterator[tuple[str, bytes]]:
    """Files of the package that the agent needs, by their names."""
    folder = pathlib.Path(ironic_imagedeploy.__path__[0])
    for path in folder.rglob('*'):
        parts = path.relative_to(folder).parts
        if path.suffix in ('.py', '.typed') and not (
                set(parts) & set(_LEFT_OUT)):
            yield '/'.join((_PACKAGE, *parts)), path.read_bytes()
    distribution = metadata.distribution(_DISTRIBUTION)
    info = f'{_PACKAGE}-{distribution.version}.dist-info'
    yield f'{info}/METADATA', (
        f'Metadata-Version: 2.1\nName: {_DISTRIBUTION}\n'
        f'Version: {distribution.version}\n').encode()
    groups = collections.defaultdict(list)
    for point in distribution.entry_points:
        if not point.group.startswith(('console_scripts', 'ironic.')):
            groups[point.group].append(f'{point.name} = {point.value}')
    yield f'{info}/entry_points.txt', '\n'.join(
        '\n'.join((f'[{group}]', *sorted(lines), ''))
        for group, lines in sorted(groups.items())).encode()


def _write(path: pathlib.Path, keep: int, addition: bytes,
           output: pathlib.Path) -> None:
    """Write the whole of the new file, or nothing."""
    part = output.with_name(f'.{output.name}.{os.getpid()}')
    try:
        shutil.copyfile(path, part)
        shutil.copymode(path, part)
        with part.open('r+b') as file:
            file.truncate(keep)
            file.seek(keep)
            file.write(addition)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, output)
    finally:
        part.unlink(missing_ok=True)


def _summary(ramdisk: _Ramdisk, site: str, added: int, is_there: bool,
             output: pathlib.Path) -> Iterator[str]:
    version = metadata.version(_DISTRIBUTION)
    last = len(ramdisk.segments) - 1
    if is_there:
        done = f'has the agent side {version} already'
    elif ramdisk.ours.get(last):
        done = f'has the agent side {version} now, in place of another'
    else:
        done = f'has the agent side {version} now, {added} bytes more'
    yield f'{text.printable(str(output))}: {done}'
    packed = collections.Counter(segment.compression or 'as it is'
                                 for segment in ramdisk.segments)
    yield f'  archives          {len(ramdisk.segments)} (' + ', '.join(
        f'{count} {kind}' for kind, count in packed.items()) + ')'
    yield f'  packages          {text.printable(site)}'
    earlier = [number for number in ramdisk.ours
               if number != last or not ramdisk.ours[number]]
    if earlier:
        yield ('  agent side        also in the ramdisk itself; the added '
               'files come first')
    faster = [name for name in _FASTER if name in ramdisk.modules]
    yield f'  fast codecs       {", ".join(faster) or "none"}'
    yield ('  partition images  ' + (
        f'grub2 for {", ".join(sorted(ramdisk.platforms))}'
        if ramdisk.platforms else 'no grub2 in it: whole-disk images only'))


#: The command, what it calls, and what adds its arguments.
COMMANDS: options.Table = {'ramdisk': (add, _arguments)}
