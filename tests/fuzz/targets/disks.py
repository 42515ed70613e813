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


"""Readers of images, of partition tables and of file systems."""

from collections.abc import Callable
import json
import typing

from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import budget
from ironic_imagedeploy.engine.contents import efi_programs
from ironic_imagedeploy.engine.contents import fat
from ironic_imagedeploy.engine.contents import fat_files
from ironic_imagedeploy.engine.contents import filesystems
from ironic_imagedeploy.engine.contents import gpt_repair
from ironic_imagedeploy.engine.contents import optical
from ironic_imagedeploy.engine.contents import partitions
from ironic_imagedeploy.engine.contents import signatures
from ironic_imagedeploy.engine.contents.system import contents
from ironic_imagedeploy.engine.contents.system import record
from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine import formats
from tests.fuzz import disk as _disk
from tests.fuzz import target

Disk = _disk.Disk
MIB = 1 << 20
#: Files and directories of the seeds, and paths that lead to them.
PATHS = ('', 'etc', 'etc/os-release', 'etc/large', 'boot', 'boot/vmlinuz-1',
         'many', 'link', 'loop', 'far', 'nothing')
Kind = engine.ExtentKind
_FRONT = 400_000
_FORMATS = ('raw', 'qcow2', 'vmdk', 'vdi')
_REFUSED = (exceptions.BadContent, exceptions.UnreadableContent,
            exceptions.TooComplex)


def told(call: Callable[[], object]) -> object:
    """What a look gives; its error when it cannot be told."""
    try:
        return call()
    except exceptions.UnreadableContent as reason:
        return str(reason)


def file_system(kind: str) -> Callable[[Disk], object]:
    """Look at all that is in a file system."""
    def read(disk: Disk) -> object:
        files = filesystems.open_file_system(kind, disk.read, disk.size,
                                             budget.Budget())
        return (files.unit, files.is_dirty, files.beyond_grub, told(
            lambda: (top := files.subvolume('/')) and top.list('etc')), [
            (told(lambda path=path: files.list(path)),
             told(lambda path=path: files.exists(path)),
             told(lambda path=path: files.front(path, _FRONT)))
            for path in PATHS])
    return read


def fat_volume(disk: Disk) -> object:
    """Look at all that is in a FAT volume."""
    files = fat_files.FatFiles(fat.FatVolume(disk.read, budget.Budget()))
    esp = partitions.Partition(number=1, start=0, length=disk.size,
                               type='0xef')
    return (efi_programs.find(disk.read, [esp], budget.Budget()), [
        (told(lambda path=path: files.list(path)),
         told(lambda path=path: files.front(path, _FRONT)))
        for path in ('', 'efi', 'efi/boot', 'efi/boot/bootx64.efi',
                     'EFI/DEBIAN/BOOTX64.CSV', 'efi/a rather long name.efi')])


def table(disk: Disk) -> object:
    """Read a partition table, and what is wrong with it."""
    found = partitions.read_table(disk.read, disk.size)
    if found is None:
        return None
    return found, list(partitions.flaws(disk.read, disk.size, found))


def repair(disk: Disk) -> object:
    """Repair a GPT; what comes out has nothing to be repaired."""
    writes = gpt_repair.writes(disk.read, disk.size)
    if not writes:
        return None
    content = bytearray(disk.read(0, disk.size))
    for write in writes:
        if not 0 <= write.start <= len(content) - len(write.content):
            raise AssertionError(f'a write of {len(write.content)} bytes at '
                                 f'{write.start}')
        content[write.start:write.start + len(write.content)] = write.content

    def read(offset: int, length: int) -> bytes:
        return bytes(content[offset:offset + length])

    if gpt_repair.writes(read, len(content)):
        raise AssertionError('a repair that is not complete')
    found = partitions.read_table(read, len(content))
    return found, list(partitions.flaws(read, len(content), found)
                       if found else ())


def image(name: str) -> Callable[[Disk], object]:
    """Read the map of an image, and the front of the disk in it."""
    def read(disk: Disk) -> object:
        reader = formats.find(name)
        assert reader is not None
        opened = reader(target.DiskSource(disk), budget.Budget())
        opened.read_map()
        check_map(opened, disk.size)
        return (opened.virtual_size, [str(each) for each in opened.findings],
                list(opened.extents())[:1000], opened.read(0, 65536))
    return read


def check_map(opened: formats.AnyImage, size: int) -> None:
    """The map names each byte of the disk once, and bytes of the file."""
    end = 0
    for extent in opened.extents():
        if extent.start != end or extent.length <= 0:
            raise AssertionError(f'{extent} after byte {end}')
        end = extent.end
        if extent.kind is not Kind.ZERO and extent.source_end > size:
            raise AssertionError(f'{extent} in a file of {size} bytes')
    if end != opened.virtual_size:
        raise AssertionError(f'{end} of {opened.virtual_size} bytes')


def inspect(disk: Disk) -> object:
    """Judge an image, with all that is in it."""
    inspection = engine.inspect(target.DiskSource(disk), engine.Expectation(
        contents=True, permitted=_FORMATS, boot_mode='uefi', arch='x86_64'))
    return json.dumps(inspection.to_dict(), sort_keys=True)


def whole(disk: Disk) -> object:
    """The system on a disk."""
    found = partitions.read_table(disk.read, disk.size)
    return json.dumps(record.to_dict(contents.read(
        disk.read, disk.size, found, budget.Budget())))


def front(disk: Disk) -> object:
    """Which kind of file it is, by its first and its last bytes."""
    head = disk.read(0, signatures.HEAD)
    tail = disk.read(max(disk.size - signatures.TAIL, 0), signatures.TAIL)
    return (signatures.images(head, tail), signatures.compressed(head),
            signatures.other(head), signatures.described(head),
            signatures.file_system(head), optical.is_volume(disk.read))


def _targets() -> list[target.Target]:
    made: dict[str, typing.Any] = {
        'ext4': ('ext4', 'ext4-inline', 'ext4-checksums', 'ext2'),
        'xfs': ('xfs', 'xfs-4', 'xfs-blocks'),
        'btrfs': ('btrfs', 'btrfs-sha256')}
    found: list[target.Target] = [
        target.DiskTarget(kind, names, file_system(kind), errors=_REFUSED)
        for kind, names in made.items()]
    images = {'qcow2': ('qcow2', 'qcow2-2', 'qcow2-subclusters',
                        'qcow2-zstd', 'qcow2-snapshot'),
              'vmdk': ('vmdk', 'vmdk-stream'), 'vdi': ('vdi',)}
    found += [target.DiskTarget(
        name, names, image(name),
        errors=(exceptions.ImageRefused, exceptions.TooComplex))
        for name, names in images.items()]
    everything = [name for names in images.values() for name in names]
    return [
        *found,
        target.DiskTarget('fat', ('fat12', 'fat16', 'fat32'), fat_volume,
                          errors=_REFUSED),
        target.DiskTarget('table', ('gpt', 'mbr'), table, errors=_REFUSED,
                          examples=150),
        target.DiskTarget('gpt-repair', ('gpt',), repair, errors=_REFUSED,
                          examples=100),
        target.DiskTarget(
            'inspect', ('system', 'gpt', 'mbr', 'ext4', *everything),
            inspect, errors=(exceptions.SourceError,), examples=40),
        target.DiskTarget('contents', ('system', 'ext4', 'btrfs'), whole,
                          errors=(exceptions.BadContent,), examples=40),
        target.DiskTarget('signatures', ('gpt', 'ext4', 'fat12', 'vdi'),
                          front, errors=()),
    ]


TARGETS = _targets()
