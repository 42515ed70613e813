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

import concurrent.futures
import dataclasses
import hashlib
import os
import pathlib
import time
from unittest import mock

import requests

from ironic.common import exception
from ironic.conductor import task_manager
from ironic.drivers.modules import deploy_utils

from ironic_imagedeploy.conductor.cache import delivery
from ironic_imagedeploy.conductor import declared
from ironic_imagedeploy import engine
from tests.support import images
from tests.unit.conductor import base
from tests.unit.conductor.cache import cached

fork = cached.fork
MIB = 1 << 20


class OneDownloadTest(cached.CacheTestCase):

    def test_hash_and_verdict_lie_beside_the_master(self):
        inspect = self.inspections()
        provided = self.provide()
        self.assert_provided()
        master, = self.masters()
        status = master.stat()
        record = self.record()
        self.assertEqual([status.st_dev, status.st_ino, len(self.image),
                          status.st_mtime_ns], record['identity'])
        digest = hashlib.sha512(self.image).hexdigest()
        self.assertEqual({'sha512': digest}, record['checksums'])
        self.assertEqual(engine.Checksum('sha512', digest), provided.checksum)
        verdict, = record['verdicts'].values()
        self.assertEqual(('qcow2', 4 * MIB, []),
                         (verdict['format'], verdict['virtual_size'],
                          verdict['findings']))
        inspect.assert_called_once()
        self.assertEqual([], self.workshop())

    def test_other_nodes_cost_no_download_and_no_inspection(self):
        self.provide()
        sent, inspect = self.transferred(self.glance), self.inspections()
        for _ in range(3):
            node = self.another_node()
            self.provide(node)
            self.assert_provided(node)
        self.assertEqual([], sent)
        inspect.assert_not_called()

    def test_validation_of_a_cached_image_reads_nothing(self):
        self.provide()
        sent, inspect = self.transferred(self.glance), self.inspections()
        with self.task() as task:
            task.driver.deploy.validate(task)
        self.assertEqual([], sent)
        inspect.assert_not_called()

    def test_the_image_comes_once_over_the_wire(self):
        noise = self.directory / 'noise'
        noise.write_bytes(self.guest.read_bytes()[:MIB] + os.urandom(9 * MIB))
        large = images.convert(noise, self.directory / 'large.qcow2')
        self.glance.register(large)
        sent = self.transferred(self.glance)
        self.provide()
        # The front is not asked for twice; the tables are.
        self.assertLess(sum(sent), large.stat().st_size + MIB)
        self.assert_provided(content=large.read_bytes())

    def test_nodes_at_the_same_time(self):
        nodes = [self.another_node() for _ in range(12)]
        sent, inspect = self.transferred(self.glance), self.inspections()
        self.slow_down()
        with task_manager.acquire(self.context, self.node.uuid,
                                  shared=False) as task:
            image = declared.image(task)
        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            list(pool.map(lambda node: self.give(node, image), nodes))
        self.assertLess(sum(sent), 2 * len(self.image))
        inspect.assert_called_once()
        self.assertEqual(1 + len(nodes), self.masters()[0].stat().st_nlink)

    def test_processes_at_the_same_time(self):
        nodes = [self.another_node() for _ in range(4)]
        sent = self.transferred(self.glance)
        self.slow_down()
        with self.task() as task:
            image = declared.image(task)
        children = [fork(lambda node=node: self.give(node, image))
                    for node in nodes]
        for child in children:
            self.assertEqual(0, os.waitpid(child, 0)[1])
        self.assertLess(sum(sent), 2 * len(self.image))
        self.assertEqual(1 + len(nodes), self.masters()[0].stat().st_nlink)

    def test_a_bad_image_is_downloaded_once_for_those_who_wait(self):
        self.glance.register(self.qcow2, os_hash_value='0' * 128)
        nodes = [self.another_node() for _ in range(6)]
        with self.task() as task:
            image = declared.image(task)
        sent = self.transferred(self.glance)
        self.slow_down(2)
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            errors = list(pool.map(
                lambda node: self.failure(node, image), nodes))
        self.assertEqual({engine.exceptions.ChecksumMismatch},
                         set(map(type, errors)))
        self.assertLess(sum(sent), 2 * len(self.image))

    def test_another_boot_mode_is_another_verdict(self):
        self.provide()
        sent = self.transferred(self.glance)
        node = self.another_node(properties={
            'capabilities': 'boot_mode:uefi'})
        error = self.assertRaises(exception.InvalidParameterValue,
                                  self.provide, node)
        self.assertIn('no-esp', str(error))
        self.assertEqual([], sent)
        self.assertFalse(os.path.lexists(self.instance(node)))
        self.assertEqual(2, len(self.record()['verdicts']))

    def give(self, node, image):
        delivery.provide(
            dataclasses.replace(image, node=node),
            engine.Expectation(checksum=image.checksum))

    def failure(self, node, image):
        try:
            self.give(node, image)
        except engine.exceptions.ImageDeployError as error:
            return error

    def slow_down(self, seconds=0.5):
        answer = self.glance.answer

        def slow(exchange):
            if exchange.file.name != base.IMAGE_ID:
                time.sleep(seconds)
            answer(exchange)

        self.glance.answer = slow


class OtherSourcesTest(cached.CacheTestCase):

    def test_web_image_is_for_those_who_may_read_it(self):
        self.config(image_download_source='local', group='agent')
        self.server.answer = lambda exchange: (
            exchange.serve() if exchange.headers.get('Authorization')
            == 'Bearer token' else exchange.refuse(401))
        self.use(image_request_authorization_secret='Bearer token')
        self.provide()
        node = self.another_node(instance_info={
            **self.node.instance_info,
            'image_request_authorization_secret': 'Bearer other'})
        error = self.assertRaises(exception.InvalidParameterValue,
                                  self.provide, node)
        self.assertIn('image-unreadable', str(error))
        self.assertNotIn('other', str(error))
        self.assertFalse(os.path.lexists(self.instance(node)))

    def test_web_image_is_downloaded_once(self):
        self.config(image_download_source='local', group='agent')
        self.use()
        self.provide()
        node = self.another_node()
        self.server.requests.clear()
        self.provide(node)
        self.assertEqual(['bytes=0-1048575'], self.server.requests)
        self.assert_provided(node)

    def test_file_is_hashed_once_and_never_written_to(self):
        self.config(file_url_allowed_paths=[str(self.web)], group='conductor')
        self.use(f'file://{self.qcow2}', image_os_hash_algo=None,
                 image_os_hash_value=None)
        info = self.node.instance_info
        self.provide()
        with mock.patch.object(delivery._Delivery, '_fetch',
                               autospec=True) as fetch:
            for node in (self.another_node(instance_info=info), self.node):
                self.provide(node)
                self.assert_provided(node)
        fetch.assert_not_called()
        self.assertEqual(self.image, self.qcow2.read_bytes())

    def test_changed_file(self):
        self.config(file_url_allowed_paths=[str(self.web)], group='conductor')
        self.use(f'file://{self.qcow2}', image_os_hash_algo=None,
                 image_os_hash_value=None)
        info = self.node.instance_info
        first = self.provide()
        with self.qcow2.open('ab') as file:
            file.write(bytes(512))
        second = self.provide(self.another_node(instance_info=info))
        self.assertNotEqual(first.checksum, second.checksum)
        self.assertEqual(
            hashlib.sha256(self.qcow2.read_bytes()).hexdigest(),
            second.checksum.value)

    def test_without_a_cache(self):
        self.config(instance_master_path='', group='pxe')
        self.provide()
        self.assert_provided()
        self.assertEqual(self.image, requests.get(
            self.refreshed().instance_info['image_url'], timeout=60).content)
        deploy_utils.destroy_http_instance_images(self.node)
        self.assertEqual([], list(pathlib.Path(
            self.directory / 'images').iterdir()))
