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

import hashlib
import json
import os
import time
from unittest import mock

from ironic.common import exception

from ironic_imagedeploy.conductor.cache import entry
from ironic_imagedeploy.conductor import declared
from tests.support import images
from tests.unit.conductor.cache import cached

MIB = 1 << 20


class ChangesTest(cached.CacheTestCase):

    def changed(self):
        """Another image, under the same name."""
        image = self.directory / 'other.qcow2'
        image.write_bytes(images.bootable(4 * MIB, seed=2)[1])
        return image

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

    def test_a_clock_that_jumps_loses_no_running_download(self):
        self.provide()
        with self.task() as task:
            ours = entry.Entry.of(declared.image(task))
        with ours.part(1) as part:
            os.utime(part, (0, 0))
            with ours.part(1):
                self.assertIn(part, map(str, self.workshop()))

    def test_a_record_of_the_future_is_not_fresh(self):
        self.provide()
        record = next(self.master.glob('*.json'))
        record.write_text(json.dumps({
            **self.record(), 'read_at': time.time() + 86400}))
        with mock.patch.object(entry.Entry, '_read', autospec=True,
                               side_effect=entry.Entry._read) as read:
            self.provide(self.another_node())
        read.assert_called()

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
