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

"""Wrong images and wrong settings, as operators meet them."""

from collections.abc import Callable
import dataclasses
import hashlib
import pathlib
import shutil
import typing

from tests.support import disks
from tests.support import images
from tests.unit.conductor import base

MIB = 1 << 20


class Store:
    """Where the images are: a Glance and a web server."""

    def __init__(self, case: base.ConductorTestCase) -> None:
        self._case = case
        self._files = case.directory / 'files'
        self._files.mkdir()
        self.good = case.qcow2
        self.disk = case.guest

    def glance(self, file: pathlib.Path, disk_format: str = 'qcow2',
               **metadata: typing.Any) -> dict[str, typing.Any]:
        """Upload a file; instance_info for it."""
        self._case.glance.register(file, disk_format=disk_format, **metadata)
        return {'image_source': base.IMAGE_ID}

    def url(self, file: pathlib.Path, disk_format: str = 'qcow2',
            **info: typing.Any) -> dict[str, typing.Any]:
        """Put a file on the web server; instance_info for it."""
        content = file.read_bytes()
        (self._case.web / 'image').write_bytes(content)
        return {'image_source': self._case.server.url('image'),
                'image_disk_format': disk_format,
                'image_os_hash_algo': 'sha256', 'image_os_hash_value':
                hashlib.sha256(content).hexdigest(), **info}

    def written(self, content: bytes) -> pathlib.Path:
        """A file of that content."""
        path = self._files / 'written'
        path.write_bytes(content)
        return path

    def made(self, *arguments: str) -> pathlib.Path:
        """The file that a program makes of the argument FILE."""
        path = self._files / 'made'
        path.unlink(missing_ok=True)
        disks.run(*(path if argument == 'FILE' else argument
                      for argument in arguments))
        return path

    def encrypted(self) -> pathlib.Path:
        """A qcow2 that needs a key."""
        path = self._files / 'encrypted'
        images.create_encrypted(path, 'qcow2', 'encrypt.format=aes,'
                                'encrypt.key-secret=s')
        return path

    def half(self) -> pathlib.Path:
        """What an upload left that was cut off."""
        whole = images.convert(self.disk, self._files / 'whole')
        return self.written(whole.read_bytes()[:2 * MIB])

    def grown(self, size: str) -> pathlib.Path:
        """The good image on a larger disk."""
        path = self._files / 'grown'
        shutil.copyfile(self.good, path)
        disks.run('qemu-img', 'resize', '-q', '-f', 'qcow2', path, size)
        return path

    def root(self) -> pathlib.Path:
        """A partition image with nothing in it that boots."""
        return images.convert(
            self.made('mke2fs', '-q', '-F', '-t', 'ext4', 'FILE', '8m'),
            self._files / 'root')

    def without_boot_code(self) -> pathlib.Path:
        """An image that a BIOS cannot start."""
        content = bytearray(self.disk.read_bytes())
        content[:440] = bytes(440)
        return images.convert(self.written(bytes(content)),
                              self._files / 'plain')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """Something wrong.

    :ivar title: what is wrong, for people.
    :ivar code: what imagedeploy calls it.
    :ivar make: puts the image in its place and gives instance_info.
    :ivar properties: of the node, beside those of every node.
    """

    title: str
    code: str
    make: Callable[[Store], dict[str, typing.Any]]
    properties: dict[str, typing.Any] = dataclasses.field(
        default_factory=dict)


_PAGE = b'<!DOCTYPE html><html><p>Please log in.</p></html>\n' * 200
_ARCHIVE = b'PK\x03\x04\x14' + bytes(25) + b'disk.img' + bytes(MIB)
_ISO = (bytes(0x8000) + b'\x01CD001\x01'.ljust(2048, b'\0')
        + b'\xffCD001\x01'.ljust(2048, b'\0') + bytes(MIB))
_UEFI = {'capabilities': 'boot_mode:uefi'}

CASES = (
    Case(title='qcow2, in Glance as raw', code='format-mismatch',
         make=lambda store: store.glance(store.good, 'raw')),
    Case(title='Raw, in Glance as qcow2', code='format-mismatch',
         make=lambda store: store.glance(store.disk)),
    Case(title='qcow2, given by URL as raw', code='format-mismatch',
         make=lambda store: store.url(store.good, 'raw')),
    Case(title='A page to log in, instead of the image at its URL',
         code='not-an-image',
         make=lambda store: store.url(store.written(_PAGE), 'raw')),
    Case(title='A ZIP archive of an image, in Glance as raw',
         code='not-an-image',
         make=lambda store: store.glance(store.written(_ARCHIVE), 'raw')),
    Case(title='An empty file', code='not-an-image',
         make=lambda store: store.url(store.written(b''), 'raw')),
    Case(title='An installation medium', code='format-unsupported',
         make=lambda store: store.glance(store.written(_ISO), 'iso')),
    Case(title='VMDK, which the operator did not permit',
         code='format-not-permitted',
         make=lambda store: store.glance(store.made(
             'qemu-img', 'convert', '-f', 'raw', '-O', 'vmdk',
             str(store.disk), 'FILE'), 'vmdk')),
    Case(title='qcow2 with a backing file', code='backing-file',
         make=lambda store: store.glance(store.made(
             'qemu-img', 'create', '-q', '-f', 'qcow2', '-F', 'qcow2', '-b',
             str(store.good), 'FILE'))),
    Case(title='qcow2 with its data in another file', code='data-file',
         make=lambda store: store.glance(store.made(
             'qemu-img', 'create', '-q', '-f', 'qcow2', '-o',
             f'data_file={store.disk}.data', 'FILE', '8M'))),
    Case(title='Encrypted qcow2', code='encrypted',
         make=lambda store: store.glance(store.encrypted())),
    Case(title='qcow2 whose upload was cut off', code='truncated',
         make=lambda store: store.glance(store.half())),
    Case(title='The bytes in Glance are not those of its checksum',
         code='checksum-mismatch',
         make=lambda store: store.glance(
             store.good, os_hash_value='0' * 128, checksum='0' * 32)),
    Case(title='Only an MD5 as the checksum', code='checksum-weak',
         make=lambda store: store.glance(
             store.good, os_hash_algo=None, os_hash_value=None)),
    Case(title='No checksum for an image by URL', code='checksum-missing',
         make=lambda store: store.url(
             store.good, image_os_hash_algo=None, image_os_hash_value=None)),
    Case(title='Nothing at the URL', code='image-not-found',
         make=lambda store: {**store.url(store.good), 'image_source':
                             store.url(store.good)['image_source'] + 's'}),
    Case(title='An image that Glance does not have', code='image-not-found',
         make=lambda store: {
             'image_source': '2f3a0b52-8f0f-4e3c-9f4b-7d8f0c6f0a11'}),
    # Small ones: direct converts them.
    Case(title='A disk of 2 GiB in the image, a node with root_gb=1',
         code='too-large',
         make=lambda store: store.glance(store.grown('2G'))
         | {'root_gb': 1}),
    Case(title='A disk of 2 GiB in the image, a root device hint of 1 GiB',
         code='too-large', properties={'root_device': {'size': 1}},
         make=lambda store: store.glance(store.grown('2G'))),
    Case(title='min_disk of 100 GiB, a node with local_gb=20',
         code='too-large',
         make=lambda store: store.glance(store.good, min_disk=100)),
    Case(title='A node that boots by UEFI, an image without an ESP',
         code='no-esp', properties=_UEFI,
         make=lambda store: store.glance(store.good)),
    Case(title='A node that boots by BIOS, an image without boot code',
         code='no-bios-boot',
         make=lambda store: store.glance(store.without_boot_code())),
    Case(title='A kernel beside a whole-disk image',
         code='image-type-mismatch',
         make=lambda store: store.glance(
             store.good, kernel_id='9d7c4c0e-5a7f-4f5a-8a51-0c86b7b2a9d1',
             ramdisk_id='f4c1d2a9-4d0f-4a3e-8a55-98c3c9a4f1f7')
         | {'root_gb': 10}),
    Case(title='A partition image with neither grub2 nor a kernel',
         code='no-bootloader',
         make=lambda store: store.glance(store.root(), img_type='partition')
         | {'root_gb': 10}),
    Case(title='A partition image without a kernel, and beside it one that '
         'Glance does not have', code='image-not-found',
         make=lambda store: store.glance(
             store.root(), kernel_id='9d7c4c0e-5a7f-4f5a-8a51-0c86b7b2a9d1',
             ramdisk_id='f4c1d2a9-4d0f-4a3e-8a55-98c3c9a4f1f7')
         | {'root_gb': 10}),
    Case(title='An image for another processor, by hw_architecture',
         code='arch-mismatch',
         make=lambda store: store.glance(store.good,
                                         hw_architecture='aarch64')),
    Case(title='An image for UEFI, by hw_firmware_type, and a node with BIOS',
         code='firmware-mismatch',
         make=lambda store: store.glance(store.good,
                                         hw_firmware_type='uefi')),
    Case(title='A file outside of the directories that are permitted',
         code='image-unreadable',
         make=lambda store: {'image_source': f'file://{store.good}',
                             'image_disk_format': 'qcow2'}),
)
