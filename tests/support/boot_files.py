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

"""Files with the headers of kernels and EFI programs, and initramfs."""

from collections.abc import Mapping
import gzip
import struct

KERNEL_VERSION = '6.1.0-13-amd64'


def bzimage(content: bytes = bytes(8192), version: str = KERNEL_VERSION
            ) -> bytes:
    """A kernel of x86, with a setup of two sectors."""
    content += bytes(-len(content) % 16)
    setup = bytearray(2 * 512)
    setup[0x1f1] = 1
    struct.pack_into('<I', setup, 0x1f4, len(content) // 16)
    setup[0x1fe:0x200] = b'\x55\xaa'
    setup[0x202:0x206] = b'HdrS'
    struct.pack_into('<H', setup, 0x206, 0x20f)
    struct.pack_into('<H', setup, 0x20e, 0x100)
    banner = f'{version} (builder@example.com) #1 SMP'.encode() + b'\0'
    setup[0x300:0x300 + len(banner)] = banner
    return bytes(setup) + content


def arm64() -> bytes:
    """A kernel of arm64, as it is in memory."""
    image = bytearray(8192)
    image[0x38:0x3c] = b'ARM\x64'
    return bytes(image)


def zboot(machine: int = 0xaa64) -> bytes:
    """A kernel that unpacks itself under EFI."""
    image = bytearray(8192)
    image[:2], image[4:8] = b'MZ', b'zimg'
    struct.pack_into('<I', image, 0x3c, 0x80)
    image[0x80:0x84] = b'PE\0\0'
    struct.pack_into('<H', image, 0x84, machine)
    return bytes(image)


def initramfs(files: Mapping[str, bytes] | None = None) -> bytes:
    """An archive, by default with nothing in it, compressed."""
    return gzip.compress(archive(files or {}), mtime=0)


def efi_program(text: str, machine: int = 0x8664) -> bytes:
    """Something that begins like a program for UEFI."""
    front = b'MZ' + bytes(58) + struct.pack('<I', 64) + b'PE\0\0'
    return front + struct.pack('<H', machine) + bytes(200) + text.encode()


def efi_sections(sections: Mapping[str, bytes], *, signed: bool = False
                 ) -> bytes:
    """A program for UEFI with these sections, as ukify puts them.

    :param signed: with a table of certificates after them, of zeroes.
    """
    header = b'MZ' + bytes(0x3a) + (0x80).to_bytes(4, 'little')
    header = header.ljust(0x80, b'\0') + b'PE\0\0' + struct.pack(
        '<HHIIIHH', 0x8664, len(sections), 0, 0, 0, 240, 0) + bytes(240)
    place, table, content = 0x400, b'', b''
    for name, part in sections.items():
        stored = part.ljust(-(-max(len(part), 1) // 512) * 512, b'\0')
        table += struct.pack('<8sIIII16x', name.encode(), len(part), 0x1000,
                             len(stored), place + len(content))
        content += stored
    made = bytearray((header + table).ljust(place, b'\0') + content)
    if signed:
        # The optional header of PE32+, with 16 directories, and in it where
        # the certificates are.
        struct.pack_into('<H', made, 0x98, 0x20b)
        struct.pack_into('<I', made, 0x98 + 108, 16)
        struct.pack_into('<II', made, 0x98 + 144, len(made), 512)
        made += bytes(512)
    return bytes(made)


def archive(files: Mapping[str, bytes], padding: int = 512) -> bytes:
    """A cpio archive, as initramfs-tools and dracut make it.

    :param padding: bytes whose multiple it is.
    """
    made = bytearray()
    for name, content in (*files.items(), ('TRAILER!!!', b'')):
        fields = [1, 0o100644, 0, 0, 1, 0, len(content), 0, 0, 0, 0,
                  len(name) + 1, 0]
        header = b'070701' + b''.join(b'%08X' % field for field in fields)
        for part in (header + name.encode() + b'\0', content):
            made += part + bytes(-len(part) % 4)
    return bytes(made) + bytes(-len(made) % padding)
