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

from ironic_imagedeploy.conductor.cache import record
from ironic_imagedeploy.conductor.checks import separate_kernel
from ironic_imagedeploy.conductor import declared
from tests.unit.conductor import unsaved

NAME = f'glance:{unsaved.IMAGE_ID}'
BOTH = {'kernel': 'the-kernel', 'ramdisk': 'the-ramdisk'}


class NeededTest(unittest.TestCase):

    def needed(self, of_node=None, of_image=None, in_it=False,
               partition=True, has_kernel=True):
        """What is asked for: role, address, and whether the image names it.

        :param in_it: whether the image has a kernel; None where nobody looked.
        """
        node = unsaved.node(instance_info=of_node or {})
        image = unsaved.image(
            node=node, declared={'boot_files': of_image or {}},
            partition=partition, has_kernel=has_kernel)
        task = types.SimpleNamespace(node=node)
        with mock.patch.object(declared, 'boot_file',
                               autospec=True) as boot_file:
            found = separate_kernel.needed(task, image, record.Verdict(
                name=NAME, has_kernel=in_it))
        self.assertEqual([boot_file.return_value] * boot_file.call_count,
                         found)
        for call in boot_file.call_args_list:
            self.assertIs(task, call.args[0])
            self.assertIn(call.kwargs['of'], (None, image))
        return [(*call.args[1:], bool(call.kwargs['of']))
                for call in boot_file.call_args_list]

    def assert_logged(self, level, *words, **values):
        with self.assertLogs(separate_kernel.LOG.logger, level) as logs:
            self.assertEqual([], self.needed(**values))
        for word in words:
            self.assertIn(word, logs.output[0])

    def test_of_the_image(self):
        self.assertEqual([('kernel', 'the-kernel', True),
                          ('ramdisk', 'the-ramdisk', True)],
                         self.needed(of_image=BOTH))

    def test_of_the_node(self):
        for of_image in ({}, {'kernel': 'x', 'ramdisk': 'y'}):
            self.assertEqual([('kernel', 'the-kernel', False),
                              ('ramdisk', 'the-ramdisk', False)],
                             self.needed(BOTH, of_image))

    def test_nobody_looked_into_the_image(self):
        self.assertEqual(2, len(self.needed(BOTH, in_it=None)))

    def test_where_none_is_used(self):
        for values in ({'partition': False}, {'has_kernel': False}):
            self.assertEqual([], self.needed(BOTH, **values))

    def test_the_image_has_one(self):
        self.assert_logged(
            'INFO', f'Image {NAME} of node {unsaved.NODE_ID} has a kernel',
            of_node=BOTH, in_it=True)

    def test_one_without_the_other(self):
        for role in BOTH:
            self.assert_logged(
                'WARNING', f'beside image {NAME} of node {unsaved.NODE_ID}',
                f'found only a {role}', of_node={role: 'x'}, in_it=None)

    def test_halves_are_not_put_together(self):
        self.assertRaises(exception.InvalidParameterValue, self.needed,
                          {'kernel': 'x', 'ramdisk': ''}, BOTH)

    def test_it_could_not_boot(self):
        for role, other in (('kernel', 'ramdisk'), ('ramdisk', 'kernel')):
            for values, command in (
                    ({'of_node': {role: 'x'}},
                     f'openstack baremetal node set --instance-info '
                     f'{other}=ID {unsaved.NODE_ID}'),
                    ({'of_image': {role: 'x'}},
                     f'openstack image set --property {other}_id=ID '
                     f'{unsaved.IMAGE_ID}')):
                with self.assertRaises(
                        exception.InvalidParameterValue) as caught:
                    self.needed(**values)
                self.assertIn(
                    f'{NAME}: the image is refused: no-bootloader: A disk '
                    'with this partition image could not boot. Expected a '
                    'kernel in it, or a kernel and a ramdisk beside it, '
                    f'found a {role} beside it, but no {other}. Give both: '
                    + command, str(caught.exception))


class OptionsTest(unittest.TestCase):

    def setUp(self):
        super().setUp()
        self.conf = self.enterContext(fixture.Config(CONF))
        self.conf.config(kernel_append_params='of=pxe', group='pxe')
        self.boot = types.SimpleNamespace()

    def options(self, **info):
        return separate_kernel.options(types.SimpleNamespace(
            node=unsaved.node(instance_info=info),
            driver=types.SimpleNamespace(boot=self.boot)))

    def test_of_what_boots_the_ramdisk(self):
        self.assertEqual('of=pxe', self.options())
        self.boot.image_publisher_settings = types.SimpleNamespace(
            kernel_params='of=media')
        self.assertEqual('of=media', self.options())
        self.boot.image_publisher_settings.kernel_params = None
        self.assertEqual('', self.options())

    def test_of_the_node(self):
        self.assertEqual('a=b of=pxe',
                         self.options(kernel_append_params='a=b %default%'))

    def test_what_no_menu_can_have(self):
        with self.assertRaises(exception.InvalidParameterValue) as caught:
            self.options(kernel_append_params='a=b c=;d')
        self.assertIn(
            f'node {unsaved.NODE_ID}: the image is refused: '
            'kernel-options-unsafe: The kernel parameters of the node cannot '
            'be written into a boot menu. Expected kernel_append_params of '
            'letters, digits, spaces and _.,:=+/@%^~!#*?[]-, found ',
            str(caught.exception))
        self.assertIn(
            'Set others: openstack baremetal node set --instance-info '
            f'kernel_append_params=PARAMETERS {unsaved.NODE_ID}',
            str(caught.exception))
