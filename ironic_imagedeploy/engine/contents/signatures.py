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

"""Kinds of files, by the bytes that say so.

A name never decides, and neither does "nothing else matched".
"""

import codecs
from collections.abc import Iterator
import typing

from ironic_imagedeploy.engine.codecs import magic
from ironic_imagedeploy.engine.contents import mbr

#: Bytes of the front that all signatures lie in.
HEAD = 128 << 10
#: Bytes of the end that the signatures of footers lie in.
TAIL = 512


class Signature(typing.NamedTuple):
    """Bytes at an offset; a negative one counts from the end."""

    name: str
    offset: int
    magic: bytes

    def found_in(self, head: bytes, tail: bytes) -> bool:
        """Whether the file has it."""
        part, offset = ((tail, len(tail) + self.offset) if self.offset < 0
                        else (head, self.offset))
        return offset >= 0 and part.startswith(self.magic, offset)


#: Containers of a disk, by the name that Glance's disk_format uses.
IMAGES = (
    Signature('qcow2', 0, b'QFI\xfb'),
    Signature('vmdk', 0, b'KDMV'),
    Signature('vmdk', 0, b'# Disk DescriptorFile'),
    Signature('vdi', 0x40, b'\x7f\x10\xda\xbe'),
    Signature('vhd', 0, b'conectix'),
    Signature('vhd', -512, b'conectix'),
    # Old versions of Virtual PC lost a byte of the footer.
    Signature('vhd', -511, b'conectix'),
    Signature('vhdx', 0, b'vhdxfile'),
    Signature('qed', 0, b'QED\0'),
    Signature('luks', 0, b'LUKS\xba\xbe'),
    Signature('dmg', 0, b'koly\0\0\0\x04'),
    Signature('dmg', -512, b'koly'),
    Signature('parallels', 0, b'WithoutFreeSpace'),
    Signature('parallels', 0, b'WithouFreSpacExt'),
    Signature('iso', 0x8001, b'CD001'),
    Signature('iso', 0x8801, b'CD001'),
    Signature('udf', 0x8001, b'BEA01'),
    Signature('cowd', 0, b'COWD'),
    Signature('bochs', 0, b'Bochs Virtual HD Image'),
    Signature('cloop', 0, b'#!/bin/sh\n#V2.0 Format\n'),
    Signature('sesparse', 0, b'\xbe\xba\xfe\xca\0\0\0\0'),
    Signature('encrypted dmg', 0, b'encrcdsa'),
    Signature('wim', 0, b'MSWIM\0\0\0'),
    Signature('ewf', 0, b'EVF\t\r\n\xff\0'),
    Signature('partclone', 0, b'partclone-image'),
    Signature('android-sparse', 0, b'\x3a\xff\x26\xed'),
)

#: First bytes of compressed files, by the compression's name.
COMPRESSIONS = {
    'gz': magic.GZIP_DEFLATE, 'xz': magic.XZ, 'bz2': magic.BZIP2,
    'zstd': magic.ZSTD, 'lzip': magic.LZIP, 'lz4': magic.LZ4,
    'lzop': magic.LZOP}
#: Sizes of the dictionary of a file of lzma, which has no magic number: powers
#: of 2, and these and a half.
_LZMA_DICTIONARIES = frozenset(
    size << bits for bits in range(12, 31) for size in (2, 3))

#: Files that lie where images lie: other results of a build, packages,
#: firmware, and what a browser saves. Declared raw, they would be written.
OTHERS = (
    Signature('zip archive', 0, b'PK\x03\x04'),
    Signature('zip archive', 0, b'PK\x05\x06'),
    Signature('zip archive', 0, b'PK\x07\x08'),
    Signature('7z archive', 0, b"7z\xbc\xaf'\x1c"),
    Signature('rar archive', 0, b'Rar!\x1a\x07'),
    Signature('tar archive', 257, b'ustar'),
    Signature('cpio archive', 0, b'070701'),
    Signature('cpio archive', 0, b'070702'),
    Signature('cpio archive', 0, b'070707'),
    Signature('ar archive', 0, b'!<arch>\n'),
    Signature('RPM package', 0, b'\xed\xab\xee\xdb'),
    Signature('ELF program', 0, b'\x7fELF'),
    Signature('Linux kernel', 0x202, b'HdrS'),
    Signature('Linux kernel', 0x38, b'ARM\x64'),
    Signature('Linux kernel', 0x38, b'RSC\x05'),
    Signature('Linux kernel', 0x24, b'\x18\x28\x6f\x01'),
    Signature('firmware volume', 0x28, b'_FVH'),
    Signature('UBI volume', 0, b'UBI#'),
    Signature('U-Boot image', 0, b'\x27\x05\x19\x56'),
    Signature('device tree', 0, b'\xd0\x0d\xfe\xed'),
    Signature('PDF document', 0, b'%PDF-'),
    Signature('picture', 0, b'\x89PNG\r\n\x1a\n'),
    Signature('picture', 0, b'\xff\xd8\xff\xe0'),
    Signature('video', 4, b'ftyp'),
    Signature('script', 0, b'#!'),
)

_EFI = 'EFI program'
_CONTROLS = frozenset(range(32)) - set(b'\t\n\f\r\x1b')
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_SPACES = str.maketrans('', '', '\ufeff\t\n\f\r')
_MOST_TEXT = 4096
_TEXT_STARTS = (b'<!doctype', b'<html', b'<?xml', b'<head', b'{', b'[')

#: File systems of a root partition.
FILE_SYSTEMS = (
    Signature('ext4', 0x438, b'\x53\xef'),
    Signature('xfs', 0, b'XFSB'),
    Signature('btrfs', 0x10040, b'_BHRfS_M'),
    Signature('f2fs', 0x400, b'\x10\x20\xf5\xf2'),
    Signature('squashfs', 0, b'hsqs'),
    Signature('cramfs', 0, b'\x45\x3d\xcd\x28'),
    Signature('romfs', 0, b'-rom1fs-'),
    Signature('erofs', 0x400, b'\xe2\xe1\xf5\xe0'),
    Signature('reiserfs', 0x10034, b'ReIsEr'),
    Signature('jfs', 0x8000, b'JFS1'),
    Signature('bcachefs', 0x1018, b'\xc6\x85\x73\xf6\x4e\x1a\x45\xca'),
    Signature('ntfs', 3, b'NTFS    '),
    Signature('exfat', 3, b'EXFAT   '),
    Signature('vfat', 54, b'FAT12   '),
    Signature('vfat', 54, b'FAT16   '),
    Signature('vfat', 82, b'FAT32   '),
    Signature('lvm', 0x218, b'LVM2 001'),
    Signature('md', 0x1000, b'\xfc\x4e\x2b\xa9'),
    Signature('swap', 0xff6, b'SWAPSPACE2'),
)

#: File systems that nothing can be installed in, archives rather.
READ_ONLY = frozenset({'squashfs', 'cramfs', 'romfs', 'erofs'})
#: File systems whose first sector could be taken for a partition table.
LIKE_MBR = frozenset({'ntfs', 'exfat', 'vfat'})


def images(head: bytes, tail: bytes) -> list[Signature]:
    """Signatures of the containers of a disk that the file could be."""
    return [signature for signature in IMAGES
            if signature.found_in(head, tail)]


def compressed(head: bytes) -> str | None:
    """Name of the compression of the whole file."""
    while int.from_bytes(head[:4], 'little') & ~0xf == magic.SKIPPABLE:
        head = head[8 + int.from_bytes(head[4:8], 'little'):]
        if not head:
            # What follows is out of sight; the decoder of zstd will see.
            return 'zstd'
    return next((name for name, magic in COMPRESSIONS.items()
                 if head.startswith(magic)),
                'lzma' if _is_lzma(head) else None)


def _is_lzma(head: bytes) -> bool:
    """Whether a file of lzma starts there, by what nearly all of them have.

    Source: the comments of XZ Utils, src/liblzma/common/alone_decoder.c.
    """
    size = int.from_bytes(head[5:13], 'little')
    return (head.startswith(b'\x5d') and head[13:14] == b'\0'
            and int.from_bytes(head[1:5], 'little') in _LZMA_DICTIONARIES
            and (size == (1 << 64) - 1 or 0 < size < 1 << 38))


def other(head: bytes) -> str | None:
    """Name of what is certainly no disk."""
    if found := _names(OTHERS, head, b''):
        return found[0]
    if head.startswith(b'MZ'):
        start = int.from_bytes(head[0x3c:0x40], 'little')
        if head.startswith(b'PE\0\0', start):
            return _EFI
    if _is_old_tar(head):
        return 'tar archive'
    text = head[:TAIL].lstrip(b'\xef\xbb\xbf \t\r\n').lower()
    if text.startswith(_TEXT_STARTS) and not _CONTROLS & set(text) or (
            len(head) >= TAIL and _is_text(head[:_MOST_TEXT])):
        return 'text document'
    return None


def described(head: bytes) -> str:
    """The kind of a file, or of a disk without a partition table, in words.

    None of its bytes is shown: they may be a secret.
    """
    if not head:
        return 'an empty file'
    if not any(head):
        return 'zeroes'
    names = [signature.name for signature in images(head, b'')]
    name = (names[0] if names else other(head) or file_system(head)
            or compressed(head))
    if name:
        return f'{"an" if name[0] in "aeiouAEIOU" else "a"} {name}'
    if mbr.is_boot_sector(head):
        return 'a boot sector without partitions'
    return 'data of no known kind'


def _is_text(head: bytes) -> bool:
    """Whether all of it can be printed; a disk has other bytes soon."""
    encoding = 'utf-16' if head.startswith(_UTF_16) else 'utf-8'
    try:
        # The last character may be cut.
        text = codecs.getincrementaldecoder(encoding)().decode(head)
    except UnicodeDecodeError:
        return False
    return text.translate(_SPACES).isprintable()


def _is_old_tar(head: bytes) -> bool:
    """Whether a member of tar starts there, from before POSIX."""
    stated = head[148:156].strip(b' \0')
    if len(head) < TAIL or not stated.isdigit() or not head[0]:
        return False
    found = sum(head[:148]) + sum(b' ' * 8) + sum(head[156:TAIL])
    return stated.lstrip(b'0') == b'%o' % found


def file_system(head: bytes) -> str | None:
    """Name of the file system that starts with the disk."""
    for name in _names(FILE_SYSTEMS, head, b''):
        if name != 'ext4' or _is_ext(head):
            return name
    return None


def _is_ext(head: bytes) -> bool:
    """Whether an ext superblock is plausible: its magic is only two bytes."""
    log_block_size = int.from_bytes(head[0x418:0x41c], 'little')
    state = int.from_bytes(head[0x43a:0x43c], 'little')
    revision = int.from_bytes(head[0x44c:0x450], 'little')
    return log_block_size <= 6 and state <= 7 and revision <= 1


def _names(signatures: tuple[Signature, ...], head: bytes, tail: bytes
           ) -> list[str]:
    def matching() -> Iterator[str]:
        for signature in signatures:
            if signature.found_in(head, tail):
                yield signature.name
    return list(dict.fromkeys(matching()))
