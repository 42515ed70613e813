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


"""Make the disks that fuzzers begin with, by other people's tools.

::

    python -m tests.fuzz.make_seeds [NAME...]

They are in ``tests/fuzz/seeds``, a few KiB each; nothing but a new kind of
disk, or a new form of one, is a reason to make them again.
"""

from collections.abc import Callable
from collections.abc import Mapping
import pathlib
import struct
import sys
import tempfile

from tests.fuzz import disk
from tests.support import commands
from tests.support import images

KIB, MIB = images.KIB, images.MIB
SEEDS = pathlib.Path(__file__).parent / 'seeds'
#: Little of it is content: what is changed shall be metadata.
_LARGE = b''.join(b'%04d' % number + bytes(1020) for number in range(300))
_LINUX, _ESP = ('0fc63daf-8483-4772-8e79-3d69d8477de4',
                'c12a7328-f81f-11d2-ba4b-00a0c93ec93b')
Tree = Mapping[str, bytes | str]


def kernel() -> bytes:
    """The front of a kernel for x86-64, as far as anybody looks."""
    front = bytearray(2048)
    front[0x1fe:0x200] = b'\x55\xaa'
    front[0x202:0x208] = b'HdrS' + struct.pack('<H', 0x20f)
    struct.pack_into('<H', front, 0x20e, 0x400)
    front[0x211] = 1
    struct.pack_into('<H', front, 0x236, 1)
    front[0x600:0x610] = b'6.1.0-1-amd64 x\0'
    return bytes(front)


#: A system, as small as one can be that all readers find something in.
SYSTEM: Tree = {
    'etc/os-release': b'NAME="Debian"\nID=debian\nVERSION_ID="12"\n',
    'etc/fstab': b'UUID=11111111-2222-3333-4444-555555555555 / ext4 '
                 b'errors=remount-ro 0 1\nLABEL=ESP /boot/efi vfat '
                 b'umask=0077 0 1\n/dev/sda3 none swap sw 0 0\n',
    'etc/shadow': b'root:!:19000:0:99999:7:::\nuser:$6$x$y:1::::::\n',
    'etc/machine-id': b'0123456789abcdef0123456789abcdef\n',
    'etc/cloud/cloud.cfg': b'datasource_list: [ ConfigDrive, None ]\n'
                           b'ssh_deletekeys: true\n',
    'etc/netplan/50.yaml': b'network:\n ethernets:\n  a:\n   match:\n'
                           b'    macaddress: "52:54:00:12:34:56"\n',
    'etc/default/grub': b'GRUB_CMDLINE_LINUX="console=ttyS0 quiet"\n',
    'usr/bin/cloud-init': b'#!/bin/sh\n',
    'usr/sbin/grub-install': b'#!/bin/sh\n',
    'boot/vmlinuz-6.1.0-1-amd64': kernel(),
    'boot/initrd.img-6.1.0-1-amd64': b'070701' + bytes(200),
    'boot/grub/grub.cfg': b'set a=1\nmenuentry "x" {\n linux '
                          b'/boot/vmlinuz-6.1.0-1-amd64 root=UUID='
                          b'11111111-2222-3333-4444-555555555555 ro '
                          b'console=ttyS0 $a\n}\n',
    'boot/loader/entries/x.conf': b'title x\nlinux /vmlinuz\noptions '
                                  b'root=LABEL=x $kernelopts\n',
    'boot/grub/grubenv': b'# GRUB Environment Block\nkernelopts=root=x\n',
    'lib/modules/6.1.0-1-amd64/modules.dep':
        b'kernel/drivers/virtio_blk.ko: kernel/virtio.ko\n',
    'lib/modules/6.1.0-1-amd64/modules.alias':
        b'alias virtio:d00000002v* virtio_blk\n',
    'lib/modules/6.1.0-1-amd64/modules.builtin': b'kernel/fs/ext4.ko\n',
    'vmlinuz': 'boot/vmlinuz-6.1.0-1-amd64', 'sbin': 'usr/sbin',
    'long': 'boot/../' * 12 + 'etc/os-release',
}
#: What tells file systems apart: links, a large directory, a large file.
FILES: Tree = {
    **{f'many/{number:03}-{"x" * 12}': b'' for number in range(60)},
    'etc/os-release': b'ID=debian\n', 'etc/large': _LARGE,
    'boot/vmlinuz-1': kernel(), 'boot/tiny': b'tiny',
    'link': 'etc/large', 'loop': 'loop', 'far': '../' * 30 + 'etc/large'}


def plant(folder: pathlib.Path, tree: Tree) -> pathlib.Path:
    """The tree, in a fresh folder."""
    folder.mkdir()
    for name, content in tree.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            path.symlink_to(content)
        else:
            path.write_bytes(content)
    return folder


def sparse(path: pathlib.Path, size: int) -> pathlib.Path:
    """A file of zeroes."""
    with path.open('wb') as file:
        file.truncate(size)
    return path


def ext4(folder: pathlib.Path, *options: str, size: int = 2 * MIB,
         tree: Tree = FILES) -> pathlib.Path:
    """A file system by mke2fs."""
    path = sparse(folder / 'ext4', size)
    commands.run('mke2fs', '-q', '-F', '-U', '11111111-2222-3333-4444-'
                 '555555555555', '-E', 'hash_seed=11111111-2222-3333-4444-'
                 '555555555555,root_owner=0:0', '-d',
                 plant(folder / 'tree', tree), *options, path)
    return path


def xfs(folder: pathlib.Path, *options: str) -> pathlib.Path:
    """A file system by mkfs.xfs."""
    tree = plant(folder / 'tree', FILES)
    prototype = folder / 'proto'
    prototype.write_text('/\n0 0\nd--755 0 0\n' + _prototype(tree) + '$\n')
    path = sparse(folder / 'xfs', 64 * MIB)
    commands.run('mkfs.xfs', '--unsupported', '-q', '-f', '-l', 'size=8m',
                 '-d', 'agcount=2', '-m', 'uuid=11111111-2222-3333-4444-'
                 '555555555555', '-p', prototype, *options, path)
    return path


def _prototype(folder: pathlib.Path) -> str:
    lines = ''
    for path in sorted(folder.iterdir()):
        if path.is_symlink():
            lines += f'{path.name} l--777 0 0 {path.readlink()}\n'
        elif path.is_dir():
            lines += f'{path.name} d--755 0 0\n{_prototype(path)}$\n'
        else:
            lines += f'{path.name} ---644 0 0 {path}\n'
    return lines


def btrfs(folder: pathlib.Path, *options: str, size: int = 16 * MIB
          ) -> pathlib.Path:
    """A file system by mkfs.btrfs."""
    path = sparse(folder / 'btrfs', size)
    commands.run('mkfs.btrfs', '-q', '-f', '--mixed', '-n', '4096', '-U',
                 '11111111-2222-3333-4444-555555555555', '--rootdir',
                 plant(folder / 'tree', FILES), *options, path)
    return path


def fat(folder: pathlib.Path, size: int, *options: str) -> pathlib.Path:
    """A file system by mkfs.vfat, with programs for UEFI."""
    path = sparse(folder / 'fat', size)
    commands.run('mkfs.vfat', '-i', '11111111', '--invariant', *options, path)
    program = folder / 'program'
    program.write_bytes((b'MZ' + bytes(58) + b'\x40\0\0\0PE\0\0\x64\x86'
                         ).ljust(1500, b'\1'))
    listed = folder / 'list'
    listed.write_bytes('shimx64.efi,debian,,boots it\n'.encode('utf-16'))
    for name in ('EFI', 'EFI/BOOT', 'EFI/debian'):
        commands.run('mmd', '-i', path, f'::{name}')
    for file, name in ((program, 'EFI/BOOT/BOOTX64.EFI'),
                       (program, 'EFI/debian/shimx64.efi'),
                       (listed, 'EFI/debian/BOOTX64.CSV'),
                       (program, 'EFI/a rather long name.efi')):
        commands.run('mcopy', '-i', path, file, f'::{name}')
    return path


def gpt(folder: pathlib.Path, size: int = 1 * MIB) -> pathlib.Path:
    """A table by sfdisk, of three partitions."""
    path = sparse(folder / 'gpt', size)
    images.partition(path, 'gpt', f'size=64, type={_ESP}, name=ESP, uuid='
                     '11111111-2222-3333-4444-555555555555\n'
                     f'size=128, type={_LINUX}, attrs=LegacyBIOSBootable\n'
                     f'type={_LINUX}, name="its root"\n')
    return path


def mbr(folder: pathlib.Path) -> pathlib.Path:
    """A table by sfdisk, with logical partitions."""
    path = sparse(folder / 'mbr', 1 * MIB)
    images.partition(path, 'dos', 'start=64, size=64, type=ef\n'
                     'start=128, size=256, bootable\n'
                     'start=512, size=1024, type=5\n'
                     'start=600, size=100\nstart=800, size=100\n')
    with path.open('r+b') as file:
        file.write(images.BOOT_CODE)
    return path


def system(folder: pathlib.Path) -> pathlib.Path:
    """A whole disk: a table, a system partition and a root."""
    path = sparse(folder / 'system', 8 * MIB)
    images.partition(path, 'gpt', f'start=2048, size=4096, type={_ESP}\n'
                     f'start=6144, size=8192, type={_LINUX}\n')
    for start, content in (
            (1 * MIB, fat(folder, 2 * MIB)),
            (3 * MIB, ext4(folder, '-t', 'ext4', '-O', '^metadata_csum,'
                           '^has_journal', '-b', '1024', size=4 * MIB,
                           tree=SYSTEM))):
        with path.open('r+b') as file:
            file.seek(start)
            file.write(content.read_bytes())
    return path


def qcow2(folder: pathlib.Path, options: str, size: int = 256 * KIB
          ) -> pathlib.Path:
    """An image that lived."""
    return images.make_mixed(folder / 'image', size, options, seed=3)


def snapshot(folder: pathlib.Path) -> pathlib.Path:
    """An image with an internal snapshot, and a bitmap."""
    path = qcow2(folder, 'cluster_size=4096')
    commands.run('qemu-img', 'snapshot', '-c', 'one', path)
    images.qemu_io(path, 'write -P 7 64k 9k')
    commands.run('qemu-img', 'bitmap', '-f', 'qcow2', '--add', path, 'b')
    return path


def converted(folder: pathlib.Path, form: str, options: str = ''
              ) -> pathlib.Path:
    """An image of another format."""
    guest = images.make_guest(folder / 'guest', 512 * KIB, seed=9)
    with guest.open('r+b') as file:
        file.seek(64 * KIB)
        file.write(bytes(256 * KIB))
    return images.convert(guest, folder / 'image', options, form=form)


MAKERS: dict[str, Callable[[pathlib.Path], pathlib.Path]] = {
    'ext4': lambda at: ext4(at, '-t', 'ext4', '-b', '1024', '-O',
                            '^metadata_csum,^has_journal'),
    'ext4-inline': lambda at: ext4(
        at, '-t', 'ext4', '-b', '4096', '-I', '256', '-O', 'inline_data,'
        '64bit,^has_journal,^metadata_csum'),
    'ext4-checksums': lambda at: ext4(
        at, '-t', 'ext4', '-b', '2048', '-O', 'meta_bg,^resize_inode,'
        'metadata_csum,^has_journal'),
    'ext2': lambda at: ext4(at, '-t', 'ext2', '-b', '1024'),
    'xfs': xfs,
    'xfs-4': lambda at: xfs(at, '-m', 'crc=0'),
    'xfs-blocks': lambda at: xfs(at, '-b', 'size=1024', '-n', 'size=4096'),
    'btrfs': btrfs,
    'btrfs-sha256': lambda at: btrfs(at, '--csum', 'sha256'),
    'fat12': lambda at: fat(at, 160 * KIB),
    'fat16': lambda at: fat(at, 5 * MIB, '-F', '16', '-s', '1'),
    'fat32': lambda at: fat(at, 34 * MIB, '-F', '32', '-s', '1'),
    'gpt': gpt, 'mbr': mbr, 'system': system,
    'qcow2': lambda at: qcow2(at, 'cluster_size=4096'),
    'qcow2-2': lambda at: qcow2(at, 'compat=0.10,cluster_size=512'),
    'qcow2-subclusters': lambda at: qcow2(
        at, 'extended_l2=on,cluster_size=16384'),
    'qcow2-zstd': lambda at: qcow2(
        at, 'cluster_size=8192,compression_type=zstd'),
    'qcow2-snapshot': snapshot,
    'vmdk': lambda at: converted(at, 'vmdk', 'subformat=monolithicSparse'),
    'vmdk-stream': lambda at: converted(
        at, 'vmdk', 'subformat=streamOptimized'),
    'vdi': lambda at: converted(at, 'vdi'),
}


def main(names: list[str]) -> None:
    """Make those, or all of them."""
    SEEDS.mkdir(exist_ok=True)
    for name in names or MAKERS:
        with tempfile.TemporaryDirectory() as folder:
            made = MAKERS[name](pathlib.Path(folder))
            packed = disk.Disk.load(made).pack()
            (SEEDS / f'{name}.disk').write_bytes(packed)
            print(f'{name}: {made.stat().st_size} bytes in {len(packed)}')


if __name__ == '__main__':
    main(sys.argv[1:])
