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

"""Installation of grub2 on a disk with a partition image.

No file of the image is executed, loaded or trusted as a path: its kernels
are named in a menu that we write, its options are read as text, its signed
EFI programs are copied as bytes. The rest is the ramdisk's own grub2.
"""

from collections.abc import Callable
import dataclasses
import os
import re
import typing

from oslo_log import log

from ironic_python_agent import errors

from ironic_imagedeploy.agent.boot import bios
from ironic_imagedeploy.agent.boot import efi_loaders
from ironic_imagedeploy.agent.boot import esp
from ironic_imagedeploy.agent.boot import grub
from ironic_imagedeploy.agent.boot import grub_reader
from ironic_imagedeploy.agent.boot import image_tree
from ironic_imagedeploy.agent.boot import kernel_options
from ironic_imagedeploy.agent.boot import menu
from ironic_imagedeploy.agent.boot import mounts
from ironic_imagedeploy.agent.boot import nvram
from ironic_imagedeploy.agent.boot import separate_kernel
from ironic_imagedeploy.agent.boot import software_raid
from ironic_imagedeploy.agent import sysfs
from ironic_imagedeploy.engine.contents import fstab_repair

LOG = log.getLogger(__name__)

_GRUB2_FOLDER = 'boot/grub2'
_GRUB_FOLDER = 'boot/grub'
#: Programs of distributions that have their menu in /boot/grub2.
_GRUB2_PROGRAMS = ('usr/sbin/grub2-install', 'usr/bin/grub2-install')
_FSTAB = 'etc/fstab'
#: Whose initramfs assembles no array but those in its kernel options.
_DRACUT = 'usr/lib/dracut'
_FAT_ID = re.compile(r'[0-9A-F]{4}-[0-9A-F]{4}')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Disk:
    """A disk with a system on it that does not boot yet.

    :ivar device: the whole disk, or the array.
    :ivar root: the partition with the root file system.
    :ivar kind: the type of that.
    :ivar uuid: of that file system.
    :ivar partition_uuid: of that partition.
    :ivar esp: the EFI system partition, if any.
    :ivar esp_uuid: of its file system.
    :ivar label: of the root file system; empty when it has none.
    :ivar swap_uuid: of the swap partition, if any.
    :ivar has_twin: another device has a file system of the same UUID.
    :ivar array: what the device is when it is a software RAID.
    """

    device: str
    root: str
    kind: str
    uuid: str
    partition_uuid: str
    esp: str | None = None
    esp_uuid: str | None = None
    label: str = ''
    swap_uuid: str | None = None
    has_twin: bool = False
    array: software_raid.Array | None = None

    @property
    def kernel_options(self) -> tuple[str, ...]:
        """Options that each kernel needs to find the root."""
        return self.array.kernel_options if self.array else ()


def install(disk: Disk, platform: grub.Platform, arch: str,
            install_kernel: Callable[[image_tree.ImageTree], menu.Entry]
            = separate_kernel.no_kernel, *, verify: bool = False
            ) -> dict[str, typing.Any]:
    """Install grub2 with a menu for the kernels of the system.

    :param install_kernel: puts a kernel into a root file system that has
        none; that is an error by default.
    :param verify: read grub2 back, from each disk of an array.
    :returns: what was installed, for the report.
    :raises DeploymentError: when the disk would not boot.
    """
    with mounts.mounted(disk.root, disk.kind) as root:
        entries, kernel_origin = menu.find_entries(root), 'image'
        menu.check_processor(root, entries, arch)
        folder = _menu_folder(root)
        programs = None
        if platform is not grub.BIOS:
            programs = efi_loaders.signed(root, platform, arch)
        vendors = efi_loaders.vendors(root) if programs else []
        with root.writable():
            if not entries:
                entries, kernel_origin = [install_kernel(root)], 'beside'
            grub_cfg = menu.write(
                entries, uuid=disk.uuid,
                partition_uuid=disk.partition_uuid,
                by_partition=disk.has_twin, prefix=root.prefix,
                options=root.options + disk.kernel_options)
            root.make_directory(folder)
            menu_folder = root.prefix + (
                menu.grub_path(root, f'/{folder}') or '')
            root.write(f'{folder}/grub.cfg', grub_cfg.encode('ascii'))
            _adapt_fstab(root, disk)
            _mention_options(root, disk)
        kernel = f'{root.prefix}{entries[0].kernel}'
    if programs is None:
        grub_reader.check(disk.root, [f'{menu_folder}/grub.cfg', kernel])
    if platform is grub.BIOS:
        _install_bios(disk, menu_folder, verify)
    else:
        programs = programs or _own_efi(disk, menu_folder, platform)
        _install_uefi(disk, menu_folder, platform, programs, vendors, verify)
    return {'platform': platform.name, 'menu': f'/{folder}/grub.cfg',
            'origin': programs.origin if programs else 'ramdisk',
            'kernels': [entry.kernel for entry in entries],
            'kernel_origin': kernel_origin}


def _menu_folder(root: image_tree.ImageTree) -> str:
    """Folder that the system's own update of the menu writes to."""
    if root.is_directory(_GRUB2_FOLDER) or any(
            root.real_path(path) for path in _GRUB2_PROGRAMS):
        return _GRUB2_FOLDER
    return _GRUB_FOLDER


def _install_bios(disk: Disk, folder: str, verify: bool) -> None:
    core = _make_image(disk, folder, grub.BIOS)
    if disk.array:
        disk.array.make_bios_boot_partitions()
    for device in disk.array.disks if disk.array else [disk.device]:
        bios.install(device, core, verify=verify)


def _make_image(disk: Disk, folder: str, platform: grub.Platform) -> bytes:
    """The ramdisk's grub2, which looks on its own disk first.

    It completes a prefix without a disk with the one that was booted, and
    that comes before others with the same UUID.
    """
    name, partition = _root_names(disk)
    return grub.make_image(
        platform, disk.kind,
        grub.early_configuration(disk.uuid, folder, '$root'),
        f'({name},{partition}){folder}', raid=bool(disk.array))


def _root_names(disk: Disk) -> tuple[str, str]:
    """Names that grub2 has for the disk and the partition of the root.

    :returns: an empty one for the disk that is booted from.
    """
    return (disk.array.grub_name if disk.array else '',
            f'{bios.table_name(disk.device)}{_partition(disk.root).number}')


def _own_efi(disk: Disk, folder: str, platform: grub.Platform
             ) -> esp.Programs:
    return efi_loaders.own(platform, _make_image(disk, folder, platform))


def _install_uefi(disk: Disk, folder: str, platform: grub.Platform,
                  programs: esp.Programs, vendors: list[str], verify: bool
                  ) -> None:
    if disk.esp is None:
        raise errors.DeploymentError(
            f'{disk.device} has no EFI system partition')
    place, esps = disk.esp, [_partition(disk.esp)]
    if disk.array:
        place = disk.array.mirror_esp(disk.esp)
        esps = [_partition(half) for half in sysfs.members(place)]
    with software_raid.complete(place):
        esp.fill(place, programs, grub.esp_configuration(
            disk.uuid, folder, *_root_names(disk)), vendors, verify=verify)
    if os.path.exists('/sys/firmware/efi'):
        nvram.add_boot_entries(esps, platform)


def _adapt_fstab(root: image_tree.ImageTree, disk: Disk) -> None:
    """Let the system wait for no file system of the image's origin."""
    try:
        table = root.optional(_FSTAB)
    except image_tree.UnsafePath as reason:
        LOG.warning('The table of file systems stays as it is: %s',
                    reason.details)
        return
    if table is None:
        return
    adapted = fstab_repair.adapted(table, fstab_repair.Disk(
        root_uuid=disk.uuid, root_label=disk.label,
        swap_uuid=disk.swap_uuid, esp_uuid=(
            disk.esp_uuid if _FAT_ID.fullmatch(disk.esp_uuid or '')
            else None)))
    if adapted == table:
        return
    if disk.esp_uuid:
        for path in fstab_repair.esp_mounts(adapted):
            root.make_directory(path)
    root.write(_written_path(root, _FSTAB), adapted)
    LOG.info('/%s of the image has lines for this disk now', _FSTAB)


def _mention_options(root: image_tree.ImageTree, disk: Disk) -> None:
    """Add what dracut needs to what a later update of the menu reads."""
    if not disk.kernel_options or not root.real_path(_DRACUT):
        return
    defaults = root.optional(kernel_options.DEFAULTS)
    if defaults is None:
        return
    line = ('GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX '
            f'{" ".join(disk.kernel_options)}"\n')
    root.write(_written_path(root, kernel_options.DEFAULTS),
               _whole_lines(defaults) + line.encode('ascii'))


def _written_path(root: image_tree.ImageTree, path: str) -> str:
    """Path at which a file takes the place of one that was read."""
    parent, name = os.path.split(path)
    return f'{root.real_path(parent)}/{name}'


def _whole_lines(text: bytes) -> bytes:
    return text if not text or text.endswith(b'\n') else text + b'\n'


def _partition(partition: str) -> sysfs.Partition:
    if found := sysfs.partition(partition):
        return found
    raise errors.DeploymentError(f'{partition} is not a partition of a disk')
