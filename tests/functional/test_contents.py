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

"""What ``check`` tells of a system that was installed from real packages."""

import time

from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import hardware
from tests.functional import base
from tests.support import debian_system
from tests.support import disks
from tests.support import web

MIB = base.MIB
#: Debian's kernel for clouds, a serial console, and nobody to log in.
WARNINGS = {'kernel-for-virtual-machines', 'serial-console-only',
            'no-first-boot-agent', 'no-login', 'machine-id-left'}


class ContentsTest(base.FunctionalTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.server = web.Server(self.directory)
        self.addCleanup(self.server.stop)
        self.root = self.directory / 'root.raw'
        disks.run('qemu-img', 'convert', '-O', 'raw', debian_system.image(),
                  self.root)

    def whole_disk(self) -> None:
        """Put the root into a partition, after an empty one for BIOS."""
        size = self.root.stat().st_size
        path = self.directory / 'disk.raw'
        with path.open('wb') as file:
            file.truncate(size + 3 * MIB)
        disks.run('sgdisk', '-o', '-n', '1:2048:+1M', '-t', '1:ef02', '-n',
                  f'2:4096:{4095 + size // 512}', '-t', '2:8300', path)
        disks.run('dd', f'if={self.root}', f'of={path}', 'bs=1M', 'seek=2',
                  'conv=notrunc,sparse', 'status=none')

    def check(self, name: str, *options: str) -> tuple[dict, set[str]]:
        """The contents, and codes of the findings, by way of a server."""
        self.server.requests.clear()
        begin = time.monotonic()
        outcome = self.invoke('check', self.server.url(name), '--json',
                              *options)
        self.assertLess(time.monotonic() - begin, 30)
        self.assert_status(0, outcome)
        self.assertLess(len(self.server.requests), 200)
        self.assertLess(sum(map(_length, self.server.requests)), 32 * MIB)
        return outcome.json['contents'], {
            finding['code'] for finding in outcome.json['findings']}

    def test_a_partition_image(self) -> None:
        contents, codes = self.check('root.raw', '--image-type', 'partition')
        self.assert_debian(contents)
        self.assertLessEqual(WARNINGS, codes)
        self.assertIsNone(contents['root']['partition'])

    def test_a_whole_disk(self) -> None:
        self.whole_disk()
        contents, codes = self.check('disk.raw', '--image-type', 'whole-disk')
        self.assert_debian(contents)
        self.assertEqual(2, contents['root']['partition'])
        self.assertEqual(
            WARNINGS | {'root-does-not-grow', 'not-bootable'}, codes)

    def test_a_whole_disk_in_qcow2(self) -> None:
        """Of clusters that are compressed, each is fetched once."""
        self.whole_disk()
        for name, *options in (
                ('plain',), ('deflate', '-c'),
                ('zstd', '-c', '-o', 'compression_type=zstd')):
            with self.subTest(name):
                disks.run('qemu-img', 'convert', '-O', 'qcow2', *options,
                          self.directory / 'disk.raw', self.directory / name)
                contents, codes = self.check(name)
                self.assert_debian(contents)
                self.assertLessEqual(WARNINGS, codes)

    def test_this_machine(self) -> None:
        """A kernel for virtual machines finds the disk of one."""
        contents, codes = self.check('root.raw', '--here')
        self.assert_debian(contents)
        drivers = {device.driver for device in hardware.devices()}
        if not all(driver.startswith('virtio') for driver in drivers):
            self.skipTest(f'this machine needs {drivers}')
        self.assertNotIn('driver-missing', codes)

    def look(self, alias: str, driver: str) -> engine.Inspection:
        """The inspection for a machine whose disk hangs on that."""
        with engine.open_source(str(self.root)) as source:
            return engine.inspect(source, engine.Expectation(
                initramfs=True, devices=(hardware.Device(
                    kind=hardware.Kind.DISK, alias=alias, name='the disk',
                    driver=driver, is_root=True),)))

    def test_controllers(self) -> None:
        """Debian's own lists of its kernel's modules, and its initramfs."""
        found = self.look('virtio:d00000002v00001AF4', 'virtio_blk')
        self.assertEqual((), found.findings)
        self.assertEqual((), found.contents.initramfs_lacks)
        for alias, driver in (
                ('pci:v00008086d00002922sv00001AF4sd00001100bc01sc06i01',
                 'ahci'),
                ('pci:v00001000d00000097sv00001000sd00003090bc01sc07i00',
                 'mpt3sas')):
            found = self.look(alias, driver)
            self.assertEqual('refuse', found.verdict)
            self.assertEqual(['driver-missing'], [
                finding.code for finding in found.findings])

    def assert_debian(self, contents: dict) -> None:
        self.assertEqual('debian', contents['system']['id'])
        kernel, = contents['kernels']
        self.assertIn('-cloud-amd64', kernel['version'])
        self.assertEqual('x86_64', kernel['arch'])
        self.assertTrue(kernel['initramfs'])
        self.assertGreater(kernel['drivers'], 500)
        self.assertEqual(['ttyS0'], contents['consoles'])
        self.assertEqual([], contents['unread'])
        self.assertFalse(contents['can_log_in'])


def _length(requested: str) -> int:
    """Bytes in a range."""
    first, _, last = requested.removeprefix('bytes=').partition('-')
    return int(last) - int(first) + 1
