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


def alternating(_: pathlib.Path) -> bytearray:
    """Clusters that alternate between data and nothing."""
    table = words(40 * MIB, 0) * (65536 // 16)
    return padded(qcow2_tables(16, table, 512), 41 * MIB)


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
    return padded(vmdk(1, table, 25_000), 61 * MIB)


def compressed_grains(_: pathlib.Path) -> bytearray:
    """Compressed grains, all in one place."""
    table = struct.pack('<I', 60 * MIB // SECTOR) * 512
    return padded(vmdk(1 | 3 << 16, table, 25_000), 61 * MIB)


def links(folder: pathlib.Path) -> bytes:
    """Kernels by name that are links to ways through a thousand folders."""
    way = '../boot/' * 500
    tree = {f'boot/vmlinuz-{number}': f'{way}x{number}'
            for number in range(1200)}
    return volumes.ext4(folder / 'links', tree, '-N', '2000', '-b', '4096'
                        ).read_bytes()


def names(folder: pathlib.Path) -> bytes:
    """A directory with thousands of kernels."""
    tree = {f'boot/vmlinuz-{number}': b'' for number in range(4000)}
    return volumes.ext4(folder / 'names', tree, '-N', '5000').read_bytes()


def partitions(_: pathlib.Path) -> bytearray:
    """A GPT with as many system partitions as there is room for."""
    return disks.gpt(2 * MIB, [
        disks.Entry(600 + number, 600 + number, disks.ESP)
        for number in range(1000)], count=1024)


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
    'subclusters': subclusters, 'alternating': alternating,
    'scattered': scattered, 'compressed': compressed, 'directory': directory,
    'grains': grains, 'compressed grains': compressed_grains,
    'links': links, 'names': names, 'partitions': partitions,
    'gzip': bomb(gzip.compress), 'xz': bomb(lzma.compress),
    'bzip2': bomb(bz2.compress)}
