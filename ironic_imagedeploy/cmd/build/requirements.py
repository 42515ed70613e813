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

"""Programs and devices that a build takes."""

import os
import platform
import shutil
import socket

from ironic_imagedeploy.cmd.build import recipes
from ironic_imagedeploy.cmd.images import programs

#: Programs that diskimage-builder runs, with the package of Debian that each
#: is in.
_PROGRAMS = {'qemu-img': 'qemu-utils', 'mkfs.ext4': 'e2fsprogs',
             'fstrim': 'util-linux', 'losetup': 'mount', 'sudo': 'sudo',
             'tar': 'tar'}
_WHOLE_DISK = {'kpartx': 'kpartx', 'dmsetup': 'dmsetup'}
_UEFI = {'mkfs.vfat': 'dosfstools'}
_DEVICES = '/proc/misc'
_FILE_SYSTEMS = '/proc/filesystems'
_MODULES = '/lib/modules'
#: Variables of diskimage-builder that name keys of the user's own.
_KEYRINGS = ('DIB_APT_KEYRING', 'DIB_DEBIAN_KEYRING')
#: Where programs for root are, which is not in everybody's PATH.
_SBIN = '/usr/local/sbin:/usr/sbin:/sbin'


def require(recipe: recipes.Recipe) -> None:
    """See that a build can work, before anything is done.

    :raises ProgramError: with all that is missing, and how to have it.
    """
    found, fixes = [], []
    if shutil.which(recipes.PROGRAM) is None:
        found.append(f'no {recipes.PROGRAM}')
        fixes.append('pip install diskimage-builder')
    system = recipes.SYSTEMS[recipe.system]
    wanted = {**system.programs, **_PROGRAMS}
    if recipe.is_whole_disk:
        wanted |= _WHOLE_DISK
        if 'uefi' in recipe.boot_modes:
            wanted |= _UEFI
    missing = [name for name in wanted if _which(name) is None]
    if missing:
        found.append('no ' + ', '.join(missing))
        fixes.append('apt install ' + ' '.join(dict.fromkeys(
            wanted[name] for name in missing)))
    for problem, fix in (*_keyring(*system.keyring), *_host_name(),
                         *_kernel(recipe)):
        found.append(problem)
        fixes.append(fix)
    if found:
        raise programs.ProgramError(
            'build', expected='all that diskimage-builder needs',
            found='; '.join(found), fix='; '.join(fixes) + '.')


def _keyring(path: str, package: str) -> list[tuple[str, str]]:
    """Keys that are missing, with what to do about it.

    debootstrap only warns then, and verifies no signature.
    """
    if not path or os.path.exists(path) or any(
            name in os.environ for name in _KEYRINGS):
        return []
    return [(f'no {path}, without which no signature of a package is '
             'verified', f'apt install {package}')]


def _host_name() -> list[tuple[str, str]]:
    """A host name that does not resolve, with what to do about it.

    sudo complains of one in each command, and diskimage-builder takes the
    complaint for a part of what losetup says.
    """
    name = socket.gethostname()
    try:
        # As bytes, since text would have to be a name of IDNA.
        socket.getaddrinfo(os.fsencode(name), None)
    except OSError as error:
        return [(f'a host name that does not resolve, {name!r} ({error})',
                 f'add the line "127.0.1.1 {name}" to /etc/hosts')]
    return []


def _kernel(recipe: recipes.Recipe) -> list[tuple[str, str]]:
    """Features that the kernel lacks, each with what to do about it."""
    problems = []
    machine = platform.machine()
    wanted = recipes.ARCHITECTURES[recipe.arch]
    if machine != wanted and _which(f'qemu-{wanted}-static') is None:
        problems.append((
            f'a processor {machine}, which runs no programs of {wanted}',
            'apt install qemu-user-static, or build on such a machine'))
    if recipe.is_whole_disk and not _is_listed(_DEVICES, 'device-mapper',
                                               'dm-mod'):
        problems.append((
            'a kernel without device mapper, which kpartx makes partitions '
            'with', 'modprobe dm_mod, or build --type partition, or build '
            'on a machine that has it'))
    if 'uefi' in recipe.boot_modes and not _is_listed(_FILE_SYSTEMS, 'vfat',
                                                      'vfat'):
        problems.append((
            'a kernel that does not mount vfat',
            'modprobe vfat, or build on a machine that has it'))
    return problems


def _which(name: str) -> str | None:
    return shutil.which(name, path=f'{os.environ.get("PATH", "")}:{_SBIN}')


def _is_listed(path: str, word: str, module: str) -> bool:
    """Whether the kernel has a feature, or a module that it could load."""
    try:
        with open(path, encoding='ascii', errors='replace') as file:
            if word in file.read().split():
                return True
    except OSError:
        return False
    folder = os.path.join(_MODULES, platform.release())
    for name in ('modules.dep', 'modules.builtin'):
        try:
            with open(os.path.join(folder, name), encoding='ascii',
                      errors='replace') as file:
                if any(line.split(':')[0].split('.ko')[0].rpartition('/')[2]
                       == module for line in file):
                    return True
        except OSError:
            continue
    return False
