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

"""User images with a serial console: a whole disk, a root partition."""

from collections.abc import Callable
from collections.abc import Collection
import functools
import pathlib
import shutil
import struct

from ironic_imagedeploy.engine.contents import partitions
from tests.support import cache
from tests.support import commands
from tests.support import debian

_PACKAGES = ('systemd-sysv', 'udev', 'kmod', 'initramfs-tools', 'mdadm',
             'zstd', 'util-linux', 'mount', 'e2fsprogs')
#: Debian's kernel for clouds drives disks of virtual machines and NVMe, the
#: usual one those of servers, too.
_CLOUD_KERNEL, _USUAL_KERNEL = 'linux-image-cloud-amd64', 'linux-image-amd64'
#: Modules of the usual kernel; that for clouds has some of them built in.
_DISK_DRIVERS = frozenset({'virtio_blk', 'nvme', 'vmw_pvscsi'})

#: Of the root file system in all images.
ROOT_LABEL = 'lab-root'

_MIB = 1 << 20

_SECTOR = 512
#: Of the partition with the grub for BIOS, which has its modules in it.
_BIOS_START = 40 * _SECTOR
_ESP_START = 1 * _MIB
_ROOT_START = 33 * _MIB

_FILES = pathlib.Path(__file__).parent / 'files'

#: What the grub of the ESP needs to find its configuration and to boot, also
#: from a mirror.
GRUB_MODULES = ('part_gpt', 'part_msdos', 'fat', 'ext2', 'iso9660', 'normal',
                'search', 'search_fs_file', 'search_label', 'configfile',
                'linux', 'serial', 'terminal', 'echo', 'test', 'gzio',
                'mdraid1x')
#: Where boot.img names the first sector of the program, and where that names
#: its others: first, number of them, and segment of memory.
_BOOT_IMAGE = pathlib.Path('/usr/lib/grub/i386-pc/boot.img')
_BOOT_CODE = 440
_FIRST, _OTHERS = 0x5c, _SECTOR - 12


def whole_disk() -> pathlib.Path:
    """Return the path of the qcow2 image."""
    return _cached('image', _build)


def usual_kernel() -> pathlib.Path:
    """The same with Debian's usual kernel in place of that for clouds."""
    return _cached('image-usual', functools.partial(
        _build, kernel=_USUAL_KERNEL))


def no_disk_drivers() -> pathlib.Path:
    """The same with the usual kernel, without some of its drivers."""
    return _cached('image-driverless', functools.partial(
        _build, kernel=_USUAL_KERNEL, without=_DISK_DRIVERS))


def partition() -> pathlib.Path:
    """Return the path of a qcow2 image of the root file system alone."""
    return _cached('partition', _build_partition)


def kernel_beside() -> pathlib.Path:
    """The same without a kernel and options for it.

    Beside the path are the files vmlinuz and initrd.img.
    """
    return _cached('beside', _build_kernel_beside)


def grub(output: pathlib.Path, configuration: str) -> None:
    """Make a grub for UEFI that starts with this configuration.

    :param output: the EFI program to write
    """
    _make_grub('x86_64-efi', output, configuration)


def _make_grub(platform: str, output: pathlib.Path, configuration: str,
               modules: Collection[str] = ()) -> None:
    early = output.with_suffix('.cfg')
    early.write_text(configuration)
    commands.run('grub-mkimage', '-O', platform, '-p', '/boot/grub',
                 '-c', early, '-o', output, *GRUB_MODULES, *modules)
    early.unlink()


def _install_for_bios(raw: pathlib.Path, configuration: str) -> None:
    """Put a grub for BIOS into its partition, and what starts it before.

    grub-bios-setup does the same for disks that the kernel knows.
    """
    program = raw.with_name('core.img')
    _make_grub('i386-pc', program, configuration, ['biosdisk'])
    core, boot = (bytearray(path.read_bytes())
                  for path in (program, _BOOT_IMAGE))
    program.unlink()
    assert len(core) <= _ESP_START - _BIOS_START
    first = _BIOS_START // _SECTOR
    struct.pack_into('<Q', boot, _FIRST, first)
    struct.pack_into('<QH', core, _OTHERS, first + 1,
                     -(-len(core) // _SECTOR) - 1)
    with raw.open('r+b') as disk:
        disk.write(boot[:_BOOT_CODE])
        disk.seek(_BIOS_START)
        disk.write(core)


def esp(output: pathlib.Path, bootloader: pathlib.Path) -> None:
    """Make a file with an EFI system partition of 8 MiB.

    :param bootloader: becomes the program that the firmware starts when
        nothing else is said
    """
    commands.run('mkfs.vfat', '-C', output, str(8 * 1024))
    _fill_esp(str(output), bootloader)


def _fill_esp(file_system: str, bootloader: pathlib.Path) -> None:
    commands.run('mmd', '-i', file_system, '::EFI', '::EFI/BOOT')
    commands.run('mcopy', '-i', file_system, bootloader,
                 '::EFI/BOOT/BOOTX64.EFI')


def _cached(kind: str, build: Callable[[pathlib.Path], None]) -> pathlib.Path:
    inputs = [pathlib.Path(__file__), pathlib.Path(debian.__file__),
              *sorted(_FILES.glob('image-*'))]
    return cache.get(kind, inputs, build) / 'image.qcow2'


def _build(directory: pathlib.Path, kernel: str = _CLOUD_KERNEL,
           without: Collection[str] = ()) -> None:
    tree, root_size = _build_tree(directory, kernel, without)
    raw = directory / 'image.raw'
    with raw.open('wb') as disk:
        # The last MiB holds the second partition table.
        disk.truncate(_ROOT_START + root_size + _MIB)
    esp_size = _ROOT_START - _ESP_START
    commands.run('sfdisk', '-q', raw, stdin='\n'.join((
        'label: gpt', f'first-lba: {_BIOS_START // _SECTOR}', *(
            f'start={start // _SECTOR}, size={size // _SECTOR}, type={kind}, '
            f'name={name}' for start, size, kind, name in (
                (_BIOS_START, _ESP_START - _BIOS_START,
                 partitions.BIOS_BOOT, 'bios'),
                (_ESP_START, esp_size, 'U', 'esp'),
                (_ROOT_START, root_size, 'L', 'root'))), '')))
    configuration = (
        f'search --no-floppy --label {ROOT_LABEL} --set=root\n'
        'configfile ($root)/boot/grub/grub.cfg\n')
    bootloader = directory / 'grub.efi'
    grub(bootloader, configuration)
    _install_for_bios(raw, configuration)
    commands.run('mkfs.vfat', '--offset', str(_ESP_START // 512), '-F', '16',
                 raw, str(esp_size // 1024))
    _fill_esp(f'{raw}@@{_ESP_START}', bootloader)
    _make_root(tree, raw, root_size, _ROOT_START)
    bootloader.unlink()
    _pack(directory, raw, tree)


def _build_partition(directory: pathlib.Path) -> None:
    tree, root_size = _build_tree(directory)
    (tree / 'boot/grub/grub.cfg').unlink()
    defaults = tree / 'etc/default/grub'
    defaults.write_text(
        'GRUB_DISTRIBUTOR=`lsb_release -i -s`\n'
        'GRUB_CMDLINE_LINUX_DEFAULT="quiet"\n'
        'GRUB_CMDLINE_LINUX="console=ttyS0"\n')
    _pack_root(directory, tree, root_size)


def _build_kernel_beside(directory: pathlib.Path) -> None:
    tree, root_size = _build_tree(directory)
    for name in ('vmlinuz', 'initrd.img'):
        link = tree / name
        link.resolve().rename(directory / name)
        link.unlink()
    shutil.rmtree(tree / 'boot')
    (tree / 'boot').mkdir()
    _pack_root(directory, tree, root_size)


def _build_tree(directory: pathlib.Path, kernel: str = _CLOUD_KERNEL,
                without: Collection[str] = ()) -> tuple[pathlib.Path, int]:
    """The system as a tree, and bytes of a file system for it.

    :param without: modules that the kernel has not got
    """
    tree = directory / 'tree'
    debian.bootstrap(tree, [kernel, *_PACKAGES])
    if without:
        _remove_modules(tree, without)
    _configure(tree)
    used = int(commands.run('du', '-sk', tree).split()[0]) * 1024
    return tree, (used * 5 // 4 // _MIB + 64) * _MIB


def _remove_modules(tree: pathlib.Path, names: Collection[str]) -> None:
    """Take modules out of a system, and out of its initramfs."""
    for folder in (tree / 'lib/modules').iterdir():
        for path in folder.rglob('*.ko*'):
            if path.name.partition('.')[0].replace('-', '_') in names:
                path.unlink()
        commands.run('chroot', tree, 'depmod', folder.name)
        commands.run('chroot', tree, 'update-initramfs', '-u', '-k',
                     folder.name, timeout=600)


def _make_root(tree: pathlib.Path, raw: pathlib.Path, size: int,
               start: int) -> None:
    # grub 2.06 does not read the newer features; a disk with sectors of 4096
    # bytes takes no smaller blocks.
    commands.run('mke2fs', '-q', '-t', 'ext4', '-b', '4096', '-L', ROOT_LABEL,
                 '-d', tree, '-O', '^metadata_csum_seed,^orphan_file', '-E',
                 f'offset={start}', raw, str(size // 4096))


def _pack_root(directory: pathlib.Path, tree: pathlib.Path,
               size: int) -> None:
    raw = directory / 'image.raw'
    with raw.open('wb') as disk:
        disk.truncate(size)
    _make_root(tree, raw, size, 0)
    _pack(directory, raw, tree)


def _pack(directory: pathlib.Path, raw: pathlib.Path,
          tree: pathlib.Path) -> None:
    commands.run('qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', '-c', raw,
                 directory / 'image.qcow2')
    raw.unlink()
    shutil.rmtree(tree)


def _configure(tree: pathlib.Path) -> None:
    """Boot to a login prompt on the serial port, named by the config drive."""
    (tree / 'etc/fstab').write_text(
        f'LABEL={ROOT_LABEL} / ext4 defaults 0 1\n')
    (tree / 'etc/hostname').write_text('no-config-drive\n')
    (tree / 'boot/grub').mkdir(exist_ok=True)
    shutil.copy(_FILES / 'image-grub.cfg', tree / 'boot/grub/grub.cfg')
    shutil.copy(_FILES / 'image-config-drive',
                tree / 'usr/local/sbin/config-drive')
    (tree / 'usr/local/sbin/config-drive').chmod(0o755)
    units = tree / 'etc/systemd/system'
    shutil.copy(_FILES / 'image-config-drive.service',
                units / 'config-drive.service')
    wants = units / 'multi-user.target.wants'
    wants.mkdir(exist_ok=True)
    (wants / 'config-drive.service').symlink_to('../config-drive.service')
    # Timers and apt's jobs only cost time on a machine that lives a minute.
    for unit in ('apt-daily.timer', 'apt-daily-upgrade.timer',
                 'systemd-networkd-wait-online.service',
                 'man-db.timer', 'e2scrub_all.timer', 'fstrim.timer'):
        (units / unit).unlink(missing_ok=True)
        (units / unit).symlink_to('/dev/null')
