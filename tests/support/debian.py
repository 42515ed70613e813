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

"""Debian trees and kernels from the mirror that this machine uses."""

from collections.abc import Iterable
from collections.abc import Iterator
import pathlib
import shutil

from tests.support import cache
from tests.support import commands

#: The release in the ramdisk and in the user image; its Python is 3.11.
RELEASE = 'bookworm'

PYTHON = '3.11'

_NOT_NEEDED = ('usr/share/doc', 'usr/share/man', 'usr/share/locale',
               'usr/share/info', 'usr/share/i18n', 'usr/share/lintian',
               'usr/share/bash-completion', 'usr/share/zoneinfo',
               'var/cache/apt', 'var/lib/apt/lists', 'var/cache/debconf')


def mirror() -> str:
    """The address that apt has for Debian's main archive."""
    for address, codename in _archives():
        if '-' not in codename:
            return address
    raise commands.CommandFailed('apt knows no Debian mirror')


def sources() -> dict[str, str]:
    """Archives of the release, with its updates where apt knows them.

    :returns: addresses by codename
    """
    return {RELEASE: mirror()} | {
        codename: address for address, codename in _archives()
        if codename.startswith(f'{RELEASE}-')}


def _archives() -> Iterator[tuple[str, str]]:
    targets = commands.run(
        'apt-get', 'indextargets', '--format',
        '$(REPO_URI) $(ORIGIN) $(COMPONENT) $(CODENAME)',
        'Identifier: Packages')
    for line in targets.splitlines():
        words = line.split()
        if words[1:3] == ['Debian', 'main']:
            yield words[0], words[3]


def bootstrap(tree: pathlib.Path, packages: Iterable[str]) -> None:
    """Install a minimal Debian with these packages into a new directory."""
    archives = cache.root() / 'debs'
    archives.mkdir(parents=True, exist_ok=True)
    commands.run(
        'debootstrap', '--variant=minbase', f'--cache-dir={archives}',
        f'--include={",".join(packages)}', RELEASE, tree, mirror(),
        timeout=1200)
    for path in _NOT_NEEDED:
        shutil.rmtree(tree / path, ignore_errors=True)
    (tree / 'etc/resolv.conf').unlink(missing_ok=True)
    (tree / 'etc/hostname').unlink(missing_ok=True)


def kernel(tree: pathlib.Path, work: pathlib.Path) -> str:
    """Unpack Debian's kernel without running its scripts.

    :param tree: gets ``boot/vmlinuz-VERSION`` and ``lib/modules/VERSION``
    :param work: a directory for the package file
    :returns: the kernel's version
    """
    work.mkdir(parents=True)
    try:
        version = _download_kernel(work)
    except commands.CommandFailed:
        # apt's lists may be older than the mirror, or absent.
        commands.run('apt-get', 'update')
        version = _download_kernel(work)
    commands.run('dpkg', '-x', next(work.glob('linux-image-*.deb')), tree)
    return version


def _download_kernel(work: pathlib.Path) -> str:
    depends = commands.run('apt-cache', 'depends', 'linux-image-amd64')
    for line in depends.splitlines():
        name = line.split()[-1]
        if 'Depends:' in line and name.startswith('linux-image-'):
            break
    else:
        raise commands.CommandFailed('apt knows no linux-image-amd64')
    commands.run('apt-get', 'download', name, cwd=work)
    return name.removeprefix('linux-image-')
