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

"""Small file systems, made by the tools of each without mounting."""

from collections.abc import Mapping
from collections.abc import Sequence
import os
import pathlib
import shutil

from tests.unit.engine import base

MIB = base.MIB

#: A tree: content of files, target of links as text, None for directories.
Tree = Mapping[str, bytes | str | None]

#: What a system with grub2 and a kernel has, among others.
BOOTABLE: Tree = {
    'usr/sbin/grub-install': b'#!/bin/sh\n', 'boot/grub/grub.cfg': b'',
    'boot/vmlinuz-6.1.0': b'MZ', 'etc/fstab': b'', 'sbin': 'usr/sbin'}


def plant(folder: pathlib.Path, tree: Tree) -> pathlib.Path:
    """The tree, in a fresh folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, content in tree.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            path.mkdir(exist_ok=True)
        elif isinstance(content, str):
            path.symlink_to(content)
        else:
            path.write_bytes(content)
    return folder


def ext4(path: pathlib.Path, tree: Tree, *options: str, size: int = 16 * MIB
         ) -> pathlib.Path:
    """By mke2fs, which takes the options."""
    base.run('mke2fs', '-q', '-F', '-d',
             plant(path.with_suffix('.d'), tree), *options,
             _sparse(path, size))
    return path


def btrfs(path: pathlib.Path, tree: Tree, *options: str,
          size: int = 128 * MIB) -> pathlib.Path:
    """By mkfs.btrfs, which takes the options."""
    base.run('mkfs.btrfs', '-q', '-f', '--rootdir',
             plant(path.with_suffix('.d'), tree), *options,
             _sparse(path, size))
    return path


def xfs(path: pathlib.Path, tree: Tree, *options: str,
        size: int = 320 * MIB, program: Sequence[str] = ('mkfs.xfs',)
        ) -> pathlib.Path:
    """By mkfs.xfs, which takes the options."""
    folder = plant(path.with_suffix('.d'), tree)
    prototype = path.with_suffix('.proto')
    prototype.write_text('/\n0 0\nd--755 0 0\n' + _prototype(folder) + '$\n')
    base.run(*program, '-q', '-f', '-p', prototype, *options,
             _sparse(path, size))
    return path


def small_xfs(path: pathlib.Path, tree: Tree, *options: str) -> pathlib.Path:
    """As its own tests make it: mkfs.xfs makes no small one for others."""
    return xfs(path, tree, *options, size=32 * MIB, program=(
        'env', 'TEST_DIR=x', 'TEST_DEV=x', 'QA_CHECK_FS=x', 'mkfs.xfs'))


def _prototype(folder: pathlib.Path) -> str:
    lines = ''
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.is_symlink():
            lines += f'{entry.name} l--777 0 0 {os.readlink(entry)}\n'
        elif entry.is_dir():
            lines += (f'{entry.name} d--755 0 0\n'
                      f'{_prototype(pathlib.Path(entry))}$\n')
        else:
            lines += f'{entry.name} ---644 0 0 {entry.path}\n'
    return lines


def _sparse(path: pathlib.Path, size: int) -> pathlib.Path:
    with path.open('wb') as volume:
        volume.truncate(size)
    return path
