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
from unittest import mock

from oslo_config import fixture
from oslo_utils import units

from ironic.conf import CONF

from ironic_imagedeploy.conductor.checks import metadata
from ironic_imagedeploy.conductor.checks import start
from ironic_imagedeploy.conf import opts
from ironic_imagedeploy import engine
from tests.unit.conductor import unsaved

ANOTHER = ('openstack image create --disk-format qcow2 --container-format '
           'bare --file FILE NAME, and openstack baremetal node set '
           f'--instance-info image_source=ID {unsaved.NODE_ID}')


def image_set(option):
    return f'openstack image set {option} {unsaved.IMAGE_ID}'


class MetadataTest(unittest.TestCase):

    def setUp(self):
        super().setUp()
        opts.register_opts(CONF)
        self.conf = self.enterContext(fixture.Config(CONF))
        self.conf.config(default_boot_mode='bios', group='deploy')
        self.properties = {'cpu_arch': 'x86_64'}

    def objections(self, href=unsaved.IMAGE_ID, role='disk', **declared):
        return list(metadata.objections(unsaved.image(
            href, unsaved.node(properties=self.properties), declared,
            role=role)))

    def test_nothing_stated(self):
        self.assertEqual([], self.objections())

    def test_container(self):
        for container in ('aki', 'ari', 'ami', 'docker', 'ova'):
            self.assertEqual([engine.Finding(
                code='container-format', expected='container_format=bare',
                found=f'container_format={container}',
                fix=f'Upload the image of the disk: {ANOTHER}')],
                self.objections(container_format=container))
        for container in ('bare', 'ovf', None):
            self.assertEqual([], self.objections(container_format=container))

    def test_min_disk(self):
        self.properties['local_gb'] = 1
        self.assertEqual([], self.objections(min_disk=3))
        found, = self.objections(min_disk=4)
        self.assertEqual(
            ('too-large', f'min_disk=4, of {4 * units.Gi} bytes'),
            (found.code, found.found))
        self.assertTrue(found.fix.endswith(
            f'--property local_gb=4 {unsaved.NODE_ID} or correct it: '
            + image_set('--min-disk 0')), found.fix)
        del self.properties['local_gb']
        self.assertEqual([], self.objections(min_disk=4))

    def test_processor(self):
        for name in ('hw_architecture', 'architecture'):
            self.assertEqual([engine.Finding(
                code='arch-mismatch', case='declared',
                data={'kind': 'image', 'arch': 'aarch64'},
                expected=f'{name}=x86_64', found=f'{name}=arm64',
                fix='Use an image for the processor of the node, or correct '
                    'the image: ' + image_set(f'--property {name}=x86_64'))],
                self.objections(architectures={name: 'arm64'}))

    def test_other_names_of_a_processor(self):
        for name in ('amd64', 'AMD64', 'x86_64'):
            self.assertEqual([], self.objections(architectures={'a': name}))
        self.properties['cpu_arch'] = 'amd64'
        self.assertEqual([], self.objections(architectures={'a': 'x86_64'}))
        found, = self.objections(architectures={'a': 'i686'})
        self.assertIn(image_set('--property a=x86_64'), found.fix)

    def test_processor_that_is_not_known(self):
        self.properties.clear()
        self.assertEqual([], self.objections(architectures={'a': 'ppc64le'}))

    def test_a_boot_file_has_a_processor_only(self):
        found, = self.objections(
            role='kernel', container_format='ova', min_disk=999,
            firmware_type='uefi', architectures={'a': 'aarch64'},
            start_findings={'x': 'y'})
        self.assertEqual({'kind': 'kernel', 'arch': 'aarch64'}, found.data)

    def test_firmware(self):
        for mode, other in (('bios', 'uefi'), ('uefi', 'bios')):
            self.properties['capabilities'] = f'boot_mode:{mode}'
            self.assertEqual([], self.objections(firmware_type=mode))
            self.assertEqual([engine.Finding(
                code='firmware-mismatch', data={'boot_mode': other},
                expected=f'hw_firmware_type={mode}, as the node boots',
                found=f'hw_firmware_type={other}',
                fix='openstack baremetal node set --property '
                    f'capabilities=boot_mode:{other} {unsaved.NODE_ID}, or, '
                    f'when the image boots by {mode} too: ' + image_set(
                        f'--property hw_firmware_type={mode}'))],
                self.objections(firmware_type=other))
        for unknown in (None, 'openfirmware'):
            self.assertEqual([], self.objections(firmware_type=unknown))

    def test_how_its_system_starts(self):
        with mock.patch.object(start, 'objections', autospec=True,
                               return_value=[]) as objections:
            self.objections()
            objections.assert_called_once()

    def test_images_of_other_sources_state_nothing(self):
        self.assertEqual([], self.objections(
            'http://192.0.2.1/image', container_format='ova', min_disk=999,
            firmware_type='uefi', architectures={'a': 'aarch64'}))
