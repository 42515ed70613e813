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

"""Archives as an initramfs has them, made by the program cpio."""

import pathlib
import subprocess
import typing

SITE = 'opt/ironic-python-agent/lib/python3.11/site-packages'
MODULES = ('ironic_python_agent', 'cryptography', 'oslo_config', 'oslo_log',
           'oslo_utils', 'requests', 'stevedore')


def tree(folder: pathlib.Path, *files: str) -> pathlib.Path:
    """A folder with these files."""
    for name in files:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'content of {name}\n')
    return folder


def agent_tree(folder: pathlib.Path, site: str = SITE, *more: str
               ) -> pathlib.Path:
    """A folder like a deploy ramdisk, as far as it matters."""
    return tree(folder, 'init', 'usr/bin/program', *(
        f'{site}/{name}/__init__.py' for name in MODULES), *more)


def archive(folder: pathlib.Path, within: str = '') -> bytes:
    """The folder as a cpio archive, or what lies below one in it."""
    names = '\n'.join(
        name for name in (str(path.relative_to(folder))
                          for path in sorted(folder.rglob('*')))
        if name.startswith(within))
    return subprocess.run(
        ['cpio', '--create', '--quiet', '--format=newc', '--owner=0:0'],
        cwd=folder, input=names.encode(), capture_output=True, check=True
    ).stdout


def packed(content: bytes, *command: str) -> bytes:
    """The content by a program that compresses."""
    return subprocess.run(command, input=content, capture_output=True,
                          check=True).stdout


def extracted(content: bytes, folder: pathlib.Path) -> pathlib.Path:
    """The folder with the files of one archive added to it."""
    folder.mkdir(exist_ok=True)
    subprocess.run(['cpio', '--extract', '--quiet', '--unconditional',
                    '--make-directories'], cwd=folder, input=content,
                   capture_output=True, check=True)
    return folder


PACKERS: dict[str | None, typing.Callable[[bytes], bytes]] = {
    None: lambda content: content,
    'gz': lambda content: packed(content, 'gzip', '-9n'),
    'xz': lambda content: packed(content, 'xz', '--check=crc32'),
    'zstd': lambda content: packed(content, 'zstd', '-q', '-19'),
    'bz2': lambda content: packed(content, 'bzip2')}
