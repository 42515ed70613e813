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

import types
import unittest

from oslo_config import fixture
import requests

from ironic.conf import CONF

from ironic_imagedeploy.conductor import images
from ironic_imagedeploy import engine
from tests.unit.conductor import unsaved

GLANCE = object()


def made(href='http://192.0.2.1/x', **values):
    """A file on its way to a node."""
    return images.InstanceImage(**{
        'node': types.SimpleNamespace(uuid='the-node', instance_info={},
                                      driver_info={}),
        'href': href, 'glance': None, 'declared': images.DeclaredImage(),
        **values})


def blob(authorization=None):
    return images.RegistryBlob(url='https://192.0.2.2/v2/x/blobs/sha256:1',
                               session=requests.Session(),
                               authorization=authorization)


class DeclaredTest(unittest.TestCase):

    def test_nothing_is_declared(self):
        found = images.DeclaredImage()
        self.assertEqual((None, None, None, False, 0), (
            found.disk_format, found.checksum, found.size, found.public,
            found.min_disk))

    def test_sizes(self):
        for stated in (None, 5):
            self.assertIsNone(
                images.DeclaredImage(size=stated).wrong_size(5))
        for stated in (0, 4, 6):
            found = images.DeclaredImage(size=stated).wrong_size(5)
            self.assertEqual(
                ('truncated', f'{stated} bytes', '5 bytes', {'size': 5}),
                (found.code, found.expected, found.found, found.data))


class NamesTest(unittest.TestCase):

    def test_places(self):
        for href, values, scheme, path, name, address in (
                ('HTTP://user:word@192.0.2.1/x?sig=1', {}, 'http', None,
                 engine.redact('HTTP://user:word@192.0.2.1/x?sig=1'), None),
                ('file:///images/x', {}, 'file', '/images/x', '/images/x',
                 None),
                ('abc://x', {}, 'abc', None, 'abc://x', None),
                (unsaved.IMAGE_ID, {'glance': GLANCE}, 'glance', None,
                 f'glance:{unsaved.IMAGE_ID}', None),
                ('oci://192.0.2.2/x', {'registry': blob()}, 'oci', None,
                 'oci://192.0.2.2/x', blob().url)):
            found = made(href, **values)
            self.assertEqual(
                (scheme, path, name, address or href),
                (found.scheme, found.path, found.name, found.address))
            self.assertEqual(f'kernel {name}', made(
                href, role='kernel', **values).name)

    def test_roles(self):
        self.assertEqual('x', images.named('x', 'disk'))
        for role in ('a', 'ramdisk'):
            self.assertEqual(f'{role} x', images.named('x', role))

    def test_secrets_are_not_shown(self):
        self.assertNotIn('53cret', repr(blob('Bearer 53cret')))

    def test_formats(self):
        for declared, found in (('raw', 'raw'), ('gpt', 'raw'),
                                ('qcow2', 'qcow2'), (None, None)):
            self.assertEqual(found, made(declared=images.DeclaredImage(
                disk_format=declared)).disk_format)

    def test_checksum(self):
        checksum = engine.Checksum('sha256', '0' * 64)
        self.assertIs(checksum, made(declared=images.DeclaredImage(
            checksum=checksum)).checksum)

    def test_files_of_the_conductor(self):
        found = made(role='kernel')
        folder = f'{CONF.pxe.images_path.rstrip("/")}/the-node'
        self.assertEqual(
            (f'{folder}/kernel', f'{folder}/manifest',
             f'{folder}/disk-manifest'),
            (found.instance_file, found.manifest_file,
             found.disk_manifest_file))

    def test_what_is_assumed(self):
        found = made()
        self.assertEqual((False, False, (), 'disk'), (
            found.partition, found.has_kernel, found.devices, found.role))


class ServedTest(unittest.TestCase):

    def setUp(self):
        super().setUp()
        self.conf = self.enterContext(fixture.Config(CONF))

    def test_who_gives_it_to_the_node(self):
        for values, expected in (
                ({'href': unsaved.IMAGE_ID, 'glance': GLANCE},
                 {'http': True, 'local': True, 'swift': False}),
                ({}, {'http': False, 'local': True, 'swift': False}),
                ({'href': 'file:///x'},
                 {'http': True, 'local': True, 'swift': True}),
                ({'href': 'oci://x/y', 'registry': blob()},
                 {'http': False, 'local': True, 'swift': False}),
                ({'href': 'oci://x/y', 'registry': blob('Bearer x')},
                 {'http': True, 'local': True, 'swift': True})):
            for source, is_served in expected.items():
                self.conf.config(image_download_source=source, group='agent')
                found = made(**values)
                self.assertIs(is_served, found.served_by_conductor,
                              (values, source))
