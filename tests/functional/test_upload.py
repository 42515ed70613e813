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

"""``upload``, into a real Glance."""

import argparse
import json
import os
import pathlib
import shlex
import shutil
import tempfile

from tests.functional import glance
from tests.functional import partition_images
from tests.support import boot_files
from tests.support import disks
from tests.support import web

WRONG = f'sha512:{"0" * 128}'


class WholeDiskTest(glance.GlanceTestCase):

    def test_metadata_follows_from_the_content(self) -> None:
        result = self.upload(self.image, '--name', 'debian')
        record = self.record(result['image'])
        wanted = {
            'name': 'debian', 'status': 'active', 'disk_format': 'qcow2',
            'container_format': 'bare', 'min_disk': 1,
            'img_type': 'whole-disk', 'hw_architecture': 'x86_64',
            'size': self.image.stat().st_size}
        self.assertEqual(wanted, {name: record[name] for name in wanted})
        # Both firmwares start it.
        for name in ('hw_firmware_type', 'kernel_id', 'ramdisk_id',
                     'os_distro'):
            self.assertNotIn(name, record)
        self.assertEqual(
            disks.checksum(self.image),
            f'{record["os_hash_algo"]}:{record["os_hash_value"]}')
        self.assertEqual(self.image.read_bytes(),
                         self.content(result['image']))

    def test_it_can_be_deployed_then(self) -> None:
        result = self.upload(self.image)
        outcome = self.invoke('check', f'glance:{result["image"]}',
                              '--image-type', 'whole-disk')
        self.assert_status(0, outcome)

    def test_firmware_that_alone_starts_it(self) -> None:
        guest = self.directory / 'uefi'
        shutil.copy(self.guest, guest)
        with guest.open('r+b') as file:
            file.write(bytes(440))
        self.assertEqual('uefi', self.upload(guest)['properties'][
            'hw_firmware_type'])

    def test_stated_properties_and_visibility(self) -> None:
        result = self.upload(
            self.image, '--property', 'os_distro=mine', '--property', 'a=b=c',
            '--visibility', 'community')
        record = self.record(result['image'])
        self.assertEqual(('mine', 'b=c', 'community'), (
            record['os_distro'], record['a'], record['visibility']))

    def test_an_image_that_ironic_may_not_use(self) -> None:
        """Glance makes images that are shared with nobody."""
        outcome = self.invoke('upload', self.image)
        self.assert_status(0, outcome)
        record, = self.records().values()
        self.assertIn(f'openstack image set --community {record["id"]}',
                      outcome.stderr)
        outcome = self.invoke('upload', self.image, '--visibility',
                              'community')
        self.assert_status(0, outcome)
        self.assertNotIn('community', outcome.stderr)

    def test_from_a_web_server_and_another_checksum(self) -> None:
        server = web.Server(self.shared)
        self.addCleanup(server.stop)
        result = self.upload(
            server.url('disk.qcow2'), '--checksum',
            disks.checksum(self.image, 'sha256'))
        self.assertEqual(disks.checksum(self.image), ':'.join(
            result['checksum'].values()))

    def test_a_refused_image_is_not_uploaded(self) -> None:
        outcome = self.invoke('upload', self.image, '--disk-format', 'raw')
        self.assert_status(4, outcome)
        self.assertEqual({}, self.records())

    def test_a_whole_disk_takes_no_kernel(self) -> None:
        for role, content in (('kernel', boot_files.bzimage()),
                              ('ramdisk', boot_files.initramfs())):
            (self.directory / role).write_bytes(content)
        outcome = self.invoke(
            'upload', self.image, '--kernel', self.directory / 'kernel',
            '--ramdisk', self.directory / 'ramdisk')
        self.assert_status(4, outcome)
        self.assertIn('image-type-mismatch', outcome.stderr)
        self.assertEqual({}, self.records())

    def test_usage(self) -> None:
        for arguments in (['--kernel', 'vmlinuz'], ['--property', 'x'],
                          ['--property', 'kernel_id=1'],
                          ['--property', 'os_hash_value=1'],
                          ['--print', '--json']):
            with self.subTest(arguments):
                outcome = self.invoke('upload', self.image, *arguments)
                self.assert_status(2, outcome)
        self.assertEqual({}, self.records())

    def test_a_manifest_beside_it_is_good_for_a_write(self) -> None:
        result = self.upload(self.image, '--name', 'disk', '--manifest')
        beside = self.records()['disk.manifest']
        self.assertEqual(result['manifest']['image'], beside['id'])
        self.assertEqual(beside['id'], self.record(result['image'])[
            'imagedeploy_manifest'])
        target = self.directory / 'target'
        outcome = self.invoke(
            'write', f'glance:{result["image"]}', target, '--manifest',
            f'glance:{beside["id"]}', '--json')
        self.assert_status(0, outcome)
        self.assertEqual('chunks', outcome.json['verified_by'])
        self.assertIsNone(disks.first_difference(self.guest, target,
                                                 glance.SIZE))

    def test_printed_commands_do_the_same(self) -> None:
        image = self.directory / "it's $a disk.qcow2"
        shutil.copy(self.image, image)
        outcome = self.invoke('upload', image, '--print', '--visibility',
                              'private', '--manifest')
        self.assert_status(0, outcome)
        self.assertEqual({}, self.records())
        manifest, beside, disk = outcome.stdout.splitlines()
        self.assertEqual(['ironic-imagedeploy', 'manifest', str(image), '-o',
                          "it's $a disk.manifest"], shlex.split(manifest))
        self.assertTrue(beside.startswith('manifest_id=$('))
        made = self.record(self.upload(image, '--visibility', 'private')[
            'image'])
        stated = parsed(disk)
        self.assertEqual((str(image), made['name']), (stated.file,
                                                      stated.name))
        self.assertEqual('imagedeploy_manifest=$manifest_id',
                         stated.property.pop())
        for name in ('disk_format', 'container_format', 'min_disk'):
            self.assertEqual(made[name], getattr(stated, name))
        for each in stated.property:
            name, _, value = each.partition('=')
            self.assertEqual(made[name], value)

    def test_nobody_answers(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, 'clouds.yaml')
            path.write_text(
                'clouds:\n  test:\n    auth_type: none\n'
                '    image_endpoint_override: http://127.0.0.1:9\n')
            os.environ['OS_CLIENT_CONFIG_FILE'] = str(path)
            outcome = self.invoke('upload', self.image, '--json')
        self.assert_status(3, outcome)
        self.assertIn('Glance', json.loads(outcome.stdout)['error'][
            'message'])


class PartitionImageTest(glance.GlanceTestCase):

    def setUp(self) -> None:
        super().setUp()
        tree = self.directory / 'tree'
        tree.mkdir()
        partition_images.debian(tree)
        for path in (tree / 'boot').glob('*-6.1.0-*'):
            path.unlink()
        (tree / 'etc').mkdir(exist_ok=True)
        (tree / 'etc/os-release').write_text(
            'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian"\n')
        self.root = self.directory / 'root.raw'
        disks.run('mke2fs', '-q', '-t', 'ext4', '-d', tree, self.root, '32M')
        self.kernel = self.directory / 'vmlinuz'
        self.kernel.write_bytes(boot_files.bzimage())
        self.ramdisk = self.directory / 'initrd.img'
        self.ramdisk.write_bytes(boot_files.initramfs())
        self.beside = ('--kernel', self.kernel, '--ramdisk', self.ramdisk)

    def test_kernel_and_initramfs_are_images_of_their_own(self) -> None:
        result = self.upload(self.root, *self.beside)
        record = self.record(result['image'])
        wanted = {
            'disk_format': 'raw', 'img_type': 'partition', 'min_disk': 1,
            'os_distro': 'debian', 'os_version': '12',
            'kernel_id': result['kernel'], 'ramdisk_id': result['ramdisk']}
        self.assertEqual(wanted, {name: record.get(name) for name in wanted})
        for role, kind, path in (('kernel', 'aki', self.kernel),
                                 ('ramdisk', 'ari', self.ramdisk)):
            beside = self.record(result[role])
            self.assertEqual((kind, kind), (beside['disk_format'],
                                            beside['container_format']))
            self.assertEqual(path.read_bytes(), self.content(result[role]))

    def test_without_a_kernel_it_is_refused(self) -> None:
        outcome = self.invoke('upload', self.root)
        self.assert_status(4, outcome)
        self.assertIn('no-bootloader', outcome.stderr)

    def test_nothing_is_left_of_what_failed_in_the_middle(self) -> None:
        outcome = self.invoke('upload', self.root, *self.beside,
                              '--checksum', WRONG, '--progress', 'none')
        self.assert_status(6, outcome)
        self.assertIn('nothing is left of it in Glance', outcome.stderr)
        self.assertEqual({}, self.records())

    def test_what_cannot_be_deleted_is_named(self) -> None:
        self.deny_deletion()
        outcome = self.invoke('upload', self.root, *self.beside,
                              '--checksum', WRONG, '--progress', 'none')
        self.assert_status(6, outcome)
        left = self.records()
        self.assertEqual({'root', 'root.kernel', 'root.ramdisk'}, set(left))
        for name, record in left.items():
            self.assertIn(f'{name} is left in Glance', outcome.stderr)
            self.assertIn(f'openstack image delete {record["id"]}',
                          outcome.stderr)

    def test_a_wrong_kernel_is_found_before_anything_is_made(self) -> None:
        self.kernel.write_bytes(b'not a kernel' * 100)
        outcome = self.invoke('upload', self.root, *self.beside)
        self.assert_status(4, outcome)
        self.assertEqual({}, self.records())


def parsed(command: str) -> argparse.Namespace:
    """Arguments of ``openstack image create``, by its documentation."""
    words = shlex.split(command)
    if words[:5] != ['openstack', '--os-cloud', glance.CLOUD, 'image',
                     'create']:
        raise AssertionError(command)
    parser = argparse.ArgumentParser()
    for name in ('--disk-format', '--container-format', '--file'):
        parser.add_argument(name, required=True)
    parser.add_argument('--min-disk', type=int)
    parser.add_argument('--property', action='append', default=[])
    parser.add_argument('--private', action='store_true')
    parser.add_argument('name')
    return parser.parse_args(words[5:])
