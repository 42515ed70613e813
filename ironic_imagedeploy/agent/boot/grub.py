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

"""grub2 of the deploy ramdisk: programs made of its own modules."""

import dataclasses
import os
import pathlib
import shutil
import tempfile

from ironic_python_agent import errors

from ironic_imagedeploy.agent import commands

_LIBRARY = '/usr/lib/grub'
_MKIMAGE = ('grub-mkimage', 'grub2-mkimage')

#: To find the root file system and to show our menu, or one that the
#: distribution writes later; it may ask for modules that are not there.
_MODULES = ('normal', 'search', 'search_fs_uuid', 'linux', 'configfile',
            'part_gpt', 'part_msdos', 'test', 'echo')
_HELPFUL = ('all_video', 'boot', 'cat', 'chain', 'font', 'gettext',
            'gfxmenu', 'gfxterm', 'gzio', 'halt', 'help', 'loadenv', 'ls',
            'minicmd', 'probe', 'reboot', 'regexp', 'search_fs_file',
            'search_label', 'serial', 'sleep', 'terminal', 'true')
#: Modules by the file system that they read.
_FILE_SYSTEMS = {'ext4': 'ext2', 'xfs': 'xfs', 'btrfs': 'btrfs'}
#: To read a software RAID, also while a disk of it is missing.
_RAID = ('diskfilter', 'mdraid1x', 'raid5rec', 'raid6rec')


@dataclasses.dataclass(frozen=True)
class Platform:
    """A kind of firmware on a kind of processor.

    :ivar name: as grub2 calls it.
    :ivar suffix: of its EFI programs; empty for BIOS.
    """

    name: str
    suffix: str = ''

    @property
    def directory(self) -> str:
        """Folder of its modules in the ramdisk."""
        return f'{_LIBRARY}/{self.name}'


BIOS = Platform('i386-pc')
_EFI = {'x86_64': Platform('x86_64-efi', 'x64'),
        'aarch64': Platform('arm64-efi', 'aa64')}


def platform_of(boot_mode: str, arch: str) -> Platform:
    """The platform of a node.

    :raises DeploymentError: when no boot loader is made for it.
    """
    if boot_mode == 'uefi' and arch in _EFI:
        return _EFI[arch]
    if boot_mode == 'bios' and arch == 'x86_64':
        return BIOS
    raise errors.DeploymentError(
        f'No boot loader can be installed for a partition image: expected a '
        f'node of {" or ".join(_EFI)} with UEFI, or of x86_64 with BIOS; '
        f'found {arch} with {boot_mode}. Deploy a whole-disk image.')


def check(platform: Platform, raid: bool = False) -> None:
    """See that the ramdisk has all that it takes, before a disk is erased.

    :param raid: the root file system will be in a software RAID.
    :raises DeploymentError: naming what is missing.
    """
    needed = [f'{platform.directory}/{name}.mod' for name in (
        *_MODULES, *_FILE_SYSTEMS.values(), *(_RAID if raid else ()))]
    if platform is BIOS:
        needed += [f'{platform.directory}/boot.img']
    missing = [path for path in needed if not os.path.exists(path)]
    if not any(map(shutil.which, _MKIMAGE)):
        missing.append(_MKIMAGE[0])
    if platform is not BIOS and not shutil.which('mcopy'):
        missing.append('mcopy')
    if missing:
        raise errors.DeploymentError(
            'The deploy ramdisk lacks what a partition image needs to boot: '
            f'expected grub2 with its modules for {platform.name}, and mtools '
            f'for UEFI; found no {missing[0]}. Add them to the ramdisk '
            '(Debian: grub-common, grub-pc-bin, grub-efi-amd64-bin, mtools), '
            'or deploy a whole-disk image.')


def early_configuration(uuid: str, folder: str, hint: str = '') -> str:
    """Commands that the program begins with: find the root, and its menu.

    :param uuid: of the root file system.
    :param folder: that the menu is in, as grub2 sees the file system.
    :param hint: where to look before anywhere else.
    """
    return (f'search.fs_uuid {uuid} root {hint}\n'
            f'set prefix=($root){folder}\n')


def esp_configuration(uuid: str, folder: str, disk: str, partition: str
                      ) -> str:
    """Commands of the grub2 that the image brings, which knows only its ESP.

    Of all file systems with the same UUID that on its own disk comes first.

    :param disk: that the root is on, as grub2 names it; empty for the one
        that has the ESP.
    :param partition: of the root, as grub2 names it.
    """
    ours = '' if disk else "regexp --set 1:disk '^([^,]+),' $root\n"
    return (ours + early_configuration(uuid, folder,
                                       f'{disk or "$disk"},{partition}')
            + 'configfile $prefix/grub.cfg\n')


def make_image(platform: Platform, kind: str, configuration: str,
               prefix: str, raid: bool = False) -> bytes:
    """A program of grub2 with the modules that it needs.

    :param kind: of the root file system.
    :param raid: that is in a software RAID.
    :param configuration: of :func:`early_configuration`.
    :param prefix: where it looks for its menu.
    :raises DeploymentError: when the ramdisk cannot make it.
    """
    modules = [*_MODULES, _FILE_SYSTEMS[kind],
               *(name for name in _HELPFUL if os.path.exists(
                   f'{platform.directory}/{name}.mod'))]
    modules += ['biosdisk'] if platform is BIOS else ['fat']
    modules += _RAID if raid else ()
    program = next(filter(shutil.which, _MKIMAGE), _MKIMAGE[0])
    with tempfile.TemporaryDirectory(prefix='imagedeploy-') as name:
        early = pathlib.Path(name, 'early.cfg')
        early.write_text(configuration, encoding='ascii')
        program_file = pathlib.Path(name, 'image')
        commands.run(program, '-O', platform.name, '-d', platform.directory,
                     '-p', prefix, '-c', str(early), '-o', str(program_file),
                     *modules)
        return program_file.read_bytes()
