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
import json
import os
from unittest import mock

import requests

from ironic.common import exception
from ironic.conductor import task_manager
from ironic.drivers.modules import agent
from ironic.drivers.modules import deploy_utils

from ironic_imagedeploy.conductor.cache import delivery
from ironic_imagedeploy.conductor import order
from ironic_imagedeploy.conductor import serving
from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import manifest
from tests.support import images
from tests.unit.conductor.cache import cached

MIB = 1 << 20
SHA512 = 'sha512'


class ManifestTestCase(cached.CacheTestCase):

    def served(self, node=None):
        """What the order says of the manifest of a node; None without it."""
        node = node or self.node
        with task_manager.acquire(self.context, node.uuid,
                                  shared=False) as task:
            order.give(task, serving.provide(task))
            return task.node.driver_internal_info['imagedeploy'].get(
                'manifest')

    def fetched(self, served):
        """The bytes that a node gets of a manifest."""
        return requests.get(served['url'], timeout=60).content

    def assert_manifest(self, served, content=None, algorithm=SHA512):
        """It is that of the image, and bound to it."""
        content = self.image if content is None else content
        encoded = self.fetched(served)
        self.assertEqual(served['size'], len(encoded))
        found = manifest.Manifest.decode(
            encoded, root=served['root'], size=len(content),
            checksum=engine.Checksum(algorithm, hashlib.new(
                algorithm, content).hexdigest()))
        for index in range(found.count):
            start, end = found.bounds(index)
            self.assertTrue(found.matches(index, content[start:end]))

    def manifests(self):
        """The manifests in the cache."""
        return sorted(self.master.glob('*.manifest'))

    def stale(self):
        """Let the next node have the cached image read again."""
        self.config(cache_recheck_interval=0, group='imagedeploy')


class ServingTest(ManifestTestCase):

    def test_beside_the_image_in_one_reading(self):
        sent = self.transferred(self.glance)
        self.assert_manifest(self.served())
        self.assertLess(sum(sent), 2 * len(self.image))
        path, = self.manifests()
        self.assertEqual(self.record()['manifest']['root'],
                         hashlib.sha256(path.read_bytes()).hexdigest())

    def test_other_nodes_cost_nothing(self):
        first = self.served()
        sent = self.transferred(self.glance)
        second = self.served(self.another_node())
        self.assertEqual([], sent)
        self.assertEqual(first['root'], second['root'])
        self.assertNotEqual(first['url'], second['url'])
        self.assert_manifest(second)
        self.assertEqual(3, self.manifests()[0].stat().st_nlink)

    def test_none_where_the_file_is_to_be_hashed(self):
        self.config(verify='file', group='imagedeploy')
        self.assertIsNone(self.served())
        self.assertEqual([], self.manifests())

    def test_none_of_a_file_that_is_too_large(self):
        with mock.patch.object(manifest, 'LARGEST', len(self.image) - 1):
            self.assertIsNone(self.served())
        self.assert_provided()

    def test_none_of_an_image_that_nodes_fetch_themselves(self):
        self.served()
        self.use(image_download_source='http')
        self.assertIsNone(self.served())
        self.assertEqual([self.node.uuid], os.listdir(
            self.http / 'agent_images'))

    def test_withdrawn_when_the_node_is_given_up(self):
        self.served()
        with self.task(shared=False) as task:
            task.driver.deploy.clean_up(task)
        self.assert_withdrawn()

    def test_withdrawn_when_the_image_is_written(self):
        self.served()
        with self.task(shared=False) as task, mock.patch.object(
                agent.AgentDeploy, 'prepare_instance_boot', autospec=True,
                side_effect=lambda _, task:
                deploy_utils.destroy_http_instance_images(task.node)):
            task.driver.deploy.prepare_instance_boot(task)
        self.assert_withdrawn()

    def assert_withdrawn(self):
        self.assertEqual([], os.listdir(self.http / 'agent_images'))
        kept = self.refreshed().driver_internal_info['imagedeploy']
        self.assertNotIn('manifest', kept)
        self.assertIn('verify', kept)

    def test_another_conductor_serves_it_itself(self):
        before = self.served()
        after = self.taken_over()['manifest']
        self.assertNotEqual(before['url'], after['url'])
        self.assertEqual(before['root'], after['root'])
        self.assert_manifest(after)

    def test_another_conductor_makes_none(self):
        self.served()
        self.config(verify='file', group='imagedeploy')
        with self.task(shared=False) as task:
            task.driver.deploy._update_instance_info(task)
        self.assertNotIn('manifest', self.refreshed().driver_internal_info[
            'imagedeploy'])

    def test_without_a_cache(self):
        self.config(instance_master_path='', group='pxe')
        self.assert_manifest(self.served())

    def test_file_of_the_user(self):
        self.config(file_url_allowed_paths=[str(self.web)], group='conductor')
        raw = self.web / 'disk.raw'
        raw.write_bytes(self.guest.read_bytes() + bytes(4 * MIB))
        blocks = raw.stat().st_blocks
        self.use(f'file://{raw}', image_os_hash_algo=None,
                 image_os_hash_value=None, image_disk_format='raw')
        first = self.served()
        self.assert_manifest(first, raw.read_bytes(), 'sha256')
        self.assertEqual(blocks, raw.stat().st_blocks)
        with mock.patch.object(delivery._Delivery, '_fetch',
                               autospec=True) as fetch:
            self.assertEqual(first, self.served())
        fetch.assert_not_called()
        with raw.open('r+b') as file:
            file.seek(6 * MIB)
            file.write(b'changed')
        second = self.served()
        self.assertNotEqual(first['root'], second['root'])
        self.assert_manifest(second, raw.read_bytes(), 'sha256')


class CacheTest(ManifestTestCase):

    def test_nothing_is_kept_of_a_wrong_image(self):
        self.glance.register(self.qcow2, os_hash_value='0' * 128)
        self.assertRaises(exception.InvalidParameterValue, self.served)
        self.assertEqual([], self.manifests() + self.workshop())

    def test_image_that_changed_in_glance(self):
        before = self.served()
        changed = self.directory / 'other.qcow2'
        changed.write_bytes(images.bootable(4 * MIB, seed=2)[1])
        self.glance.register(changed)
        after = self.served(self.another_node())
        self.assert_manifest(after, changed.read_bytes())
        # A node that is being deployed keeps what it was given.
        self.assert_manifest(before)
        self.assertEqual(1, len(self.manifests()))

    def test_cache_of_the_release_before(self):
        self.config(verify='file', group='imagedeploy')
        self.served()
        path = next(self.master.glob('*.json'))
        record = self.record()
        del record['manifest']
        path.write_text(json.dumps(record))
        self.config(verify='chunks', group='imagedeploy')
        sent = self.transferred(self.glance)
        self.assertIsNone(self.served(self.another_node()))
        # It is made when the file is read anyway.
        self.stale()
        self.assert_manifest(self.served(self.another_node()))
        self.assertEqual([], sent)

    def test_lost(self):
        self.served()
        self.manifests()[0].unlink()
        sent = self.transferred(self.glance)
        self.assert_manifest(self.served(self.another_node()))
        self.assertEqual([], sent)

    def test_damaged(self):
        before = self.served()
        path, = self.manifests()
        for content in (b'', bytes(before['size']),
                        path.read_bytes() + b'\0'):
            path.write_bytes(content)
            self.assert_manifest(self.served(self.another_node()))

    def test_damaged_name_in_the_record(self):
        self.served()
        path = next(self.master.glob('*.json'))
        for wrong in ({'root': '../' * 20}, {'size': 'x'}, {'checksum': 5},
                      {'root': None}, {'version': 2}):
            record = self.record()
            record['manifest'].update(wrong)
            path.write_text(json.dumps(record))
            self.assert_manifest(self.served(self.another_node()))

    def test_master_that_was_damaged(self):
        self.served()
        with self.masters()[0].open('r+b') as file:
            file.write(b'damaged')
        self.stale()
        self.assert_manifest(self.served(self.another_node()))

    def test_another_algorithm_for_the_same_url(self):
        self.config(image_download_source='local', group='agent')
        self.use()
        self.assert_manifest(self.served(), algorithm='sha256')
        info = {**self.node.instance_info, 'image_os_hash_algo': SHA512,
                'image_os_hash_value': hashlib.sha512(self.image).hexdigest()}
        self.assert_manifest(self.served(self.another_node(
            instance_info=info)))
        self.assert_manifest(self.served(), algorithm='sha256')

    def test_disk_that_is_full(self):
        replace = os.replace

        def full(source, target):
            if target.endswith('.manifest'):
                raise OSError(errno.ENOSPC, 'No space left on device')
            replace(source, target)

        with mock.patch.object(os, 'replace', autospec=True,
                               side_effect=full):
            self.assertIsNone(self.served())
        self.assert_provided()
        self.assertEqual([], list((self.master / 'imagedeploy').glob(
            '*.manifest')))
        self.stale()
        self.assert_manifest(self.served())

    def test_cleaned_away_before_it_is_linked(self):
        def lose(path, target):
            os.unlink(path)
            return False

        self.served()
        with mock.patch.object(os.path, 'samefile', autospec=True,
                               side_effect=lose):
            self.assertIsNone(self.served(self.another_node()))
        self.assert_manifest(self.served(self.another_node()))

    def test_ironics_clean_up(self):
        self.served()
        cleaned = deploy_utils.InstanceImageCache()
        cleaned.clean_up(amount=1 << 40)
        self.assertEqual(1, len(self.manifests()))
        deploy_utils.destroy_http_instance_images(self.node)
        cleaned.clean_up(amount=1 << 40)
        self.assertEqual([], self.manifests())

    def test_cache_that_is_too_small(self):
        self.config(image_cache_size=1, group='pxe')
        for node in (self.node, self.another_node()):
            self.assert_manifest(self.served(node))

    def test_no_link_from_the_cache(self):
        link = os.link

        def other_file_system(source, target):
            if source.endswith('.manifest'):
                raise OSError(errno.EXDEV, 'Invalid cross-device link')
            link(source, target)

        with mock.patch.object(os, 'link', autospec=True,
                               side_effect=other_file_system):
            self.assert_manifest(self.served())


class SparseTest(ManifestTestCase):

    def test_cached_file_has_holes_where_it_is_zero(self):
        raw = self.directory / 'disk.raw'
        content = (self.guest.read_bytes()[:MIB] + bytes(8 * MIB)
                   + os.urandom(MIB) + bytes(5 * MIB + 512))
        raw.write_bytes(content)
        self.glance.register(raw, disk_format='raw')
        self.assert_manifest(self.served(), content)
        self.assert_provided(content=content)
        self.assertLess(self.masters()[0].stat().st_blocks * 512, 3 * MIB)
