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


"""Readers of the texts that an image has, and that come beside one."""

import dataclasses
import gzip
import hashlib

from ironic_imagedeploy.engine import bmap
from ironic_imagedeploy.engine import budget
from ironic_imagedeploy.engine import checksum
from ironic_imagedeploy.engine import checksum_list
from ironic_imagedeploy.engine.contents import fstab_repair
from ironic_imagedeploy.engine.contents import initramfs
from ironic_imagedeploy.engine.contents import kernel_options
from ironic_imagedeploy.engine.contents import kernels
from ironic_imagedeploy.engine.contents.system import default_entry
from ironic_imagedeploy.engine.contents.system import first_boot
from ironic_imagedeploy.engine.contents.system import fstab
from ironic_imagedeploy.engine.contents.system import growth
from ironic_imagedeploy.engine.contents.system import installed_kernels
from ironic_imagedeploy.engine.contents.system import leftovers
from ironic_imagedeploy.engine.contents.system import loaders
from ironic_imagedeploy.engine.contents.system import logical_volumes
from ironic_imagedeploy.engine.contents.system import menus
from ironic_imagedeploy.engine.contents.system import modules
from ironic_imagedeploy.engine.contents.system import network
from ironic_imagedeploy.engine.contents.system import os_release
from ironic_imagedeploy.engine.contents.system import root
from ironic_imagedeploy.engine.contents.system import volumes
from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine import manifest
from tests.fuzz import make_seeds
from tests.fuzz import target
from tests.support import lvm

MIB = 1 << 20
SHELL = (b'"', b"'", b'\\', b'$', b'${', b'}', b'=', b'#', b'\n', b'\r',
         b'\0', b' ', b'\t', b'export ', b'\xff', b'\xe2\x80\xa8', b'`')
_SYSTEM = make_seeds.SYSTEM
_PCI = 'pci:v00008086d00001533sv00008086sd00000001bc02sc00i00'


class OneText:
    """A system in which every file has the same text.

    :param text: of all files.
    :param names: in all directories.
    """

    is_dirty = False

    def __init__(self, text: bytes, *names: str) -> None:
        self._text = text
        self._names = sorted(names)

    def draw(self, steps: int) -> None:
        """There is no bound on it here."""

    def list(self, path: str) -> list[str]:
        return self._names

    def exists(self, path: str) -> bool:
        return not path.endswith(('store', 'disabled'))

    def front(self, path: str, length: int) -> bytes | None:
        return self._text[:length]


def of(path: str) -> bytes:
    """A text of the system in the seeds."""
    text = _SYSTEM[path]
    assert isinstance(text, bytes)
    return text


def read_release(text: bytes) -> object:
    return os_release.read(OneText(text))


def read_menus(text: bytes) -> object:
    return menus.read(OneText(text, 'x.conf'))


def read_default_entry(text: bytes) -> object:
    return default_entry.find(root.Root(
        volume=volumes.Volume(length=0), points={}, files=root.MountedFiles(
            OneText(text, 'x.conf'), '', {}, budget.Budget())))


def read_first_boot(text: bytes) -> object:
    files = OneText(text, 'x.cfg', '50-grow-root.sh')
    found = first_boot.read(files)
    return found, growth.read(files, found.agents)


def read_network(text: bytes) -> object:
    return network.read(OneText(text, 'ifcfg-eth0', 'x.yaml', 'x.link',
                                'x.nmconnection'))


def read_leftovers(text: bytes) -> object:
    files = OneText(text, 'ssh_host_rsa_key', 'x.lease', 'user')
    return leftovers.read(files), leftovers.can_log_in(files)


def read_kernels(text: bytes) -> object:
    files = OneText(text, 'vmlinuz-6.1.0', '6.1.0')
    return installed_kernels.read(files), loaders.read(files, ['boot/efi'])


def read_modules(text: bytes) -> object:
    return modules.find(OneText(text), 'lib/modules/6', [
        _PCI, 'virtio:d00000002v00001AF4'])


def read_initramfs(text: bytes) -> object:
    whole = initramfs.Initramfs(
        (text[at:at + 1000] for at in range(0, len(text), 1000)),
        budget.Budget())
    return list(whole.names()), whole.segments


def cpio(*names: str) -> bytes:
    """An archive, as the kernel's documentation describes it."""
    stored = b''
    for number, name in enumerate([*names, 'TRAILER!!!'], 1):
        content = b'' if name == 'TRAILER!!!' else b'x' * number
        fields = [number, 0o100644, 0, 0, 1, 0, len(content), 0, 0, 0, 0,
                  len(name) + 1, 0]
        head = b'070701' + b''.join(b'%08x' % field for field in fields)
        head += name.encode() + b'\0'
        stored += head + bytes(-len(head) % 4) + content + bytes(
            -len(content) % 4)
    return stored


def read_fstab(text: bytes) -> object:
    disk = fstab_repair.Disk(root_uuid='1-2', root_label='root',
                             esp_uuid='AAAA-BBBB', swap_uuid='3-4')
    mended = fstab_repair.adapted(text, disk)
    if fstab_repair.adapted(mended, disk) != mended:
        raise AssertionError('a table that is mended twice')
    return (list(fstab.parse(text)), list(fstab_repair.foreign(text, disk)),
            list(fstab_repair.esp_mounts(text)), mended)


def read_options(text: bytes) -> object:
    written = text.decode('utf-8', 'replace')
    unsafe = kernel_options.unsafe(written)
    words = list(kernel_options.words(written))
    if unsafe is None and not all(map(kernel_options.is_safe, words)):
        raise AssertionError('words that are not safe')
    return unsafe, words


def read_kernel(text: bytes) -> object:
    return kernels.kernel(text[:8192]), kernels.initramfs(text)


def read_checksums(text: bytes) -> object:
    written = text.decode('utf-8', 'replace')
    try:
        stated = checksum.Checksum.parse(written)
    except ValueError as error:
        stated = error
    return str(stated), checksum_list.find(written, 'disk.raw')


def read_bmap(text: bytes) -> object:
    found = bmap.Bmap.decode(text)
    again = bmap.Bmap.decode(found.encode()) if found.proven else found
    if dataclasses.astuple(again)[0] != dataclasses.astuple(found)[0]:
        raise AssertionError(f'{found} became {again}')
    return found


def read_manifest(text: bytes) -> object:
    found = manifest.Manifest.decode(text)
    if found.encode() != text:
        raise AssertionError('a manifest with two encodings')
    return found, list(found.data_ranges(0, min(found.size, 64 * MIB)))[:99]


def read_group(text: bytes) -> object:
    front = lvm.front(text.decode('latin-1'), 64 * MIB)
    return list(logical_volumes.find(
        target.Disk(64 * MIB, [(0, bytes(front))]).read, 0, 64 * MIB,
        budget.Budget()))


def read_volume(text: bytes) -> object:
    return list(logical_volumes.find(
        target.Disk(64 * MIB, [(0, text)]).read, 0, 64 * MIB,
        budget.Budget()))


def _manifest() -> bytes:
    size, chunk, block = 3 * MIB + 5, MIB, 16384
    return manifest.Manifest(
        size=size, chunk_size=chunk, zero_block=block,
        checksum=checksum.Checksum('sha256', '00' * 32),
        zero_map=b'\xff' * 8 + bytes(17),
        digests=manifest.zero_digest(chunk) + bytes(96)).encode()


def _bmap() -> bytes:
    lines = '''<?xml version="1.0" ?>
<bmap version="2.0">
<ImageSize> 1048576 </ImageSize><BlockSize> 4096 </BlockSize>
<BlocksCount> 256 </BlocksCount><MappedBlocksCount> 5 </MappedBlocksCount>
<ChecksumType> sha256 </ChecksumType>
<BmapFileChecksum> %s </BmapFileChecksum><BlockMap>
<Range chksum="%s"> 0-3 </Range><Range chksum="%s"> 9 </Range>
</BlockMap></bmap>
'''
    text = lines % ('0' * 64, 'a' * 64, 'b' * 64)
    return text.replace('0' * 64, hashlib.sha256(text.encode()).hexdigest()
                        ).encode()


def _old_bmap() -> bytes:
    """Without a checksum of its own, as version 1.2 has it."""
    return (b'<bmap version="1.2"><ImageSize>9000</ImageSize><BlockSize>4096'
            b'</BlockSize><BlocksCount>3</BlocksCount><MappedBlocksCount>2'
            b'</MappedBlocksCount><BlockMap><Range>0-1</Range></BlockMap>'
            b'</bmap>')


_GROUP = lvm.metadata({'swap': [(1, 0)], 'root': [(2, 3), (1, 1)]}).encode()
_CPIO = cpio('init', 'lib/modules/6.1/a.ko', 'etc/x')
_INITRAMFS = [_CPIO, _CPIO + bytes(512) + gzip.compress(_CPIO, mtime=0)]
_CPIO_WORDS = (b'070701', b'070702', b'TRAILER!!!', b'00000000', b'ffffffff',
               b'\0\0\0\0', gzip.compress(_CPIO, mtime=0))
TARGETS: list[target.Target] = [
    target.TextTarget('os-release', [of('etc/os-release')], read_release,
                      words=(b'ID=', b'NAME=', *SHELL)),
    target.TextTarget(
        'menus', [of('boot/grub/grub.cfg'), of('boot/grub/grubenv'),
                  of('boot/loader/entries/x.conf'), of('etc/default/grub'),
                  b'append root=/dev/sda1 ro\n'], read_menus,
        words=(b'linux ', b'options ', b'set a=$a', b'$a', b'root=', *SHELL)),
    target.TextTarget(
        'default-entry', [
            b'set default=0\nmenuentry "a" --id b {\n'
            b'linux /vmlinuz root=/dev/sda1 ro\ninitrd /initrd\n}\n',
            b'load_env\nset default=$saved_entry\nsaved_entry=b>c\n'
            b'submenu b {\nmenuentry c {\nlinux ($root)/a root=x\n}\n}\n'],
        read_default_entry, words=(
            b'set default=', b'menuentry ', b'{\n', b'}\n', b'linux ',
            b'initrd ', b'blscfg\n', b'set a=$a', b'$a', b'>', *SHELL),
        errors=(exceptions.UnreadableContent,)),
    target.TextTarget(
        'first-boot', [of('etc/cloud/cloud.cfg'),
                       b'datasource_list:\n - NoCloud\n - OpenStack\n'],
        read_first_boot, words=(b'datasource_list: [', b']', b',', b'- ',
                                b'ssh_deletekeys:', *SHELL)),
    target.TextTarget(
        'network', [of('etc/netplan/50.yaml'),
                    b'DEVICE=eth0\nHWADDR=52:54:00:12:34:56\n',
                    b'[Match]\nMACAddress=52:54:00:12:34:56\n[Network]\n'],
        read_network, words=(b'match:', b'macaddress:', b'[Match]', b'[',
                             b'HWADDR', b'52:54:00:12:34:56', *SHELL)),
    target.TextTarget(
        'leftovers', [of('etc/shadow'), of('etc/machine-id')],
        read_leftovers, words=(b':', b'!', b'*', *SHELL)),
    target.TextTarget(
        'kernels', [of('lib/modules/6.1.0-1-amd64/modules.dep'),
                    make_seeds.kernel()], read_kernels,
        words=(b'.ko', b'.ko.xz:', b'/', b'kernel/', *SHELL)),
    target.TextTarget(
        'modules', [b'alias pci:v00008086d00001533sv*sd*bc*sc*i* igb\n'
                    b'alias virtio:d0000000[12]v* virtio_net\n'
                    b'alias pci:v*d*sv*sd*bc0?sc*i* any\n'],
        read_modules, words=(b'alias pci:v00008086*', b'[', b']', b'?', b'*',
                             b'alias virtio:d', b' x\n', *SHELL)),
    target.TextTarget(
        'initramfs', _INITRAMFS, read_initramfs, words=_CPIO_WORDS,
        errors=(exceptions.UnreadableContent, exceptions.TooComplex)),
    target.TextTarget('fstab', [of('etc/fstab')], read_fstab,
                      words=(b'UUID=', b'/boot/efi', b'vfat', b'\\040',
                             b'\\777', b'nofail', b'swap', *SHELL)),
    target.TextTarget(
        'kernel-options', [b'root=UUID=1 ro quiet a="b c" "x=y z"'],
        read_options, words=(b'"', b'init=', *SHELL)),
    target.TextTarget(
        'kernel', [make_seeds.kernel(), b'MZ\0\0zimg' + bytes(5000),
                   bytes(0x38) + b'ARM\x64' + bytes(4000), b'070701x'],
        read_kernel),
    target.TextTarget(
        'checksum-list', [b'%s  disk.raw\n' % (b'a' * 64),
                          b'SHA256 (disk.raw) = %s\n' % (b'b' * 64),
                          b'c' * 128], read_checksums,
        words=(b'disk.raw', b'a' * 64, b'SHA512 (', b') = ', b' *', *SHELL),
        errors=(ValueError,)),
    target.TextTarget(
        'bmap', [_bmap(), _old_bmap()], read_bmap,
        words=(b'<Range>', b'</Range>', b'<', b'&', b'-', b'<!DOCTYPE a [',
               b'<!ENTITY a "b">', b'9' * 30, b'-1', *SHELL),
        errors=(exceptions.InvalidBmap,)),
    target.TextTarget(
        'manifest', [_manifest()], read_manifest,
        errors=(exceptions.InvalidManifest,), examples=200),
    target.TextTarget(
        'lvm', [_GROUP], read_group,
        words=(b'{', b'}', b'[', b']', b'"', b'\\"', b'\\', b'=', b'#',
               b'segment1 {', b'99999999999999999999', b'-1', b'\n'),
        errors=(exceptions.UnreadableContent, exceptions.TooComplex)),
    target.TextTarget(
        'lvm-front', [bytes(lvm.front(_GROUP.decode(), 64 * MIB)[:12288])],
        read_volume,
        errors=(exceptions.UnreadableContent, exceptions.TooComplex)),
]
