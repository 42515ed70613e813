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

import types
import unittest
from unittest import mock

from oslo_config import fixture

from ironic.common import exception
from ironic.conf import CONF

from ironic_imagedeploy.conductor import declared
from ironic_imagedeploy.conductor import images
from ironic_imagedeploy.conf import opts
from ironic_imagedeploy import engine
from tests.unit.conductor import unsaved

URL = 'http://192.0.2.1/disk'
CHECKSUM = engine.Checksum('sha512', 'ab' * 64)
STATED = {'image_os_hash_algo': 'sha512', 'image_os_hash_value': 'ab' * 64}


class DeclaredTestCase(unittest.TestCase):

    def setUp(self):
        super().setUp()
        opts.register_opts(CONF)
        self.conf = self.enterContext(fixture.Config(CONF))
        self.conf.config(permitted_formats=['raw', 'qcow2'],
                         group='imagedeploy')
        self.of_glance = images.DeclaredImage(checksum=CHECKSUM)
        self.service = self.enterContext(mock.patch.object(
            declared.glance, 'ImageService', autospec=True))
        self.glance = self.enterContext(mock.patch.object(
            declared.glance, 'declared', autospec=True,
            side_effect=lambda *_: self.of_glance))

    def task(self, href=URL, whole_disk=True, **info):
        return types.SimpleNamespace(context='the context', node=unsaved.node(
            driver_internal_info={'is_whole_disk_image': whole_disk},
            instance_info={'image_source': href, **STATED, **info}))


class DeployableTest(DeclaredTestCase):

    def deployable(self, *arguments, **info):
        return declared.deployable(self.task(*arguments, **info))

    def test_images(self):
        for whole_disk, found in ((True, True), (False, True),
                                  (None, False)):
            self.assertIs(found, self.deployable(whole_disk=whole_disk))
        for href, found in (
                (URL, True), ('https://192.0.2.1/x', True),
                ('file:///x', True), (unsaved.IMAGE_ID, True),
                ('ftp://192.0.2.1/x', False), ('a://x', False),
                ('zzz://x', False), ('', False), (None, False)):
            self.assertIs(found, self.deployable(href), href)

    def test_formats(self):
        for disk_format, found in (
                (None, True), ('', True), ('raw', True), ('gpt', True),
                ('qcow2', True), ('vdi', False), ('a', False),
                ('zzz', False)):
            self.assertIs(found, self.deployable(
                image_disk_format=disk_format), disk_format)

    def test_what_cannot_be_used(self):
        self.assertFalse(self.deployable(image_os_hash_value='x'))
        self.assertFalse(self.deployable(root_gb='x'))


class ImageTest(DeclaredTestCase):

    def test_of_the_user_of_the_node(self):
        task = self.task(image_disk_format='raw')
        self.assertEqual(images.InstanceImage(
            node=task.node, href=URL, glance=None,
            declared=images.DeclaredImage(disk_format='raw',
                                          checksum=CHECKSUM)),
            declared.image(task))
        self.glance.assert_not_called()

    def test_of_glance(self):
        for href in (unsaved.IMAGE_ID, f'glance://{unsaved.IMAGE_ID}'):
            task = self.task(href)
            found = declared.image(task)
            self.assertIs(self.of_glance, found.declared)
            self.assertIs(self.service.return_value, found.glance)
            self.service.assert_called_with(context='the context')
            self.glance.assert_called_with(found.glance, task.node, href)

    def test_of_a_registry(self):
        task = self.task('oci://192.0.2.1/x')
        with mock.patch.object(
                declared.registry, 'declared', autospec=True,
                return_value=(self.of_glance, 'a blob')) as told:
            found = declared.image(task)
        told.assert_called_once_with(task.node, 'oci://192.0.2.1/x')
        self.assertEqual((self.of_glance, 'a blob', None),
                         (found.declared, found.registry, found.glance))

    def test_kinds(self):
        for whole_disk, partition in ((True, False), (False, True),
                                      (None, False)):
            self.assertIs(partition, declared.image(
                self.task(whole_disk=whole_disk)).partition)

    def test_kernels(self):
        self.assertFalse(declared.image(self.task()).has_kernel)
        for role in ('kernel', 'ramdisk'):
            self.assertTrue(declared.image(self.task(
                **{role: URL})).has_kernel)
            self.assertFalse(declared.image(self.task(
                **{role: ''})).has_kernel)
            self.of_glance = images.DeclaredImage(boot_files={role: 'x'})
            self.assertTrue(declared.image(
                self.task(unsaved.IMAGE_ID)).has_kernel)

    def test_fields_are_checked_first(self):
        self.assertRaises(exception.InvalidParameterValue, declared.image,
                          self.task(unsaved.IMAGE_ID, root_gb='x'))
        self.service.assert_not_called()


class BootFileTest(DeclaredTestCase):

    def boot_file(self, href, of=None, **info):
        task = self.task(**info)
        found = declared.boot_file(task, 'ramdisk', href, of=of)
        self.assertEqual((task.node, href, 'ramdisk', of),
                         (found.node, found.href, found.role, found.of))
        return found

    def test_of_the_user_of_the_node(self):
        found = self.boot_file(URL, ramdisk_checksum=f'sha512:{"ab" * 64}')
        self.assertEqual((None, images.DeclaredImage(checksum=CHECKSUM)),
                         (found.glance, found.declared))
        with self.assertRaises(exception.InvalidParameterValue) as caught:
            self.boot_file(URL)
        self.assertIn('checksum-missing', str(caught.exception))

    def test_of_glance(self):
        for of in (None, unsaved.image()):
            found = self.boot_file(unsaved.IMAGE_ID, of)
            self.assertIs(self.of_glance, found.declared)
            self.glance.assert_called_with(
                self.service.return_value, mock.ANY, unsaved.IMAGE_ID,
                'ramdisk')

    def test_an_image_names_nothing_outside_of_glance(self):
        for href in (URL, 'x' * 99, f'glance://{unsaved.IMAGE_ID}'):
            with self.assertRaises(
                    exception.InvalidParameterValue) as caught:
                self.boot_file(href, unsaved.image())
            self.assertIn(
                'image-not-found: The image names a ramdisk that is not in '
                'Glance. Expected the UUID of an image in ramdisk_id, found '
                + repr(href[:80]) + '. openstack image set --property '
                f'ramdisk_id=ID {unsaved.IMAGE_ID}, or name it for this node '
                'alone: openstack baremetal node set --instance-info '
                f'kernel=URL --instance-info ramdisk=URL {unsaved.NODE_ID}',
                str(caught.exception))
