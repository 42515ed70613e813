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

import os
import pathlib
import tempfile
import types
import unittest
from unittest import mock

from oslo_config import fixture
import requests

from ironic.common import exception
from ironic.conf import CONF

from ironic_imagedeploy.conductor.cache import access
from ironic_imagedeploy.conductor import images
from ironic_imagedeploy import engine
from tests.support import web

SHA512 = engine.Checksum('sha512', '0' * 128)


class AccessTestCase(unittest.TestCase):

    def setUp(self):
        super().setUp()
        self.conf = self.enterContext(fixture.Config(CONF))
        self.directory = pathlib.Path(self.enterContext(
            tempfile.TemporaryDirectory()))
        (self.directory / 'image').write_bytes(b'the image')
        self.seen = []
        self.servers = sorted((self.serve(), self.serve()),
                              key=lambda server: server.server_port)

    def serve(self):
        server = web.Server(self.directory)
        self.addCleanup(server.stop)

        def answer(exchange):
            self.seen.append(exchange.headers.get('Authorization'))
            exchange.serve()

        server.answer = answer
        return server

    def image(self, href, **values):
        return images.InstanceImage(**{
            'node': types.SimpleNamespace(
                uuid='the-node', instance_info={'image_source': href}),
            'href': href, 'glance': None,
            'declared': images.DeclaredImage(), **values})

    def told(self, url, source, secret='Bearer x'):
        """Logins that a server is told."""
        self.seen.clear()
        access.open_web(types.SimpleNamespace(instance_info={
            'image_source': source,
            'image_request_authorization_secret': secret}), url).close()
        return self.seen


class SecretsTest(AccessTestCase):

    def test_a_secret_is_for_the_server_of_the_image(self):
        first, second = (server.url('image') for server in self.servers)
        for url, source, told in ((first, first, 'Bearer x'),
                                  (first, second, None),
                                  (second, first, None)):
            self.assertEqual([told], self.told(url, source))

    def test_the_login_of_the_conductor(self):
        self.conf.config(group='deploy', image_server_user='user',
                         image_server_password='word',
                         image_server_auth_strategy='http_basic')
        url = self.servers[0].url('image')
        self.assertEqual(['Basic dXNlcjp3b3Jk'], self.told(url, url, None))
        # What the user of the node gives comes first.
        self.assertEqual(['Bearer x'], self.told(url, url))

    def test_certificates(self):
        for stated, verify in (('True', True), ('False', False),
                               ('/etc/ca.pem', '/etc/ca.pem')):
            self.conf.config(webserver_verify_ca=stated)
            url = self.servers[0].url('image')
            real = requests.Session.get
            with mock.patch.object(requests.Session, 'get', autospec=True,
                                   side_effect=real) as get:
                self.told(url, url)
            self.assertEqual(verify, get.call_args.kwargs['verify'])

    def test_the_token_of_a_registry_is_not_told_to_others(self):
        first, second = self.servers
        blob = images.RegistryBlob(url=first.url('image'),
                                   session=requests.Session(),
                                   authorization='Bearer y')
        image = self.image('oci://192.0.2.1/x', registry=blob)
        with access.open_image(image) as source:
            self.assertEqual((['Bearer y'], 'oci://192.0.2.1/x'),
                             (self.seen, source.name))
        self.seen.clear()
        first.answer = lambda exchange: exchange.refuse(
            302, {'Location': second.url('image')})
        access.open_image(image).close()
        self.assertEqual([None], self.seen)


class PatienceTest(unittest.TestCase):

    def options(self, checksum=None, **conf):
        with mock.patch.object(access, 'CONF', types.SimpleNamespace(
                webserver_connection_timeout=3, **conf)):
            return access._options(checksum)

    def test_seconds(self):
        for conf, seconds in (
                ({}, engine.LOOK_TIMEOUT),
                ({'webserver_verify_timeout': None}, engine.LOOK_TIMEOUT),
                ({'webserver_verify_timeout': 5}, 60)):
            found = self.options(**conf)
            self.assertEqual((3, seconds),
                             (found['timeout'], found['look_timeout']))

    def test_whether_a_checksum_tells_the_image(self):
        for checksum, stated in (
                (None, False), (SHA512, True),
                (engine.Checksum('md5', '0' * 32), False)):
            self.assertIs(stated, self.options(checksum)['checksum_stated'])


class PlacesTest(AccessTestCase):

    def test_a_file(self):
        self.conf.config(group='conductor',
                         file_url_allowed_paths=[str(self.directory)])
        path = self.directory / 'image'
        with access.open_image(self.image(f'file://{path}')) as source:
            self.assertEqual((str(path), 9), (source.name, source.size))
        with self.assertRaisesRegex(
                engine.exceptions.SourceError, 'expected a file that exists '
                'in one of the directories of .*file_url_allowed_paths'):
            access.open_image(self.image(f'file://{os.sep}etc/hostname'))

    def test_a_web_server(self):
        url = self.servers[0].url('image?sig=1')
        with access.open_image(self.image(url)) as source:
            self.assertEqual((engine.redact(url), 9),
                             (source.name, source.size))

    def test_other_places(self):
        for href, role, words in (
                ('ftp://192.0.2.1/x', 'disk',
                 'image_source ftp://192.0.2.1/x of node the-node: expected '
                 'an image of Glance or an http, https, file or oci URL, '
                 "found 'ftp'. Put it where"),
                ('zzz://192.0.2.1/x', 'kernel',
                 'kernel zzz://192.0.2.1/x of node the-node: expected an '
                 "image of Glance or an http, https or file URL, found 'zzz'"),
                ('/x', 'disk', "found 'no scheme'"),
                ('nfs://192.0.2.1/x', 'disk',
                 'Mount the share on the conductors, permit its directory by '
                 '[conductor]file_url_allowed_paths, and name the file: '
                 'openstack baremetal node set --instance-info image_source='
                 'file:///PATH the-node'),
                ('smb://192.0.2.1/x', 'ramdisk',
                 '--instance-info ramdisk=file:///PATH the-node')):
            with self.assertRaises(exception.InvalidParameterValue) as caught:
                access.open_image(self.image(href, role=role))
            self.assertIn(words, str(caught.exception))
