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

import unittest

from oslo_config import fixture

from ironic.conf import CONF

from ironic_imagedeploy.conductor.checks import remedies
from ironic_imagedeploy.conf import opts
from ironic_imagedeploy import engine
from tests.unit.conductor import unsaved

URL = 'http://192.0.2.1/image'
FILE = 'file:///srv/image'
NODE_SET = 'openstack baremetal node set '
UPLOAD = ('openstack image create --disk-format qcow2 --container-format bare '
          '--file FILE NAME, and ')
UPLOAD_RAW = UPLOAD.replace('qcow2', 'raw')


def node_set(*options):
    return NODE_SET + ' '.join([*options, unsaved.NODE_ID])


def image_set(option):
    return f'openstack image set {option} {unsaved.IMAGE_ID}'


def node_info(*settings):
    return node_set(*(f'--instance-info {each}' for each in settings))


#: What gives the node another image, by the image that it has.
ANOTHER = {unsaved.IMAGE_ID: UPLOAD + node_info('image_source=ID'),
           FILE: node_info('image_source=file:///PATH'),
           URL: node_info('image_source=URL', 'image_os_hash_algo=sha512',
                          'image_os_hash_value=SHA512')}


def fix(code, image=None, **values):
    """The remedy of a finding whose own is DO."""
    finding = engine.Finding(**{'code': code, 'expected': 'x', 'found': 'y',
                                'fix': 'DO.', **values})
    return remedies.with_remedy(finding, image or unsaved.image()).fix


class AnotherTest(unittest.TestCase):
    """The node gets another image, where nothing else helps."""

    def test_of_a_disk(self):
        for href, commands in ANOTHER.items():
            self.assertEqual(f'DO. Then: {commands}', fix(
                'not-an-image', unsaved.image(href), data={'what': 'x'}))

    def test_of_a_boot_file(self):
        for role in ('kernel', 'ramdisk'):
            for href, commands in (
                    (unsaved.IMAGE_ID, UPLOAD_RAW + node_info(f'{role}=ID')),
                    (FILE, node_info(f'{role}=file:///PATH')),
                    (URL, node_info(f'{role}=URL',
                                    f'{role}_checksum=sha512:SHA512'))):
                self.assertEqual(commands, remedies.another(
                    unsaved.image(href, role=role)))

    def test_of_a_boot_file_that_an_image_names(self):
        self.assertEqual(
            UPLOAD_RAW + image_set('--property ramdisk_id=ID'),
            remedies.another(unsaved.image(
                'f3b6a9de-9f0c-4a28-9d2c-57a1a2e6c111', role='ramdisk',
                of=unsaved.image())))


class RemediesTest(unittest.TestCase):

    def setUp(self):
        super().setUp()
        opts.register_opts(CONF)
        self.conf = self.enterContext(fixture.Config(CONF))
        self.conf.config(permitted_formats=['raw', 'qcow2'],
                         group='imagedeploy')

    def format(self, found, href):
        return fix('format-mismatch', unsaved.image(href), data={
            'format': found, 'declared': 'vmdk'})

    def test_format(self):
        self.assertEqual(
            'Upload it again with its real format: '
            + ANOTHER[unsaved.IMAGE_ID],
            self.format('qcow2', unsaved.IMAGE_ID))
        self.assertEqual(node_info('image_disk_format=qcow2'),
                         self.format('qcow2', URL))

    def test_format_without_a_signature(self):
        self.assertEqual(
            'If it is a disk byte for byte: Upload it again with its real '
            'format: ' + UPLOAD_RAW + node_info('image_source=ID'),
            self.format('raw', unsaved.IMAGE_ID))
        self.assertEqual('If it is a disk byte for byte: '
                         + node_info('image_disk_format=raw'),
                         self.format('raw', URL))

    def test_format_that_is_not_permitted(self):
        for href in (URL, unsaved.IMAGE_ID):
            self.assertEqual('Use an image in one of the formats raw, qcow2: '
                             + ANOTHER[href], self.format('vdi', href))
            self.assertEqual(
                'Convert it: qemu-img convert -O qcow2 FILE NEW; or add vdi '
                'to permitted_formats of [imagedeploy]. Then: '
                + ANOTHER[href], fix('format-not-permitted',
                                     unsaved.image(href),
                                     data={'format': 'vdi'}))

    def test_checksum(self):
        for code in ('checksum-missing', 'checksum-weak',
                     'checksum-mismatch'):
            self.assertEqual(
                'Upload the image again, for which Glance computes its '
                'checksum: ' + ANOTHER[unsaved.IMAGE_ID],
                fix(code, data={'algorithm': 'md5'}))
            self.assertEqual(
                'State the checksum of the image: ' + node_info(
                    'image_os_hash_algo=sha512',
                    'image_os_hash_value=SHA512'),
                fix(code, unsaved.image(URL), data={'algorithm': 'md5'}))

    def test_checksum_of_a_boot_file(self):
        for code in ('checksum-missing', 'checksum-weak',
                     'checksum-mismatch'):
            self.assertEqual(
                'DO. Then: ' + UPLOAD_RAW + node_info('kernel=ID'),
                fix(code, unsaved.image(role='kernel'),
                    data={'algorithm': 'md5'}))
            self.assertEqual(
                'State the checksum of the kernel: '
                + node_info('kernel_checksum=sha512:SHA512'),
                fix(code, unsaved.image(URL, role='kernel'),
                    data={'algorithm': 'md5'}))

    def test_image_type(self):
        for href, info, command in (
                (unsaved.IMAGE_ID, {}, image_set(
                    '--property img_type=whole-disk')),
                (unsaved.IMAGE_ID, {'image_type': 'partition'},
                 node_info('image_type=whole-disk')),
                (URL, {}, node_info('image_type=whole-disk'))):
            self.assertEqual(command, fix(
                'image-type-mismatch',
                unsaved.image(href, unsaved.node(instance_info=info)),
                case='partition', data={'image_type': 'whole-disk'}))

    def kernel(self, href, *of_image, **of_node):
        return fix('image-type-mismatch', unsaved.image(
            href, unsaved.node(instance_info=of_node),
            {'boot_files': dict.fromkeys(of_image, 'x')}),
            case='kernel', data={'image_type': 'whole-disk'})

    def test_kernel_beside_a_whole_disk(self):
        of_image = ('openstack image unset --property {} '
                    + unsaved.IMAGE_ID)
        of_node = ('openstack baremetal node unset --instance-info {} '
                   + unsaved.NODE_ID)
        both = 'kernel_id --property ramdisk_id'
        self.assertEqual(of_image.format(both), self.kernel(
            unsaved.IMAGE_ID, 'kernel', 'ramdisk'))
        self.assertEqual(of_node.format('ramdisk'),
                         self.kernel(URL, ramdisk=URL, kernel=''))
        self.assertEqual(
            of_image.format('kernel_id') + ', and ' + of_node.format(
                'kernel --instance-info ramdisk'), self.kernel(
                unsaved.IMAGE_ID, 'kernel', kernel=URL, ramdisk=URL))

    def test_boot_loader(self):
        self.assertEqual(
            'Install them in the image (diskimage-builder: the elements '
            'baremetal and grub2), or give it a kernel and an initramfs: '
            'kernel and ramdisk of the node, or kernel_id and ramdisk_id of '
            f'the image. Then: {ANOTHER[URL]}',
            fix('no-bootloader', unsaved.image(URL)))

    def test_boot_mode(self):
        for code, other, mode in (('no-esp', 'UEFI', 'bios'),
                                  ('no-bios-boot', 'BIOS', 'uefi')):
            self.assertEqual(
                f'Use an image for {other}, or, when the node can: '
                + node_set(f'--property capabilities=boot_mode:{mode}'),
                fix(code))

    def test_capabilities_that_are_kept(self):
        for stated, kept in (
                ('', ''), (None, ''), ('a:b,boot_mode:bios', 'a:b,'),
                (' boot_mode:bios,,c:d', 'c:d,'), ('a:b,c:d', 'a:b,c:d,')):
            self.assertEqual(
                node_set(f'--property capabilities={kept}boot_mode:uefi'),
                remedies.boot_mode(unsaved.node(properties={
                    'capabilities': stated}), 'uefi'), stated)
        self.assertEqual(
            node_set("--property 'capabilities=a:$(b),boot_mode:uefi'"),
            remedies.boot_mode(unsaved.node(properties={
                'capabilities': 'a:$(b)'}), 'uefi'))

    def test_processor(self):
        self.assertEqual(
            'Use an image for the processor of the node, or correct what is '
            'stated about the node: '
            + node_set('--property cpu_arch=aarch64'),
            fix('arch-mismatch', data={'arch': 'aarch64', 'kind': 'image'}))
        self.assertEqual(
            f'DO. Then: {ANOTHER[URL]}',
            fix('arch-mismatch', unsaved.image(URL),
                data={'arch': None, 'kind': 'image'}))

    def test_driver(self):
        self.assertEqual(
            'DO. The inventory of the node says what is in it; when that is '
            f'old: openstack baremetal node inspect {unsaved.NODE_ID}. A new '
            f'image: {ANOTHER[URL]}', fix(
                'driver-missing', unsaved.image(URL),
                data={'devices': 'x', 'kernel': 'y'}))

    def test_what_the_source_says(self):
        self.assertEqual('DO.', fix('image-unreadable'))

    def test_older_tls(self):
        for href, option in (
                (unsaved.IMAGE_ID, 'the TLS options of its endpoint'),
                (URL, '[DEFAULT]webserver_tls_minimum_version = 1.2')):
            self.assertEqual(
                'Update the server; or let ironic-conductor accept TLS 1.2 '
                f'of all of them by {option}.',
                remedies.tls(unsaved.image(href)))
