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


from collections.abc import Callable
import gzip
import typing
import unittest.mock

from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import budget
from ironic_imagedeploy.engine import catalogue
from ironic_imagedeploy.engine.contents import kernels
from ironic_imagedeploy.engine.formats import extent_map
from ironic_imagedeploy.engine import hardware
from tests.support import boot_files
from tests.unit.engine import base
from tests.unit.engine import disks
from tests.unit.engine.inspection import verdicts
from tests.unit.engine import memory
from tests.unit.engine import qcow2_builder as qcow2
from tests.unit.engine import system_disks
from tests.unit.engine import systems
from tests.unit.engine import volumes

MIB = base.MIB
#: What only a conductor, which knows a node and an image store, can find.
OF_CONDUCTOR = {
    'image-not-found', 'image-unreadable', 'container-format',
    'checksum-invalid', 'checksum-mismatch', 'kernel-options-unsafe',
    'firmware-mismatch', 'field-invalid'}
Findings = tuple[engine.Finding, ...]


class CodesTest(verdicts.VerdictTestCase):
    """Each code of the catalogue is found in an image that deserves it."""

    def test_examples(self) -> None:
        for code, example in EXAMPLES.items():
            with self.subTest(code=code):
                self.assertIn(code, [
                    finding.code for finding in example(self)])

    def test_no_code_without_an_example(self) -> None:
        self.assertEqual(set(catalogue.ENTRIES),
                         OF_CONDUCTOR | set(EXAMPLES))

    def raw(self, content: bytes | bytearray | None = None,
            **expectation: typing.Any) -> Findings:
        """Findings about a file, or about a good disk."""
        return self.inspect(self.disk() if content is None else content,
                            **expectation).findings

    def header(self, **fields: int) -> Findings:
        """Findings about a qcow2 with these fields in its header."""
        return self.raw(qcow2.patched(self.qcow2(self.disk()), **fields))

    def root(self, tree: volumes.Tree, *options: str) -> Findings:
        """Findings about a partition image with these files."""
        return self.raw(volumes.ext4(
            self.directory / 'root', tree, *options).read_bytes(),
            image_type='partition')

    def boot_file(self, kind: str, size: int = 0) -> Findings:
        """Findings about zeroes as a kernel or an initramfs."""
        source = memory.MemorySource(bytes(MIB))
        source.size = size or source.size
        return engine.inspect(
            source, engine.Expectation(image_type=kind)).findings

    def vmdk_in_pieces(self) -> Findings:
        """Findings about the one file that names the others."""
        path = self.directory / 'disk.vmdk'
        base.run('qemu-img', 'create', '-q', '-f', 'vmdk', path, '2M')
        content = path.read_bytes().replace(b'monolithicSparse',
                                            b'twoGbMaxExtents ')
        return self.raw(content, permitted=('vmdk',))

    def dear(self) -> Findings:
        """Findings when two reads are all that a look may do."""
        most = budget.ENTRIES // 2
        with (unittest.mock.patch.object(budget, 'LOCAL_READ', most),
              unittest.mock.patch.object(budget, 'REMOTE_READ', most)):
            return self.raw()

    def fragmented(self) -> Findings:
        """Findings about a map that is larger than any may be."""
        builder = qcow2.Builder(MIB)
        for index in range(0, 16, 2):
            builder.data(index, bytes(range(256)) * 256)
        with (unittest.mock.patch.object(extent_map, '_BLOCK', 4),
              unittest.mock.patch.object(extent_map, 'MOST_BYTES', 99)):
            return self.raw(builder.build())

    def bomb(self) -> Findings:
        """Findings about a file that unpacks to more than its target."""
        inspection = engine.inspect(
            memory.MemorySource(gzip.compress(bytes(64 * MIB), 1)),
            engine.Expectation(disk_format='raw'))
        with (self.assertRaises(engine.exceptions.ImageRefused) as caught,
              engine.open_target(str(self.directory / 'new'),
                                 create_size=32 * MIB) as target):
            engine.transfer(inspection, target)
        return caught.exception.findings

    def unmounted(self) -> Findings:
        """Findings about an ext4 whose journal has not been replayed."""
        content = bytearray(volumes.ext4(
            self.directory / 'root', {}, '-O', '^metadata_csum',
            size=64 * MIB).read_bytes())
        content[1024 + 0x60] |= 4
        return self.raw(content, image_type='partition')

    def system(self, tree: volumes.Tree, number: int = -1) -> Findings:
        """Findings about a good system with other files in a partition."""
        return self.disk_of(systems.changed(systems.debian(), tree, number))

    def disk_of(self, parts: list[systems.Part], suspended: int = 0,
                **expectation: typing.Any) -> Findings:
        """Findings about a system, with the mark of one that hibernates."""
        path = system_disks.disk(self.directory, parts)
        if suspended:
            with path.open('r+b') as file:
                file.seek(suspended + 0xff6)
                file.write(b'S1SUSPEND')
        with engine.open_source(str(path)) as source:
            return engine.inspect(source, engine.Expectation(
                contents=True, **expectation)).findings

    def for_machine(self, aliases: bytes, **expectation: typing.Any
                    ) -> Findings:
        """Findings about a kernel with these drivers, for a machine."""
        parts = systems.changed(systems.debian(), {
            'usr/lib/modules/6.1.0-13-amd64/modules.alias': aliases,
            'boot/initrd.img-6.1.0-13-amd64': boot_files.archive({})})
        path = system_disks.disk(self.directory, parts)
        device = hardware.Device(
            kind=hardware.Kind.DISK, alias='virtio:d2', name='vda',
            driver='other', is_root=True)
        with engine.open_source(str(path)) as source:
            return engine.inspect(source, engine.Expectation(
                contents=True, devices=(device,), **expectation)).findings

    def without_firmware(self) -> Findings:
        """Findings about a driver whose firmware is not there."""
        folder = 'usr/lib/modules/6.1.0-13-amd64'
        parts = systems.changed(systems.debian(), {
            f'{folder}/modules.dep': b'kernel/bnx2.ko:\n',
            f'{folder}/kernel/bnx2.ko': b'\0firmware=bnx2/x.fw\0',
            f'{folder}/modules.alias': b'alias virtio:d1 bnx2\n'})
        path = system_disks.disk(self.directory, parts)
        device = hardware.Device(kind=hardware.Kind.NETWORK, name='eno1',
                                 alias='virtio:d1', driver='bnx2')
        with engine.open_source(str(path)) as source:
            return engine.inspect(source, engine.Expectation(
                contents=True, devices=(device,))).findings

    def running(self) -> Findings:
        """Findings about a root that was not unmounted."""
        path = volumes.ext4(self.directory / 'root', systems.debian()[-1].tree,
                            '-O', '^metadata_csum')
        content = bytearray(path.read_bytes())
        content[1024 + 0x60] |= 4
        return self.raw(content, contents=True)

    def odd_protective_mbr(self) -> Findings:
        """Findings about a GPT as some tools write it."""
        disk = disks.gpt(4 * MIB, [disks.Entry(40, 50)])
        disk[447:450] = b'\xff\xff\xff'
        return self.raw(disk)

    def for_arm(self) -> Findings:
        """Findings about a disk that only another machine boots."""
        return self.raw(self.disk(esp={
            '/EFI/BOOT/BOOTAA64.EFI': disks.program(0xaa64)}),
            boot_mode='uefi', arch='x86_64')


#: An image for each code that an engine finds.
EXAMPLES: dict[str, Callable[[CodesTest], Findings]] = {
    'refused-by-glance': CodesTest.odd_protective_mbr,
    'not-an-image': lambda test: test.raw(b'<!DOCTYPE html>' * 99),
    'format-mismatch': lambda test: test.raw(disk_format='qcow2'),
    'format-not-permitted': lambda test: test.raw(permitted=('qcow2',)),
    'format-unsupported': lambda test: test.raw(b'QED\0' + bytes(MIB)),
    'format-ambiguous': lambda test: test.raw(
        test.qcow2(test.disk()) + b'conectix'.ljust(512, b'\0')),
    'backing-file': lambda test: test.header(backing_file_offset=112),
    'data-file': lambda test: test.header(incompatible_features=4),
    'external-extent': CodesTest.vmdk_in_pieces,
    'encrypted': lambda test: test.header(crypt_method=2),
    'unknown-feature': lambda test: test.header(
        incompatible_features=1 << 20),
    'corrupt': lambda test: test.header(incompatible_features=2),
    'truncated': lambda test: test.header(l1_table_offset=1 << 40),
    'decompression-bomb': CodesTest.bomb,
    'bytes-left-out': lambda test: test.raw(
        gzip.compress(disks.gpt(4 * MIB, [disks.Entry(40, 50)])) + b'more'),
    'too-complex': CodesTest.dear,
    'fstab-adapted': lambda test: test.root({
        **volumes.BOOTABLE, 'etc/fstab': b'LABEL=BOOT /boot ext4 ro 0 2\n'}),
    'too-fragmented': CodesTest.fragmented,
    'internal-snapshot': lambda test: test.header(nb_snapshots=2),
    'dirty': lambda test: test.header(incompatible_features=1),
    'checksum-missing': lambda test: test.raw(require_checksum=True),
    'checksum-weak': lambda test: test.raw(
        checksum=engine.Checksum('md5', '0' * 32), permit_weak=False),
    'too-large': lambda test: test.raw(disk_size=MIB),
    'sector-size': lambda test: test.raw(sector_size=4096),
    'image-type-mismatch': lambda test: test.raw(image_type='partition'),
    'no-bootloader': lambda test: test.root({'boot/grub': None}),
    'not-a-kernel': lambda test: test.boot_file('kernel'),
    'not-an-initramfs': lambda test: test.boot_file('ramdisk'),
    'boot-file-too-large': lambda test: test.boot_file(
        'kernel', kernels.LARGEST['kernel'] + 1),
    'bootloader-unknown': CodesTest.unmounted,
    'file-system-unsupported': lambda test: test.root(
        volumes.BOOTABLE, '-O', 'inline_data'),
    'grub-dependent': lambda test: test.root(
        volumes.BOOTABLE, '-t', 'ext4', '-O', 'bigalloc', '-b', '1024'),
    'no-partition-table': lambda test: test.raw(
        bytes(MIB), disk_format='raw', image_type='whole-disk'),
    'no-esp': lambda test: test.raw(boot_mode='uefi'),
    'no-bios-boot': lambda test: test.raw(
        test.disk(boot_code=b''), boot_mode='bios'),
    'arch-mismatch': CodesTest.for_arm,
    'arch-unknown': lambda test: test.raw(arch='aarch64'),
    'not-bootable': lambda test: test.raw(test.disk(boot_code=b'')),
    'kernel-for-virtual-machines': lambda test: test.system({
        **dict.fromkeys(systems.kernel('6.1.0-13-amd64')),
        **systems.kernel('6.1.0-13-cloud-amd64', systems.VIRTUAL)}),
    'driver-missing': lambda test: test.for_machine(b''),
    'firmware-missing': CodesTest.without_firmware,
    'modules-missing': lambda test: test.for_machine(
        b'', kernel_version='6.9'),
    'initramfs-without-driver': lambda test: test.for_machine(
        b'alias virtio:d2 other\n', initramfs=True),
    'no-raid-support': lambda test: test.for_machine(
        b'', initramfs=True, raid_esp=1 << 30),
    'esp-too-large': lambda test: test.for_machine(b'', raid_esp=MIB),
    'unsigned-loader': lambda test: test.for_machine(b'', secure_boot=True),
    'unsigned-kernel': lambda test: test.disk_of(
        systems.unified_arch(), secure_boot=True),
    'network-old-name': lambda test: test.system({
        **dict.fromkeys(systems.cloud_init()),
        'etc/network/interfaces': b'auto eth0\niface eth0 inet dhcp\n',
        'usr/lib/systemd/systemd': b'x'}),
    'unstable-device-name': lambda test: test.system(
        systems.grub('root=/dev/vda1')),
    'device-missing': lambda test: test.system(
        systems.grub(f'root=UUID={systems.BOOT_UUID}')),
    'serial-console-only': lambda test: test.system(
        systems.grub('console=ttyS0')),
    'network-pinned': lambda test: test.system({
        'etc/netplan/1.yaml': b'match: {macaddress: 52:54:00:12:34:56}'}),
    'no-first-boot-agent': lambda test: test.system(
        dict.fromkeys(systems.cloud_init())),
    'no-login': lambda test: test.system(dict.fromkeys(systems.cloud_init())),
    'no-config-drive-source': lambda test: test.system(
        systems.cloud_init('datasource_list: [Ec2]\n')
        | {'etc/cloud/cloud.cfg.d/90_dpkg.cfg': b''}),
    'host-keys-left': lambda test: test.system({
        'etc/ssh/ssh_host_rsa_key': b'x',
        'etc/cloud/cloud.cfg.d/99.cfg': b'ssh_deletekeys: false\n'}),
    'machine-id-left': lambda test: test.system(
        {'etc/machine-id': b'0123456789abcdef' * 2}),
    'traces-left': lambda test: test.system({'root/.bash_history': b'ls\n'}),
    'root-not-last': lambda test: test.disk_of(
        [*systems.debian(), systems.BIOS_PART]),
    'root-does-not-grow': lambda test: test.system(
        {'usr/bin/growpart': None}),
    'file-system-in-use': CodesTest.running,
    'hibernated': lambda test: test.disk_of(
        [*systems.debian()[:2], systems.BIOS_PART, *systems.debian()[2:]],
        suspended=36 * MIB),
    'no-fallback-loader': lambda test: test.system(
        {'EFI/BOOT/BOOTX64.EFI': None}, 1)}
