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

"""Systems as distributions lay them out on a disk, rebuilt by hand.

Of each there is what tells how it starts, in partitions of small files.
"""

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses

from tests.support import boot_files
from tests.unit.engine import disks
from tests.unit.engine import volumes

ROOT = '4f68bce3-e8cd-4db1-96e7-fbcaf984b709'
BOOT = 'bc13c2ff-59e6-4262-a352-b275fd6f7172'
BIOS = '21686148-6449-6e6f-744e-656564454649'
ROOT_UUID = '6d1f2b3c-0000-4000-8000-00000000000a'
BOOT_UUID = '6d1f2b3c-0000-4000-8000-00000000000b'
ESP_SERIAL = '7B77-95E7'
#: GUID of the partitions as tests.unit.engine.disks numbers them.
PARTUUID = '00000000-0000-0000-0000-{:012d}'
METAL = ('ahci', 'nvme', 'mpt3sas', 'megaraid_sas', 'igb', 'i40e', 'tg3',
         'bnxt_en', 'virtio_blk', 'virtio_net')
VIRTUAL = ('nvme', 'virtio_blk', 'virtio_net', 'virtio_scsi', 'ena',
           'hv_netvsc', 'xen_blkfront')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Part:
    """A partition and what is in it."""

    kind: str
    tree: volumes.Tree
    type: str = disks.LINUX
    uuid: str = ''
    label: str = ''


def kernel(version: str, drivers: Sequence[str] = METAL, *, name: str = ''
           ) -> dict[str, bytes | str | None]:
    """A kernel with its modules, and an initramfs that has all of them."""
    folder = f'usr/lib/modules/{version}'
    name = name or version
    return {
        f'boot/vmlinuz-{name}': boot_files.bzimage(version=version),
        f'boot/initrd.img-{name}': boot_files.initramfs({
            f'{folder}/kernel/drivers/x/{driver}.ko.xz': b'x'
            for driver in drivers}),
        **modules(folder, drivers)}


def modules(folder: str, drivers: Sequence[str]) -> dict[str, bytes]:
    """The lists of a kernel's drivers."""
    return {f'{folder}/modules.dep': ''.join(
        f'kernel/drivers/x/{name}.ko.xz: kernel/lib/other.ko\n'
        for name in drivers).encode(),
        f'{folder}/modules.builtin': b'kernel/fs/ext4/ext4.ko\n'}


def text(content: str) -> bytes:
    """The content of a file."""
    return content.encode()


def os_release(name: str, version: str, pretty: str) -> bytes:
    """The file of that name."""
    return text(f'PRETTY_NAME="{pretty}"\nNAME="{name}"\n'
                f'VERSION_ID="{version}"\nID={name.lower()}\n')


def grub(options: str, folder: str = 'boot/grub', kernel: str = '/boot/vmlinuz'
         ) -> dict[str, bytes]:
    """A menu of grub2 and its modules for BIOS."""
    return {f'{folder}/grub.cfg': text(
        'if [ -s $prefix/grubenv ]; then\n  load_env\nfi\n'
        "menuentry 'Linux' {\n\tsearch --no-floppy --fs-uuid x\n"
        f'\tlinux\t{kernel} {options}\n\tinitrd\t/boot/initrd.img\n}}\n'
        "submenu 'Advanced' {\n  menuentry 'Recovery' {\n"
        f'\tlinux\t{kernel} {options} single\n}}\n}}\n'),
        f'{folder}/i386-pc/normal.mod': b'x'}


def entry(options: str) -> bytes:
    """An entry of the Boot Loader Specification."""
    return text(f'title Linux\nversion 6\nlinux /vmlinuz-6\n'
                f'initrd /initramfs-6.img $tuned_initrd\noptions {options}\n'
                'grub_class kernel\n')


def unified(options: str | None, version: str, *, linux: bytes = bytes(4096),
            initramfs: bytes | None = None, signed: bool = False) -> bytes:
    """A unified kernel, with the sections that ukify makes."""
    sections = {'.osrel': b'ID=arch\n', '.uname': version.encode(),
                **({'.cmdline': options.encode()} if options is not None
                   else {}), '.linux': linux,
                **({'.initrd': initramfs} if initramfs is not None else {})}
    return boot_files.efi_sections(sections, signed=signed)


def cloud_init(config: str = '') -> dict[str, bytes]:
    """cloud-init with growpart."""
    return {'usr/bin/cloud-init': b'x', 'usr/bin/growpart': b'x',
            'etc/cloud/cloud.cfg': text(
                'users:\n  - default\ndisable_root: true\n' + config)}


def esp(vendor: str) -> Part:
    """An EFI system partition with shim and grub2, also as the fallback."""
    program = disks.program(0x8664)
    return Part(kind='vfat', type=disks.ESP, uuid=ESP_SERIAL, tree={
        'EFI/BOOT/BOOTX64.EFI': program, f'EFI/{vendor}/shimx64.efi': program,
        f'EFI/{vendor}/grubx64.efi': program,
        f'EFI/{vendor}/grub.cfg': b'search.fs_uuid x root\n'})


BIOS_PART = Part(kind='', tree={}, type=BIOS)
_LOCKED = text('root:*:19000:0:99999:7:::\nuser:!:19000:0:99999:7:::\n')


def debian() -> list[Part]:
    """Debian's image for clouds, with the kernel for machines."""
    return [BIOS_PART, esp('debian'), Part(
        kind='ext4', type=ROOT, uuid=ROOT_UUID, tree={
            'usr/lib/os-release': os_release(
                'Debian', '12', 'Debian GNU/Linux 12 (bookworm)'),
            'etc/os-release': '../usr/lib/os-release',
            'etc/machine-id': b'uninitialized\n', 'etc/shadow': _LOCKED,
            'etc/fstab': text(
                f'PARTUUID={PARTUUID.format(3)} / ext4 rw,discard,'
                'errors=remount-ro,x-systemd.growfs 0 1\n'
                f'PARTUUID={PARTUUID.format(2)} /boot/efi vfat defaults '
                '0 0\n'),
            **kernel('6.1.0-13-amd64'), **cloud_init(),
            'etc/cloud/cloud.cfg.d/90_dpkg.cfg': text(
                'datasource_list: [ NoCloud, ConfigDrive, OpenStack, Ec2 ]\n'),
            'usr/sbin/sshd': b'x', 'boot/efi': None,
            **grub(f'root=PARTUUID={PARTUUID.format(3)} ro console=tty0 '
                   'console=ttyS0,115200 earlyprintk=ttyS0,115200')})]


def ubuntu() -> list[Part]:
    """Ubuntu 24.04's image for clouds: /boot has a partition."""
    return [BIOS_PART, dataclasses.replace(esp('ubuntu'), label='UEFI'), Part(
        kind='ext4', type=BOOT, uuid=BOOT_UUID, label='BOOT', tree={
            **{name.removeprefix('boot/'): content for name, content in grub(
                'root=LABEL=cloudimg-rootfs ro console=tty1 console=ttyS0',
                kernel='/vmlinuz').items()},
            'vmlinuz-6.8.0-31-generic': boot_files.bzimage(
                version='6.8.0-31-generic'),
            'vmlinuz': 'vmlinuz-6.8.0-31-generic',
            'initrd.img-6.8.0-31-generic': boot_files.initramfs()}), Part(
        kind='ext4', uuid=ROOT_UUID, label='cloudimg-rootfs', tree={
            'etc/os-release': os_release('Ubuntu', '24.04',
                                         'Ubuntu 24.04 LTS'),
            'etc/fstab': text(
                'LABEL=cloudimg-rootfs\t/\text4\tdiscard,commit=30,errors='
                'remount-ro\t0 1\nLABEL=BOOT\t/boot\text4\tdefaults\t0 2\n'
                'LABEL=UEFI\t/boot/efi\tvfat\tumask=0077\t0 1\n'),
            **modules('usr/lib/modules/6.8.0-31-generic', METAL),
            'lib': 'usr/lib', 'boot': None, 'etc/machine-id': b'',
            'etc/shadow': _LOCKED, **cloud_init()})]


def fedora() -> list[Part]:
    """Fedora Cloud: btrfs, and entries of the Boot Loader Specification."""
    version = '6.5.6-300.fc39.x86_64'
    options = (f'root=UUID={ROOT_UUID} rootflags=subvol=root '
               'no_timer_check net.ifnames=0 console=tty1 '
               'console=ttyS0,115200n8')
    return [BIOS_PART, esp('fedora'), Part(
        kind='ext4', type=BOOT, uuid=BOOT_UUID, tree={
            'grub2/grub.cfg': b'insmod blscfg\nblscfg\n',
            'grub2/i386-pc/normal.mod': b'x', 'grub2/grubenv': b'# GRUB\n',
            f'loader/entries/0a1b-{version}.conf': entry(options),
            f'vmlinuz-{version}': boot_files.bzimage(version=version),
            f'initramfs-{version}.img': boot_files.initramfs()}), Part(
        kind='btrfs', uuid=ROOT_UUID, label='fedora', tree={
            'root/usr/lib/os-release': os_release(
                'Fedora', '39', 'Fedora Linux 39 (Cloud Edition)'),
            'root/etc/os-release': '../usr/lib/os-release',
            'root/etc/fstab': text(
                f'UUID={ROOT_UUID} / btrfs compress=zstd:1,subvol=root 0 0\n'
                f'UUID={BOOT_UUID} /boot ext4 defaults 1 2\n'
                f'UUID={ESP_SERIAL} /boot/efi vfat umask=0077 0 2\n'
                f'UUID={ROOT_UUID} /home btrfs subvol=home 0 0\n'),
            **{f'root/{name}': content for name, content in {
                **modules(f'usr/lib/modules/{version}', METAL),
                **cloud_init()}.items()},
            'root/etc/machine-id': b'', 'root/boot': None, 'home': None,
            'root/etc/shadow': _LOCKED})]


def centos() -> list[Part]:
    """CentOS Stream 9's GenericCloud, with /boot and root on XFS."""
    version = '5.14.0-391.el9.x86_64'
    options = (f'root=UUID={ROOT_UUID} console=tty0 console=ttyS0,115200n8 '
               'no_timer_check crashkernel=1G-4G:192M $tuned_params')
    return [BIOS_PART, esp('centos'), Part(
        kind='xfs', type=BOOT, uuid=BOOT_UUID, tree={
            'grub2/grub.cfg': b'blscfg\n', 'grub2/i386-pc/normal.mod': b'x',
            f'loader/entries/ffff-{version}.conf': entry(options),
            f'vmlinuz-{version}': boot_files.bzimage(version=version),
            f'initramfs-{version}.img': boot_files.initramfs()}), Part(
        kind='xfs', uuid=ROOT_UUID, tree={
            'etc/os-release': os_release('CentOS', '9', 'CentOS Stream 9'),
            'etc/fstab': text(
                f'UUID={ROOT_UUID} / xfs defaults 0 0\n'
                f'UUID={BOOT_UUID} /boot xfs defaults 0 0\n'
                f'UUID={ESP_SERIAL} /boot/efi vfat defaults 0 2\n'),
            **modules(f'usr/lib/modules/{version}', METAL),
            'etc/machine-id': b'', 'boot': None, 'etc/shadow': _LOCKED,
            **cloud_init()})]


def suse() -> list[Part]:
    """openSUSE Leap's image for clouds, made by KIWI."""
    return [BIOS_PART, esp('opensuse'), Part(
        kind='xfs', uuid=ROOT_UUID, label='ROOT', tree={
            'etc/os-release': os_release('openSUSE', '15.5',
                                         'openSUSE Leap 15.5'),
            'etc/fstab': text(f'UUID={ROOT_UUID} / xfs defaults 0 1\n'
                              f'UUID={ESP_SERIAL} /boot/efi vfat defaults '
                              '0 0\n'),
            **kernel('5.14.21-150500.55-default'),
            'boot/vmlinuz': 'vmlinuz-5.14.21-150500.55-default',
            'boot/efi': None, 'etc/machine-id': b'',
            'usr/lib/dracut/modules.d/99kiwi-repart/x': b'',
            'usr/bin/cloud-init': b'x', 'etc/shadow': _LOCKED,
            'etc/cloud/cloud.cfg': b'datasource_list:\n- OpenStack\n- None\n',
            **grub(f'root=UUID={ROOT_UUID} console=ttyS0,115200 console=tty0 '
                   'net.ifnames=0 quiet', 'boot/grub2',
                   '($root)/boot/vmlinuz-5.14.21-150500.55-default')})]


def alpine() -> list[Part]:
    """Alpine's image for clouds with UEFI."""
    return [dataclasses.replace(esp('alpine'), label='EFI'), Part(
        kind='ext4', uuid=ROOT_UUID, label='/', tree={
            'etc/os-release': os_release('Alpine', '3.19.1',
                                         'Alpine Linux v3.19'),
            'etc/fstab': text(
                '# <fs> <mountpoint> <type> <opts> <dump/pass>\n'
                'LABEL=/ / ext4 rw,discard,noatime 1 1\n'
                'LABEL=EFI /boot/efi vfat noauto 0 0\n'),
            **{name.replace('usr/lib', 'lib'): content
               for name, content in kernel('6.6.14-0-lts', name='lts'
                                           ).items()},
            'etc/tiny-cloud.conf': b'', 'lib/tiny-cloud/init': b'',
            'boot/efi': None, 'etc/shadow': _LOCKED,
            **grub('root=LABEL=/ modules=sd-mod,ext4 console=ttyS0,115200 '
                   'console=tty0', kernel='/boot/vmlinuz-lts')})]


def arch() -> list[Part]:
    """Arch Linux with systemd-boot: /boot is the EFI system partition."""
    program = disks.program(0x8664)
    return [Part(
        kind='vfat', type=disks.ESP, uuid=ESP_SERIAL, tree={
            'EFI/BOOT/BOOTX64.EFI': program,
            'EFI/systemd/systemd-bootx64.efi': program,
            'loader/loader.conf': b'default arch.conf\n',
            'loader/entries/arch.conf': entry(
                f'root=PARTUUID={PARTUUID.format(2)} rw'),
            'vmlinuz-linux': boot_files.bzimage(version='6.7.4-arch1-1'),
            'initramfs-linux.img': boot_files.initramfs()}), Part(
        kind='ext4', uuid=ROOT_UUID, type=ROOT, tree={
            'etc/os-release': os_release('Arch', '', 'Arch Linux'),
            'etc/fstab': text(f'UUID={ROOT_UUID} / ext4 rw,relatime 0 1\n'
                              f'UUID={ESP_SERIAL} /boot vfat rw 0 2\n'),
            'boot': None, 'etc/shadow': _LOCKED, 'etc/machine-id': b'',
            **modules('usr/lib/modules/6.7.4-arch1-1', METAL),
            **cloud_init()})]


def unified_arch() -> list[Part]:
    """Arch Linux with a unified kernel, which firmware starts by itself."""
    esp_, root = arch()
    program = unified(f'root=PARTUUID={PARTUUID.format(2)} rw',
                      '6.7.4-arch1-1', initramfs=boot_files.initramfs())
    return [dataclasses.replace(esp_, tree={
        'EFI/BOOT/BOOTX64.EFI': program, 'EFI/Linux/arch-linux.efi': program,
    }), dataclasses.replace(root, tree={
        **root.tree, 'etc/fstab': text(
            f'UUID={ROOT_UUID} / ext4 rw,relatime 0 1\n'
            f'UUID={ESP_SERIAL} /efi vfat rw 0 2\n')})]


def coreos() -> list[Part]:
    """Fedora CoreOS: OSTree, Ignition, partitions found by their labels."""
    version = '6.5.11-300.fc39.x86_64'
    top = 'ostree/deploy/fedora-coreos/deploy/0123.0'
    return [BIOS_PART, esp('fedora'), Part(
        kind='ext4', uuid=BOOT_UUID, label='boot', tree={
            'grub2/grub.cfg': b'blscfg\n', 'grub2/i386-pc/normal.mod': b'x',
            'loader/entries/ostree-1.conf': entry(
                'mitigations=auto,nosmt ignition.platform.id=metal '
                '$ignition_firstboot ostree=/ostree/boot.1/x'),
            f'ostree/x/vmlinuz-{version}': b''}), Part(
        kind='xfs', type=ROOT, uuid=ROOT_UUID, label='root', tree={
            f'{top}/usr/lib/os-release': os_release(
                'Fedora', '39', 'Fedora CoreOS 39'),
            f'{top}/etc/os-release': '../usr/lib/os-release',
            f'{top}/usr/lib/modules/{version}/vmlinuz':
                boot_files.bzimage(version=version),
            **modules(f'{top}/usr/lib/modules/{version}', METAL),
            f'{top}/usr/lib/dracut/modules.d/30ignition/x': b'',
            f'{top}/usr/libexec/coreos-growpart': b'',
            f'{top}/etc/shadow': _LOCKED})]


def flatcar() -> list[Part]:
    """Flatcar: the root is empty, all comes from a partition for /usr."""
    version = '6.6.30-flatcar'
    return [esp('flatcar'), BIOS_PART, Part(
        kind='ext4', type='5dfbf5f4-2848-4bac-aa5e-0d9a20b745a6',
        uuid=BOOT_UUID, tree={
            'lib/os-release': os_release('Flatcar', '3815.2.2',
                                         'Flatcar Container Linux'),
            **modules(f'lib/modules/{version}', METAL),
            'bin/ignition': b'x', 'lib/systemd/system/'
            'extend-filesystems.service': b''}), Part(
        kind='ext4', type='3884dd41-8582-4404-b9a8-e9b84f2df50e',
        uuid=ROOT_UUID, label='ROOT', tree={})]


def logical() -> list[Part]:
    """CentOS as its installer lays it out: the root is in a group of LVM."""
    *others, boot, root = centos()
    name = '/dev/mapper/rhel--x-root--1'
    tree = dict(boot.tree)
    tree['loader/entries/ffff-5.14.0-391.el9.x86_64.conf'] = entry(
        f'root={name} ro rd.lvm.lv=rhel-x/root-1 console=tty0')
    boot = dataclasses.replace(boot, kind='ext4', tree=tree)
    fstab = (f'{name} / ext4 defaults 0 0\n/dev/mapper/rhel--x-swap none swap '
             f'defaults 0 0\nUUID={BOOT_UUID} /boot ext4 defaults 0 0\n')
    return [*others, boot, dataclasses.replace(root, kind='lvm', tree={
        **root.tree, 'etc/fstab': text(fstab)})]


def changed(parts: Sequence[Part], tree: Mapping[str, bytes | str | None],
            number: int = -1) -> list[Part]:
    """The same partitions, of which one has other files.

    :param tree: files by path; of those that are None there is none.
    """
    found = list(parts)
    kept = {name: content for name, content in {
        **found[number].tree, **tree}.items()
        if content is not None or name not in tree}
    found[number] = dataclasses.replace(found[number], tree=kept)
    return found
