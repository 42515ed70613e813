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

import errno
import hashlib
import os
import shutil
import signal
from unittest import mock

import requests

from ironic.conductor import task_manager
from ironic.drivers.modules import deploy_utils

from ironic_imagedeploy.conductor.cache import delivery
from ironic_imagedeploy.conductor import declared
from ironic_imagedeploy.conductor import order
from ironic_imagedeploy.conductor import serving
from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import manifest
from ironic_imagedeploy.engine.transfer import disk_manifest
from tests.support import images
from tests.unit.conductor.cache import cached

MIB = 1 << 20


class DiskManifestTestCase(cached.CacheTestCase):

    def setUp(self):
        super().setUp()
        self.config(disk_manifests=True, group='imagedeploy')

    def order(self, node=None):
        """What is ordered from a node."""
        node = node or self.node
        with task_manager.acquire(self.context, node.uuid,
                                  shared=False) as task:
            order.give(task, serving.provide(task))
            return task.node.driver_internal_info['imagedeploy']

    def served(self, node=None):
        """What the order says of the manifest of the disk."""
        return self.order(node).get('disk_manifest')

    def assert_manifest(self, served, guest=None, algorithm='sha512',
                        image=None):
        """It is that of the disk, bound to the file."""
        guest = guest or self.guest.read_bytes()
        encoded = requests.get(served['url'], timeout=60).content
        self.assertEqual(served['size'], len(encoded))
        found = manifest.Manifest.decode(
            encoded, root=served['root'], size=len(guest),
            checksum=engine.Checksum(algorithm, hashlib.new(
                algorithm, image or self.image).hexdigest()))
        for index in range(found.count):
            start, end = found.bounds(index)
            self.assertTrue(found.matches(index, guest[start:end]))

    def making(self):
        """Count the disks that are hashed from now on."""
        patcher = mock.patch.object(
            disk_manifest, 'make', autospec=True,
            side_effect=disk_manifest.make)
        self.addCleanup(patcher.stop)
        return patcher.start()

    def manifests(self):
        return sorted(self.master.glob('*.manifest'))


class ServingTest(DiskManifestTestCase):

    def test_beside_that_of_the_file(self):
        found = self.order()
        self.assert_manifest(found['disk_manifest'])
        self.assertNotEqual(found['manifest']['root'],
                            found['disk_manifest']['root'])
        self.assertEqual(
            {hashlib.sha256(path.read_bytes()).hexdigest()
             for path in self.manifests()},
            {found[key]['root'] for key in ('manifest', 'disk_manifest')})

    def test_the_file_is_cut_finer(self):
        for finer, chunk_size in ((True, 256 << 10), (False, MIB)):
            self.config(disk_manifests=finer, group='imagedeploy')
            # What is in the cache keeps the manifest that it has.
            shutil.rmtree(self.master, ignore_errors=True)
            encoded = requests.get(self.order()['manifest']['url'],
                                   timeout=60).content
            self.assertEqual(chunk_size, manifest.Manifest.decode(
                encoded).chunk_size)

    def test_off_by_default(self):
        self.cfg_fixture.conf.clear_override('disk_manifests',
                                             group='imagedeploy')
        making = self.making()
        self.assertIsNone(self.served())
        self.assertEqual(1, len(self.manifests()))
        making.assert_not_called()

    def test_not_where_the_file_is_hashed(self):
        for verify in ('file', 'both'):
            self.config(verify=verify, group='imagedeploy')
            self.assertIsNone(self.served())

    def test_none_of_what_is_not_compressed(self):
        plain = images.convert(self.guest, self.directory / 'plain')
        self.glance.register(plain)
        inspections = self.inspections()
        self.assertIsNone(self.served())
        looks = inspections.call_count
        self.assertIsNone(self.served(self.another_node()))
        self.assertEqual(looks, inspections.call_count)

    def test_other_nodes_cost_nothing(self):
        making = self.making()
        first = self.served()
        sent = self.transferred(self.glance)
        second = self.served(self.another_node())
        self.assertEqual((1, []), (making.call_count, sent))
        self.assertEqual(first['root'], second['root'])
        self.assertNotEqual(first['url'], second['url'])
        self.assert_manifest(second)

    def test_withdrawn(self):
        self.served()
        with self.task(shared=False) as task:
            task.driver.deploy.clean_up(task)
        self.assertEqual([], os.listdir(self.http / 'agent_images'))
        self.assertNotIn('disk_manifest', self.refreshed()
                         .driver_internal_info['imagedeploy'])

    def test_another_conductor_serves_it_itself(self):
        before = self.served()
        after = self.taken_over()['disk_manifest']
        self.assertNotEqual(before['url'], after['url'])
        self.assertEqual(before['root'], after['root'])
        self.assert_manifest(after)

    def test_gone_from_a_node_with_another_image(self):
        self.served()
        plain = images.convert(self.guest, self.directory / 'plain')
        self.glance.register(plain)
        self.assertIsNone(self.served())
        self.assertEqual(
            {self.node.uuid, f'{self.node.uuid}-manifest'},
            set(os.listdir(self.http / 'agent_images')))


class CacheTest(DiskManifestTestCase):

    def test_turned_on_with_a_full_cache(self):
        self.config(disk_manifests=False, group='imagedeploy')
        self.order()
        self.config(disk_manifests=True, group='imagedeploy')
        sent = self.transferred(self.glance)
        self.assert_manifest(self.served(self.another_node()))
        self.assertEqual([], sent)

    def test_lost_or_damaged(self):
        first = self.served()
        path = next(path for path in self.manifests()
                    if first['root'] in path.name)
        sent = self.transferred(self.glance)
        for damage in (path.unlink, lambda: path.write_bytes(b'')):
            damage()
            self.assert_manifest(self.served(self.another_node()))
        self.assertEqual([], sent)

    def test_image_that_changed(self):
        before = self.served()
        guest, image = images.bootable(4 * MIB, seed=2)
        changed = self.directory / 'other.qcow2'
        changed.write_bytes(image)
        self.glance.register(changed)
        after = self.served(self.another_node())
        self.assert_manifest(after, guest, image=image)
        # A node that is being deployed keeps what it was given.
        self.assert_manifest(before)
        self.assertEqual(2, len(self.manifests()))

    def test_master_that_was_damaged(self):
        self.served()
        with next(self.master.glob('*.stored')).open('r+b') as file:
            file.write(b'damaged')
        self.config(cache_recheck_interval=0, group='imagedeploy')
        self.assert_manifest(self.served(self.another_node()))

    def test_another_algorithm_for_the_same_url(self):
        self.config(image_download_source='local', group='agent')
        self.use()
        making = self.making()
        self.assert_manifest(self.served(), algorithm='sha256')
        info = {**self.node.instance_info, 'image_os_hash_algo': 'sha512',
                'image_os_hash_value': hashlib.sha512(self.image).hexdigest()}
        self.assert_manifest(self.served(self.another_node(
            instance_info=info)))
        self.assertEqual(1, making.call_count)

    def test_ironics_clean_up(self):
        self.served()
        self.config(image_cache_ttl=1, group='pxe')
        for path in self.master.iterdir():
            os.utime(path, (1, 1))
        deploy_utils.InstanceImageCache().clean_up()
        self.assert_manifest(self.served(self.another_node()))


class FailureTest(DiskManifestTestCase):
    """No deployment fails for it."""

    def assert_deployed_without(self):
        found = self.order()
        self.assertNotIn('disk_manifest', found)
        self.assertIn('manifest', found)
        self.assert_provided()
        self.assertEqual([], self.workshop())

    def test_a_disk_that_is_full(self):
        replace = os.replace
        counts = []

        def full(source, target):
            if target.endswith('.manifest'):
                counts.append(target)
                if len(counts) > 1:
                    raise OSError(errno.ENOSPC, 'No space left on device')
            replace(source, target)
        with mock.patch.object(os, 'replace', full):
            self.assert_deployed_without()
        # The next node tries again.
        self.assert_manifest(self.served(self.another_node()))

    def test_a_cluster_that_cannot_be_decoded(self):
        damaged = bytearray(self.image)
        with engine.open_source(str(self.qcow2)) as source:
            found = engine.inspect(source, engine.Expectation()).accepted()
            extent = [each for each in found.extents()
                      if each.kind is engine.ExtentKind.COMPRESSED][-1]
        damaged[extent.source_offset:extent.source_end] = (
            bytes([0xff]) * extent.source_length)
        image = self.directory / 'damaged.qcow2'
        image.write_bytes(damaged)
        self.glance.register(image)
        self.image = bytes(damaged)
        self.assert_deployed_without()

    def test_killed_in_the_middle(self):
        with self.task() as task:
            image = declared.image(task)
        with mock.patch.object(disk_manifest, 'make', autospec=True,
                               side_effect=lambda *_: os.kill(
                                   os.getpid(), signal.SIGKILL)):
            child = cached.fork(lambda: delivery.provide(
                image, engine.Expectation(checksum=image.checksum)))
            self.assertEqual((child, signal.SIGKILL), os.waitpid(child, 0))
        sent = self.transferred(self.glance)
        self.assert_manifest(self.served())
        self.assertEqual([], sent)
