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

import dataclasses
import hashlib

from ironic_imagedeploy.engine import manifest
from ironic_imagedeploy.engine.transfer import disk_reuse
from tests.support import ramdisk
from tests.unit.contract import before
from tests.unit.engine import manifests


class ManifestTest(ramdisk.AgentTestCase):
    """An image of the conductor, and its manifest beside it."""

    def setUp(self):
        super().setUp()
        self.content = self.image.read_bytes()
        self.manifest = manifests.built(self.content)
        self.path = self.directory / 'manifest'
        self.order(self.manifest.encode())

    def order(self, encoded, **other):
        """Serve these bytes, and order them to be the manifest."""
        self.path.write_bytes(encoded)
        sent = {**before.ORDER, 'verify': 'chunks', 'checksum': None,
                'manifest': {'url': self.server.url('manifest'),
                             'size': len(encoded),
                             'root': self.manifest.root, **other}}
        del sent['boot_files']
        self.node['driver_internal_info'] = {'imagedeploy': sent}

    def assert_refused(self, *words, **info):
        message = self.failed(**info)
        for word in words:
            self.assertIn(word, message)
        self.assert_untouched()

    def report(self):
        """What the agent reports after it wrote the image."""
        report = self.written()['imagedeploy']
        self.assert_written()
        self.assertTrue(report['checksum']['verified'])
        return report

    def test_the_right_one(self):
        report = self.report()
        self.assertEqual('chunks', report['verified_by'])
        source, = report['sources']
        self.assertEqual(self.server.url(self.image.name), source['name'])
        self.assertLessEqual(source['bytes'], len(self.content))

    def test_the_checksum_of_the_file_as_well(self):
        self.node['driver_internal_info']['imagedeploy']['verify'] = 'both'
        self.assertEqual('both', self.report()['verified_by'])

    def test_an_image_that_was_changed(self):
        """Nothing is written when its head is not the one it should be."""
        changed = bytearray(self.content)
        changed[1000] ^= 1
        self.server.answer = lambda exchange: exchange.serve(
            content=changed if exchange.file == self.image else None)
        self.assert_refused('chunk', self.server.url(self.image.name))

    def test_a_server_without_ranges(self):
        self.server.answer = lambda exchange: exchange.serve(
            ranges=exchange.file != self.image)
        self.assertEqual('file', self.report()['verified_by'])

    def test_of_another_release(self):
        encoded = bytearray(self.manifest.encode())
        encoded[9] = 2
        self.order(bytes(encoded),
                   root=hashlib.sha256(encoded).hexdigest())
        self.assert_refused('manifest', 'version')

    def test_that_was_changed(self):
        encoded = self.manifest.encode()
        for index in (0, 20, len(encoded) - 1):
            changed = bytearray(encoded)
            changed[index] ^= 1
            self.order(bytes(changed))
            self.assert_refused('the root ' + self.manifest.root)

    def test_of_another_length(self):
        encoded = self.manifest.encode()
        for content in (encoded[:-1], encoded + b'\0', b''):
            self.order(encoded)
            self.path.write_bytes(content)
            self.assert_refused(
                f'expected {len(encoded)} bytes, and {manifest.MOST_BYTES} '
                f'at most, found {len(content)} bytes')

    def test_larger_than_any(self):
        self.order(self.manifest.encode(), size=manifest.MOST_BYTES + 1)
        with self.path.open('r+b') as file:
            file.truncate(manifest.MOST_BYTES + 1)
        self.assert_refused(f'{manifest.MOST_BYTES} at most')
        self.assertLess(len(self.server.requests), 4)

    def test_the_largest(self):
        encoded = self.manifest.encode()
        self.patched(manifest, 'MOST_BYTES', len(encoded))
        self.assertEqual('chunks', self.report()['verified_by'])

    def test_of_another_image(self):
        other = self.content[:-1] + bytes([self.content[-1] ^ 1])
        self.manifest = manifests.built(other)
        self.order(self.manifest.encode())
        self.assert_refused('that of the image with sha512')

    def test_of_another_size(self):
        self.manifest = dataclasses.replace(
            manifests.built(self.content + b'\1'),
            checksum=self.manifest.checksum)
        self.order(self.manifest.encode())
        self.assert_refused(f'{len(self.content)} bytes')

    def test_that_nobody_serves(self):
        self.path.unlink()
        self.assert_refused('404')

    def test_that_is_not_wanted(self):
        self.order(b'nonsense')
        self.node['driver_internal_info']['imagedeploy']['verify'] = 'file'
        self.assertEqual('file', self.report()['verified_by'])

    def test_logins_are_not_told_to_another_server(self):
        """Nobody but the conductor is meant to have the manifest."""
        self.seen = []
        self.server.answer = lambda exchange: (
            self.seen.append(exchange.headers.get('Authorization')),
            exchange.serve())
        self.order(self.manifest.encode(), url=self.server.url(
            'manifest').replace('127.0.0.1', 'localhost'))
        self.written(image_server_auth_strategy='http_basic',
                     image_server_user='user', image_server_password='word')
        self.assertIn(None, self.seen)


class DiskManifestTest(ramdisk.AgentTestCase):
    """An image of the conductor, and a manifest of the disk in it."""

    def setUp(self):
        super().setUp()
        self.content = self.image.read_bytes()
        self.made = dataclasses.replace(
            manifests.built(self.guest.read_bytes()),
            checksum=manifests.sha512(self.content))
        self.found = []
        find = disk_reuse.find

        def finding(*arguments, **options):
            self.found.append(arguments[2])
            return find(*arguments, **options)
        self.patched(disk_reuse, 'find', finding)
        self.order()

    def order(self, **other):
        """Order the image with both manifests."""
        sent = {**before.ORDER, 'verify': 'chunks', 'checksum': None}
        for key, made in (('manifest', manifests.built(self.content)),
                          ('disk_manifest', self.made)):
            (self.directory / key).write_bytes(made.encode())
            sent[key] = {'url': self.server.url(key), 'root': made.root,
                         'size': made.encoded_size}
        sent['disk_manifest'].update(other)
        del sent['boot_files']
        self.node['driver_internal_info'] = {'imagedeploy': sent}

    def test_the_disk_is_looked_at(self):
        self.written()
        self.assert_written()
        self.written()
        self.assert_written()
        self.assertEqual([self.made, self.made], self.found)

    def test_where_the_whole_file_is_hashed(self):
        for verify in ('both', 'file'):
            self.node['driver_internal_info']['imagedeploy'][
                'verify'] = verify
            self.written()
            self.assert_written()
        self.assertEqual([], self.found)

    def test_that_is_not_there(self):
        (self.directory / 'disk_manifest').unlink()
        self.written()
        self.assert_written()
        self.assertEqual([], self.found)
        self.assertIn('is not looked for', self.log.output)

    def test_that_was_changed(self):
        encoded = bytearray(self.made.encode())
        encoded[-1] ^= 1
        (self.directory / 'disk_manifest').write_bytes(encoded)
        self.assertIn(f'the root {self.made.root}', self.failed())
        self.assert_untouched()

    def test_of_another_image(self):
        self.made = dataclasses.replace(
            self.made, checksum=manifests.sha512(b'other'))
        self.order()
        self.assertIn('that of the image with sha512', self.failed())
        self.assert_untouched()

    def test_of_another_disk(self):
        self.made = dataclasses.replace(
            manifests.built(self.guest.read_bytes() + bytes(512)),
            checksum=self.made.checksum)
        self.order()
        self.assertIn('that of a disk of', self.failed())

    def test_what_is_not_an_order_for_one(self):
        self.order(size='large')
        self.assertIn('order for a manifest', self.failed())
        self.assert_untouched()
