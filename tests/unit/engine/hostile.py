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

"""Files that would keep a reader busy, of up to 64 MiB.

Each is honest as far as its format goes, and as dear as that allows.
"""

import bz2
from collections.abc import Callable
import gzip
import lzma
import pathlib
import struct

from tests.support import lvm
from tests.unit.engine import base
from tests.unit.engine import disks
from tests.unit.engine import qcow2_builder as qcow2
from tests.unit.engine import volumes

MIB = 1 << 20
SECTOR = 512
#: Makes a file; the folder is for what it is made of.
Maker = Callable[[pathlib.Path], bytes | bytearray]


def words(*values: int) -> bytes:
    """Entries of a table of qcow2."""
    return struct.pack(f'>{len(values)}Q', *values)


def qcow2_tables(bits: int, table: bytes, count: int, *,
                 extended_l2: bool = False) -> bytearray:
    """A qcow2 file with so many level 2 tables, all alike.

    They follow the header and the level 1 table.
    """
    cluster = 1 << bits
    per_table = cluster // (16 if extended_l2 else 8)
    first = cluster + -(-count * 8 // cluster) * cluster
    file = bytearray(first)
    file[:] = qcow2.patched(
        file, magic=0x514649fb, version=3, cluster_bits=bits,
        size=count * per_table * cluster, l1_size=count,
        l1_table_offset=cluster, refcount_order=4, header_length=104,
        incompatible_features=extended_l2 << 4)
    file[cluster:cluster + count * 8] = words(
        *range(first, first + count * cluster, cluster))
    return file + table * count


def subclusters(_: pathlib.Path) -> bytearray:
    """Subclusters that alternate: 10 MiB of tables, 20 million pieces."""
    table = words(12 * MIB, 0x55555555) * (65536 // 16)
    return padded(qcow2_tables(16, table, 160, extended_l2=True), 13 * MIB)


def half_clusters(_: pathlib.Path) -> bytearray:
    """Clusters of which half is there: few pieces, and none is plain."""
    table = words(60 * MIB, 0xffff) * (65536 // 16)
    return padded(qcow2_tables(16, table, 900, extended_l2=True), 61 * MIB)


def alternating(_: pathlib.Path) -> bytearray:
    """Clusters that alternate between data and nothing."""
    table = words(60 * MIB, 0) * (65536 // 16)
    return padded(qcow2_tables(16, table, 900), 61 * MIB)


def scattered(_: pathlib.Path) -> bytearray:
    """Small clusters of data that never follow each other."""
    table = words(63 * MIB, 62 * MIB) * 32
    return padded(qcow2_tables(9, table, 100_000), 64 * MIB)


def compressed(_: pathlib.Path) -> bytearray:
    """Compressed clusters, all in one place."""
    table = words(*[1 << 62 | 50 * MIB] * (65536 // 8))
    return padded(qcow2_tables(16, table, 700), 51 * MIB)


def directory(_: pathlib.Path) -> bytearray:
    """A level 1 table of 32 MiB for a disk of 2 EiB."""
    count = 4 << 20
    file = qcow2_tables(16, b'', 1)[:65536]
    file = qcow2.patched(file, size=count << 29, l1_size=count)
    return padded(file + words(1 << 40) * 2, 33 * MIB)


def vmdk(flags: int, entries: bytes, count: int) -> bytearray:
    """A VMDK file with so many grain tables, all alike."""
    kind = 'streamOptimized' if flags >> 16 else 'monolithicSparse'
    tables = 64 + -(-count * 4 // SECTOR)
    capacity = count * 512 * 128
    text = (f'# Disk DescriptorFile\nversion=1\nCID=12345678\n'
            f'parentCID=ffffffff\ncreateType="{kind}"\n'
            f'RW {capacity} SPARSE "x.vmdk"\n').encode()
    file = bytearray(struct.pack(
        '<4sIIQQQQIQQQB4sH', b'KDMV', 1, flags, capacity, 128, 1, 20, 512, 0,
        64, 128, 0, b'\n \r\n', flags >> 16 & 1)).ljust(SECTOR, b'\0')
    file += text.ljust(63 * SECTOR, b'\0')
    file += struct.pack(f'<{count}I', *range(
        tables, tables + count * 4, 4)).ljust((tables - 64) * SECTOR, b'\0')
    return file + entries * count


def grains(_: pathlib.Path) -> bytearray:
    """Grains that alternate between data and nothing."""
    table = struct.pack('<2I', 60 * MIB // SECTOR, 0) * 256
    return padded(vmdk(1, table, 28_000), 61 * MIB)


def compressed_grains(_: pathlib.Path) -> bytearray:
    """Compressed grains, all in one place."""
    table = struct.pack('<I', 60 * MIB // SECTOR) * 512
    return padded(vmdk(1 | 3 << 16, table, 25_000), 61 * MIB)


def links(folder: pathlib.Path) -> bytes:
    """Kernels by name that are links to ways through a thousand folders."""
    return volumes.ext4(folder / 'links', tree_of_links(), '-N', '2000', '-b',
                        '4096').read_bytes()


def tree_of_links(folders: int = 500) -> dict[str, str]:
    """Kernels that are links through so many folders each, there and back."""
    way = '../boot/' * folders
    return {f'boot/vmlinuz-{number}': f'{way}x{number}'
            for number in range(1200)}


def names(folder: pathlib.Path) -> bytes:
    """A directory with thousands of kernels."""
    tree = {f'boot/vmlinuz-{number}': b'' for number in range(4000)}
    return volumes.ext4(folder / 'names', tree, '-N', '5000').read_bytes()


def partitions(_: pathlib.Path) -> bytearray:
    """A GPT with as many system partitions as there is room for."""
    return disks.gpt(2 * MIB, [
        disks.Entry(600 + number, 600 + number, disks.ESP)
        for number in range(1000)], count=1024)


def system_partition(_: pathlib.Path) -> bytearray:
    """ESPs whose directories share a long chain of clusters."""
    start, length = 2048, 17 * 2048
    disk = disks.gpt(55 * MIB, [
        disks.Entry(start + number * length, start + number * length + length
                    - 1, disks.ESP) for number in range(3)])
    volume = shared_directories(length * SECTOR)
    for number in range(3):
        place = (start + number * length) * SECTOR
        disk[place:place + len(volume)] = volume
    return disk


def shared_directories(size: int) -> bytearray:
    """A FAT16 volume with 32 folders of many programs and lists of them."""
    cluster, shared, text = 4096, range(40, 40 + 255), 300
    reach = -(-(size // cluster + 2) * 2 // SECTOR)
    volume = bytearray(struct.pack(
        '<3s8sHBHBHHBHHHII', b'\xeb\x3c\x90', b'mkfs.fat', SECTOR,
        cluster // SECTOR, 1, 1, 512, 0, 0xf8, reach, 32, 2, 0,
        size // SECTOR))
    volume = padded(volume, 510) + b'\x55\xaa'
    fat = [0xfff8, 0xffff, 0xffff] + [shared[0]] * 32
    fat += [0] * (shared[0] - len(fat))
    fat += [*shared[1:], 0xffff] + [0xffff] * 20
    volume += padded(struct.pack(f'<{len(fat)}H', *fat), reach * SECTOR)
    volume += padded(entry('EFI', 2), 512 * 32)
    clusters = {2: b''.join(entry('BOOT' if not number else f'V{number}',
                                  3 + number) for number in range(32)),
                text: (','.join('NOBODY') + '\n' * 2000).encode('utf-16')}
    lists = b''.join(entry(f'BOOT{number}', text, 'CSV', 4096)
                     for number in range(32))
    for number in range(32):
        clusters[3 + number] = lists + entry('X', text, 'EFI', 4096) * 96
    for number in shared:
        clusters[number] = entry('X', text, 'EFI', 4096) * 128
    front = len(volume) - 2 * cluster
    for number, content in sorted(clusters.items()):
        volume = padded(volume, front + number * cluster) + content
    return volume


def entry(name: str, cluster: int, suffix: str = '', size: int = 0) -> bytes:
    """Entry of a directory of a FAT; without a suffix of a directory."""
    return struct.pack('<8s3sB14xHI', name.encode().ljust(8),
                       suffix.encode().ljust(3), 0 if suffix else 0x10,
                       cluster, size)


def blocks(_: pathlib.Path) -> bytearray:
    """A VDI of 8 TiB, whose blocks of data are far from each other."""
    count = 8 << 20
    entries = bytearray(b'\xff\xff\xff\xff\xfe\xff\xff\xff') * (count // 2)
    for number in range(28):
        struct.pack_into('<I', entries, number * (count // 28) * 4, number)
    header = padded(struct.pack(
        '<64sIIIII256sIIIIIIIQIIII64s', b'', 0xbeda107f, 0x10001, 400, 1, 0,
        b'', 512, 512 + len(entries), 0, 0, 0, SECTOR, 0, count * MIB, MIB, 0,
        count, 28, bytes(64)), SECTOR)
    return padded(header + entries, 62 * MIB)


def xfs(folder: pathlib.Path) -> bytes:
    """As :func:`links`, in an XFS."""
    # Links have 1024 bytes there at most.
    return as_qcow2(volumes.xfs(folder / 'xfs', tree_of_links(120)))


def btrfs(folder: pathlib.Path) -> bytes:
    """As :func:`links`, in a btrfs."""
    return as_qcow2(volumes.btrfs(folder / 'btrfs', tree_of_links()))


def as_qcow2(volume: pathlib.Path) -> bytes:
    """The file as qcow2, in which nothing takes no room."""
    path = volume.with_suffix('.qcow2')
    base.run('qemu-img', 'convert', '-O', 'qcow2', volume, path)
    return path.read_bytes()


def kernel(_: pathlib.Path) -> bytes:
    """A kernel that unpacks to a thousand times its size."""
    return gzip.compress(bytes(1 << 30), 1)


def texts(folder: pathlib.Path) -> bytes:
    """Menus, lists and tables that go on and on."""
    entry = (b'options $a' + b'$a "' * 400 + b'\n') * 50
    tree: dict[str, bytes | str | None] = {
        'etc/os-release': b'A="' * 80_000, 'etc/fstab': b'a / b c\n' * 9000,
        'boot/grub/grub.cfg': (b'set a=' + b'x' * 2000 + b'\nlinux /x '
                               + b'$a ' * 1000 + b'\n') * 60,
        'boot/grub/grubenv': b'a=$a' + b'$a' * 500,
        'usr/bin/cloud-init': b'', 'etc/cloud/cloud.cfg': b'-' * 200_000,
        'etc/shadow': b'a:*:\n' * 10_000}
    for number in range(60):
        tree |= {f'boot/loader/entries/{number}.conf': entry,
                 f'etc/cloud/cloud.cfg.d/{number}.cfg':
                     b'datasource_list: [\n' * 10_000,
                 f'etc/netplan/{number}.yaml': b'match: {' * 20_000}
    for number in range(4):
        tree |= {f'boot/vmlinuz-{number}': b'x',
                 f'lib/modules/{number}/modules.dep':
                     b'a.ko:\n' * 500_000,
                 f'lib/modules/{number}/modules.builtin':
                     b'/' * 3_000_000}
    return volumes.ext4(folder / 'texts', tree, size=60 * MIB).read_bytes()


def paths(folder: pathlib.Path) -> bytes:
    """A system in which each name is a link through hundreds of folders."""
    way = '../etc/' * 500
    names = ('os-release', 'fstab', 'shadow', 'machine-id', 'ssh', 'netplan',
             'cloud', 'kernel', 'default', 'network', 'sysconfig')
    tree = {f'etc/{name}': f'{way}{other}' for name, other in zip(
        names, names[1:] + names[:1], strict=True)}
    tree |= {name: 'etc/' + way for name in (
        'boot', 'usr', 'lib', 'opt', 'var', 'root', 'efi', 'sbin')}
    return volumes.ext4(folder / 'paths', tree, '-b', '4096').read_bytes()


def compressed_files(folder: pathlib.Path) -> bytearray:
    """A btrfs whose files are said to be compressed by LZO."""
    noise = b'\x04\0' * 60_000
    content = bytearray(volumes.btrfs(folder / 'volume', {
        'etc/os-release': b'ID=x\n', 'etc/fstab': noise,
        'boot/vmlinuz-1': noise, 'boot/grub/grub.cfg': noise,
        'lib/modules/1/modules.dep': noise * 20,
        'lib/modules/1/modules.builtin': noise * 20},
        '--mixed', size=60 * MIB).read_bytes())
    # The items of extents: how large they are, and not compressed.
    for size in (len(noise), 20 * len(noise), 128 << 10):
        rounded = -(-size // 4096) * 4096
        old = struct.pack('<QBBHB', rounded, 0, 0, 0, 1)
        content[MIB:] = content[MIB:].replace(
            old, struct.pack('<QBBHB', 128 << 10, 2, 0, 0, 1))
    return content


def groups(_: pathlib.Path) -> bytearray:
    """Groups of LVM with as many volumes as their text has room for."""
    disk = disks.gpt(62 * MIB, [
        disks.Entry(2048 * number, 2048 * number + 2047)
        for number in range(1, 61)], last_usable=62 * 2048 - 34)
    front = lvm.front(lvm.metadata({
        f'v{number}': [(1, 0)] for number in range(1100)}), MIB)
    for number in range(1, 61):
        disk[number * MIB:(number + 1) * MIB] = front
    return disk


def quotes(_: pathlib.Path) -> bytearray:
    """A group of LVM whose text has one quote after the other."""
    disk = disks.gpt(8 * MIB, [disks.Entry(2048, 8191)])
    disk[MIB:2 * MIB] = lvm.front('\\"' * 120_000, 3 * MIB)
    return disk


def blanks(folder: pathlib.Path) -> bytes:
    """Files that end where what is looked for would go on."""
    text = b'match:' + b' ' * 260_000
    return volumes.ext4(folder / 'blanks', {
        'etc/os-release': b'ID=x\n', 'boot/vmlinuz-1': b'x', **{
            f'etc/netplan/{number}.yaml': text + b'x'
            for number in range(30)}}, size=16 * MIB).read_bytes()


def systems(folder: pathlib.Path) -> bytearray:
    """As many systems as there is room for, none of which is whole."""
    volume = volumes.ext4(folder / 'system', {
        f'boot/{number}': b'' for number in range(3000)},
        '-N', '3500', size=MIB).read_bytes()
    disk = disks.gpt(62 * MIB, [
        disks.Entry(2048 * number, 2048 * number + 2047)
        for number in range(1, 61)], last_usable=62 * 2048 - 34)
    for number in range(1, 61):
        disk[number * MIB:(number + 1) * MIB] = volume
    return disk


def module_lists(folder: pathlib.Path) -> bytes:
    """Kernels with half a million modules each, by their lists."""
    listed = b''.join(b'%05x.ko:\n' % number for number in range(460_000))
    return volumes.ext4(folder / 'modules', {'etc/fstab': b''} | {
        path: content for number in range(3) for path, content in (
            (f'boot/vmlinuz-{number}', b'x'),
            (f'lib/modules/{number}/modules.dep', listed))},
        size=32 * MIB).read_bytes()


def padded(file: bytes | bytearray, size: int) -> bytearray:
    """The file with zeroes after it."""
    return bytearray(file) + bytes(size - len(file))


def bomb(pack: Callable[[bytes], bytes]) -> Maker:
    """A disk of zeroes whose partition is far away, in a small file."""
    def make(_: pathlib.Path) -> bytes:
        disk = disks.gpt(48 * MIB, [disks.Entry(2048, 90000, disks.ESP)])
        return pack(bytes(disk))
    return make


MAKERS: dict[str, Maker] = {
    'subclusters': subclusters, 'half clusters': half_clusters,
    'alternating': alternating,
    'scattered': scattered, 'compressed': compressed, 'directory': directory,
    'grains': grains, 'compressed grains': compressed_grains,
    'links': links, 'xfs': xfs, 'btrfs': btrfs, 'names': names,
    'partitions': partitions, 'system partition': system_partition,
    'blocks': blocks, 'kernel': kernel,
    'texts': texts, 'paths': paths, 'systems': systems,
    'module lists': module_lists,
    'groups': groups, 'quotes': quotes, 'blanks': blanks,
    'compressed files': compressed_files,
    'gzip': bomb(gzip.compress), 'xz': bomb(lzma.compress),
    'bzip2': bomb(bz2.compress)}
