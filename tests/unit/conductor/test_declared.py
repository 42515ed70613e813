#!/usr/bin/env python3
#
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

from ironic.common import exception

from ironic_imagedeploy.conductor import declared
from tests.unit.conductor import base

ROOT = 'https://192.0.2.1'


class DeclaredTestCase(base.ConductorTestCase):

    def set(self, info, **internal):
        self.node.instance_info = info
        self.node.driver_internal_info = internal
        self.node.save()


class DeployableTest(DeclaredTestCase):

    def deployable(self, whole_disk=True, **info):
        self.use(**info)
        self.set(self.node.instance_info, is_whole_disk_image=whole_disk)
        with self.task() as task:
            return declared.deployable(task)

    def test_an_image(self):
        for whole_disk in (True, False):
            self.assertTrue(self.deployable(whole_disk))
        self.assertTrue(self.deployable(image_disk_format=None))
        self.assertTrue(self.deployable(image_disk_format=''))

    def test_what_is_not_known_yet(self):
        self.assertFalse(self.deployable(None))
        self.assertFalse(self.deployable(image_source=None))
        self.assertFalse(self.deployable(image_source=''))

    def test_what_cannot_be_used(self):
        self.assertFalse(self.deployable(image_os_hash_value='x'))
        self.assertFalse(self.deployable(image_source='ftp://192.0.2.1/x'))

    def test_formats(self):
        self.config(permitted_formats=['raw'], group='imagedeploy')
        for form, permitted in (('raw', True), ('gpt', True),
                                ('qcow2', False)):
            self.assertEqual(permitted,
                             self.deployable(image_disk_format=form), form)


class ImageTest(DeclaredTestCase):

    def declared(self, whole_disk=True, **info):
        self.use(**info)
        self.set(self.node.instance_info, is_whole_disk_image=whole_disk)
        with self.task() as task:
            return declared.image(task)

    def test_what_the_user_of_the_node_gives(self):
        found = self.declared()
        self.assertEqual(
            (self.server.url('disk.qcow2'), None, None, 'qcow2', 'sha256'),
            (found.href, found.glance, found.registry, found.disk_format,
             found.checksum.algorithm))

    def test_what_glance_gives(self):
        self.glance.register(self.qcow2, disk_format='raw')
        found = self.declared(source=base.IMAGE_ID)
        self.assertEqual(('glance', 'raw', 'sha512'), (
            found.scheme, found.disk_format, found.checksum.algorithm))

    def test_kinds(self):
        for whole_disk, partition in ((True, False), (False, True),
                                      (None, False)):
            self.assertIs(partition, self.declared(whole_disk).partition)

    def test_a_kernel_that_comes_with_it(self):
        self.assertFalse(self.declared().has_kernel)
        for role in ('kernel', 'ramdisk'):
            self.assertTrue(self.declared(**{role: f'{ROOT}/x'}).has_kernel)
        self.glance.register(self.qcow2, kernel_id=base.IMAGE_ID)
        self.assertTrue(self.declared(source=base.IMAGE_ID).has_kernel)


class BootFileTest(DeclaredTestCase):

    def boot_file(self, href, *, of=None, **info):
        self.use(**info)
        with self.task() as task:
            return declared.boot_file(task, 'kernel', href, of=of and (
                declared.image(task)))

    def test_what_the_user_of_the_node_gives(self):
        self.node.set_instance_info('kernel', f'{ROOT}/kernel')
        found = self.boot_file(f'{ROOT}/kernel',
                               kernel_checksum='ab' * 32)
        self.assertEqual(
            (f'{ROOT}/kernel', None, 'kernel', None, 'sha256'),
            (found.href, found.glance, found.role, found.of,
             found.checksum.algorithm))

    def test_what_glance_gives(self):
        self.glance.register(self.qcow2)
        found = self.boot_file(base.IMAGE_ID, of=True,
                               source=base.IMAGE_ID)
        self.assertEqual(('glance', 'kernel', base.IMAGE_ID), (
            found.scheme, found.role, found.of.glance_id))

    def test_an_image_names_nothing_outside_of_glance(self):
        self.glance.register(self.qcow2)
        for href in ('file:///etc/shadow', f'{ROOT}/{"x" * 200}',
                     f'glance://{base.IMAGE_ID}x'):
            error = self.assertRaises(
                exception.InvalidParameterValue, self.boot_file, href,
                of=True, source=base.IMAGE_ID)
            for words in ('The image names a kernel that is not in Glance',
                          'expected the UUID of an image in kernel_id',
                          f"found '{href[:80]}'.",
                          f'--property kernel_id=ID {base.IMAGE_ID}',
                          self.node.uuid):
                self.assertIn(words.lower(), str(error).lower())
