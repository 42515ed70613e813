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
import errno
import hashlib
import json
import os
import pathlib
import signal
import subprocess
import time
from unittest import mock

from oslo_utils import uuidutils
import requests

from ironic.common import exception
from ironic.conductor import task_manager
from ironic.drivers.modules import deploy_utils
from ironic.tests.unit.objects import utils as objects_utils

from ironic_imagedeploy.conductor.cache import delivery
from ironic_imagedeploy.conductor import declared
from ironic_imagedeploy.conductor import serving
from ironic_imagedeploy import engine
from tests.support import images
from tests.unit.conductor import base

MIB = 1 << 20


class CacheTestCase(base.ConductorTestCase):

    def setUp(self):
        super().setUp()
        self.config(image_download_source='http', group='agent')
        self.master = self.directory / 'master'
        self.glance.register(self.qcow2)
        self.use(base.IMAGE_ID)

    def another_node(self, **values):
        """A node like the first, for the same image."""
        return objects_utils.create_test_node(self.context, **{
            'uuid': uuidutils.generate_uuid(), 'name': None,
            'driver': 'fake-hardware', 'deploy_interface': 'imagedeploy',
            'network_interface': 'noop',
            'properties': self.node.properties,
            'driver_internal_info': {'is_whole_disk_image': True},
            'instance_info': self.node.instance_info, **values})

    def provide(self, node=None):
        node = node or self.node
        with task_manager.acquire(self.context, node.uuid,
                                  shared=False) as task:
            return serving.provide(task).image

    def instance(self, node=None):
        """What the web server of the conductor gives to the node."""
        return self.http / 'agent_images' / (node or self.node).uuid

    def assert_provided(self, node=None, content=None):
        self.assertEqual(content or self.image,
                         self.instance(node).read_bytes())

    def masters(self):
        """The images in the cache."""
        return sorted(self.master.glob('*.stored'))

    def workshop(self):
        """What is left of work in progress."""
        return sorted((self.master / 'imagedeploy').glob('*.part'))

    def record(self):
        return json.loads(next(self.master.glob('*.json')).read_text())

    def inspections(self):
        """Count the inspections from now on."""
        patcher = mock.patch.object(engine, 'inspect', autospec=True,
                                    side_effect=engine.inspect)
        self.addCleanup(patcher.stop)
        return patcher.start()


class OneDownloadTest(CacheTestCase):

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
        children = [_fork(lambda node=node: self.give(node, image))
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


def _fork(action):
    """Do something in another process."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        action()
        status = 0
    finally:
        os._exit(status)


class ChangesTest(CacheTestCase):

    def changed(self):
        """Another image, under the same name."""
        guest = images.make_guest(self.directory / 'other', 4 * MIB, seed=2)
        base._add_boot_code(guest)
        return images.convert(guest, self.directory / 'other.qcow2',
                              compress=True)

    def test_in_glance(self):
        self.provide()
        changed = self.changed()
        self.glance.register(changed)
        node = self.another_node()
        self.provide(node)
        self.assert_provided(node, changed.read_bytes())
        # A node that is being deployed keeps what it was given.
        self.assert_provided()

    def test_in_glance_but_for_the_size(self):
        self.provide()
        changed = bytearray(self.image)
        changed[-1] ^= 1
        (self.directory / 'changed').write_bytes(changed)
        self.glance.register(self.directory / 'changed')
        node = self.another_node()
        self.provide(node)
        self.assert_provided(node, bytes(changed))

    def test_disk_format_in_glance(self):
        self.provide()
        self.glance.register(self.qcow2, disk_format='raw')
        error = self.assertRaises(exception.InvalidParameterValue,
                                  self.provide, self.another_node())
        self.assertIn('format-mismatch', str(error))

    def test_master_that_somebody_wrote_to(self):
        self.provide()
        self.damage()
        sent = self.transferred(self.glance)
        node = self.another_node()
        self.provide(node)
        self.assertGreaterEqual(sum(sent), len(self.image))
        self.assert_provided(node)

    def test_master_damaged_in_secret(self):
        self.provide()
        status = self.masters()[0].stat()
        self.damage()
        os.utime(self.masters()[0], ns=(status.st_atime_ns,
                                        status.st_mtime_ns))
        self.config(cache_recheck_interval=0, group='imagedeploy')
        node = self.another_node()
        self.provide(node)
        self.assert_provided(node)

    def test_recheck_finds_nothing(self):
        self.provide()
        self.config(cache_recheck_interval=0, group='imagedeploy')
        sent, inspect = self.transferred(self.glance), self.inspections()
        self.provide(self.another_node())
        self.assertEqual([], sent)
        inspect.assert_not_called()

    def test_lost_record(self):
        self.provide()
        next(self.master.glob('*.json')).unlink()
        sent = self.transferred(self.glance)
        node = self.another_node()
        self.provide(node)
        self.assertEqual([], sent)
        self.assert_provided(node)

    def test_damaged_record(self):
        self.provide()
        for content in ('', '[]', '{"identity": 1}', '{"identity": [1], '
                        '"read_at": 1, "checksums": {}, "verdicts": {"a": 1}}'
                        ):
            next(self.master.glob('*.json')).write_text(content)
            node = self.another_node()
            self.provide(node)
            self.assert_provided(node)

    def test_another_algorithm_for_the_same_url(self):
        self.config(image_download_source='local', group='agent')
        self.use()
        self.provide()
        sent = self.transferred(self.server)
        node = self.another_node(instance_info={
            **self.node.instance_info, 'image_os_hash_algo': 'sha512',
            'image_os_hash_value': hashlib.sha512(self.image).hexdigest()})
        self.provide(node)
        self.assertLess(sum(sent), 2 * MIB)
        self.assertEqual({'sha256', 'sha512'},
                         set(self.record()['checksums']))

    def damage(self):
        with self.masters()[0].open('r+b') as file:
            file.seek(-1, os.SEEK_END)
            last = file.read(1)
            file.seek(-1, os.SEEK_END)
            file.write(bytes([last[0] ^ 1]))


class FailuresTest(CacheTestCase):

    def test_no_image_is_evicted(self):
        self.provide()
        self.glance.register(self.qcow2, os_hash_value='0' * 128)
        error = self.assertRaises(exception.InvalidParameterValue,
                                  self.provide, self.another_node())
        for word in ('checksum-mismatch', 'Expected sha512 000',
                     'openstack image create'):
            self.assertIn(word, str(error))
        self.assert_provided()
        self.glance.register(self.qcow2)
        sent = self.transferred(self.glance)
        self.provide(self.another_node())
        self.assertEqual([], sent)

    def test_killed_in_the_middle(self):
        self.large()
        self.glance.answer = lambda exchange: exchange.serve(
            stop_after=3 * MIB, how='stall')
        with self.task() as task:
            image = declared.image(task)
        child = _fork(lambda: delivery.provide(
            image, engine.Expectation(checksum=image.checksum)))
        deadline = time.monotonic() + 60
        while not (self.workshop() and self.workshop()[0].stat().st_size):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.05)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        part, = self.workshop()
        self.assertEqual([], self.masters())
        self.glance.answer = base.web.Exchange.serve
        self.provide()
        self.assert_provided(content=self.content)
        self.assertEqual([part], self.workshop())
        # Nobody writes to it any more.
        os.utime(part, (0, 0))
        next(self.master.glob('*.json')).unlink()
        self.masters()[0].unlink()
        self.provide()
        self.assertEqual([], self.workshop())

    def large(self):
        noise = self.directory / 'noise'
        noise.write_bytes(self.guest.read_bytes()[:MIB] + os.urandom(7 * MIB))
        large = images.convert(noise, self.directory / 'large.qcow2')
        self.content = large.read_bytes()
        self.glance.register(large)

    def test_connection_that_drops(self):
        self.large()
        self.glance.answer = base.web.in_turn(
            *[base.web.Exchange.serve] * 4,
            lambda exchange: exchange.serve(stop_after=2 * MIB, how='reset'))
        self.provide()
        self.assert_provided(content=self.content)

    def test_not_enough_space(self):
        full = mock.Mock(f_frsize=1, f_bavail=1000)
        with mock.patch.object(os, 'statvfs', autospec=True,
                               return_value=full):
            error = self.assertRaises(exception.InsufficientDiskSpace,
                                      self.provide)
        for word in (str(self.master), f'room for {len(self.image)} bytes',
                     'found 1000 bytes', '[pxe]image_cache_size'):
            self.assertIn(word, str(error))
        self.assertEqual([], self.masters() + self.workshop())

    def test_space_that_runs_out(self):
        with mock.patch.object(os, 'fsync', autospec=True, side_effect=OSError(
                errno.ENOSPC, 'No space left on device')):
            self.assertRaises(exception.InsufficientDiskSpace, self.provide)
        self.assertEqual([], self.masters() + self.workshop())

    def test_cache_and_instances_on_two_file_systems(self):
        with mock.patch.object(os, 'link', autospec=True, side_effect=OSError(
                errno.EXDEV, 'Invalid cross-device link')):
            error = self.assertRaises(exception.ImageDownloadFailed,
                                      self.provide)
        self.assertIn('must be on one file system', str(error))

    def test_master_cleaned_away_before_it_is_linked(self):
        self.provide()
        link, lost = os.link, []

        def lose_once(source, target):
            if not lost:
                lost.append(os.unlink(source))
            link(source, target)

        node = self.another_node()
        with mock.patch.object(os, 'link', autospec=True,
                               side_effect=lose_once):
            self.provide(node)
        self.assert_provided(node)

    def test_ironics_clean_up(self):
        self.provide()
        cleaned = deploy_utils.InstanceImageCache()
        cleaned.clean_up(amount=1 << 40)
        self.assertEqual(1, len(self.masters()))
        deploy_utils.destroy_http_instance_images(self.node)
        cleaned.clean_up(amount=1 << 40)
        self.assertEqual([], self.masters())
        self.provide()
        self.assert_provided()

    def test_image_that_cannot_be_inspected_first(self):
        # A qcow2 that grew has its tables at its end.
        self.large()
        grown = self.directory / 'large.qcow2'
        subprocess.run(['qemu-img', 'resize', '-q', grown, '1T'],
                       check=True)
        grown_content = grown.read_bytes()
        self.glance.register(grown)
        self.glance.answer = lambda exchange: (
            exchange.refuse(400) if 'Range' in exchange.headers
            else exchange.serve())
        with self.task() as task:
            task.driver.deploy.validate(task)
        self.provide()
        self.assert_provided(content=grown_content)


class OtherSourcesTest(CacheTestCase):

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
