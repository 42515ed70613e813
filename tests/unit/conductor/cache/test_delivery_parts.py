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
import pathlib
import tempfile
import types
import unittest
from unittest import mock

from oslo_config import fixture

from ironic.common import exception
from ironic.conf import CONF

from ironic_imagedeploy.conductor.cache import access
from ironic_imagedeploy.conductor.cache import delivery
from ironic_imagedeploy.conductor.cache import entry
from ironic_imagedeploy.conductor.cache import manifests
from ironic_imagedeploy.conductor.cache import record
from ironic_imagedeploy.conf import opts
from ironic_imagedeploy import engine
from tests.unit.conductor import unsaved

CONTENT = b'the image'
SHA256 = engine.Checksum('sha256', hashlib.sha256(CONTENT).hexdigest())
SHA512 = engine.Checksum('sha512', hashlib.sha512(CONTENT).hexdigest())
URL = 'http://192.0.2.1/x'
KEPT, OTHER = (manifests.KeptManifest(root=digit * 64, size=7,
                                      checksum=SHA256) for digit in '12')
ERROR = engine.Finding(code='checksum-missing', expected='x', found='y')


class DeliveryTestCase(unittest.TestCase):

    def setUp(self):
        super().setUp()
        opts.register_opts(CONF)
        self.conf = self.enterContext(fixture.Config(CONF))
        self.directory = pathlib.Path(self.enterContext(
            tempfile.TemporaryDirectory()))
        self.conf.config(instance_master_path=str(self.directory),
                         images_path=str(self.directory / 'images'),
                         group='pxe')
        self.target = (self.directory / 'images' / unsaved.NODE_ID / 'disk')
        self.target.parent.mkdir(parents=True)

    def delivery(self, href=unsaved.IMAGE_ID, checksum=SHA256, size=9):
        image = unsaved.image(href, declared={'size': size})
        return delivery._Delivery(
            entry=entry.Entry.of(image), image=image, size=size,
            expectation=engine.Expectation(checksum=checksum))


class VerdictTest(DeliveryTestCase):

    def verdict(self, image=None, known='key'):
        expectation = engine.Expectation(checksum=SHA256)
        with mock.patch.object(
                entry.Entry, 'fresh', autospec=True,
                return_value=known and record.Record(
                    identity=(), read_at=0, checksums={}, verdicts={
                        known.replace('key', record.verdict_key(expectation)):
                        record.Verdict(name='kept')})) as self.fresh:
            found = delivery.cached_verdict(image or unsaved.image(),
                                            expectation)
        return found and found.name

    def test_what_is_kept(self):
        self.assertEqual('kept', self.verdict())
        self.fresh.assert_called_once_with(mock.ANY, SHA256)
        self.assertEqual('kept', self.verdict(unsaved.image(
            'oci://192.0.2.1/x', registry=types.SimpleNamespace(url=URL))))

    def test_what_is_not(self):
        self.assertIsNone(self.verdict(known=None))
        self.assertIsNone(self.verdict(known='other'))

    def test_of_others_nobody_has_told_who_may_read_them(self):
        for href in (URL, 'file:///x'):
            self.assertIsNone(self.verdict(unsaved.image(href)))
            self.fresh.assert_not_called()


class LinkTest(DeliveryTestCase):

    def setUp(self):
        super().setUp()
        self.made = self.delivery()
        self.path = pathlib.Path(self.made.entry.path)
        self.path.write_bytes(CONTENT)

    def test_link(self):
        for before in (None, b'before'):
            if before:
                self.target.unlink()
                self.target.write_bytes(before)
            self.made.link()
            self.assertTrue(self.target.samefile(self.path))

    def test_it_is_there(self):
        self.made.link()
        with mock.patch.object(os, 'link', autospec=True) as link:
            self.made.link()
        link.assert_not_called()

    def test_it_is_no_longer_in_the_cache(self):
        self.path.unlink()
        self.assertRaises(FileNotFoundError, self.made.link)

    def test_two_file_systems(self):
        error = OSError(errno.EXDEV, 'Invalid cross-device link')
        with (mock.patch.object(os, 'link', autospec=True,
                                side_effect=error),
              self.assertRaises(exception.ImageDownloadFailed) as caught):
            self.made.link()
        self.assertIn(
            f'{self.path} cannot be linked to {self.target}: Invalid '
            'cross-device link. [pxe]instance_master_path and '
            '[pxe]images_path must be on one file system',
            str(caught.exception))
        self.assertIn(f'glance:{unsaved.IMAGE_ID}', str(caught.exception))

    def test_a_file_of_the_user(self):
        own = self.directory / 'own'
        own.write_bytes(CONTENT)
        self.conf.config(file_url_allowed_paths=[str(self.directory)],
                         group='conductor')
        self.delivery(own.as_uri()).link()
        self.assertEqual(CONTENT, self.target.read_bytes())

    def test_manifests(self):
        provided = delivery.Provided(verdict=record.Verdict(name='x'),
                                     manifest=KEPT, disk_manifest=OTHER)
        given = []
        with mock.patch.object(manifests, 'give', autospec=True,
                               side_effect=lambda *each: given.append(each)):
            self.assertEqual(provided, self.made.link_manifests(provided))
        self.assertEqual(
            [(self.made.entry.manifest_path(kept.root),
              str(self.target.parent / name)) for kept, name in (
                  (KEPT, 'manifest'), (OTHER, 'disk-manifest'))], given)

    def test_manifests_that_are_lost(self):
        provided = delivery.Provided(verdict=record.Verdict(name='x'),
                                     manifest=KEPT)
        with (mock.patch.object(manifests, 'give', autospec=True,
                                side_effect=OSError(5, 'gone')),
              mock.patch.object(delivery, 'LOG', autospec=True) as log):
            found = self.made.link_manifests(provided)
        self.assertEqual((None, None), (found.manifest, found.disk_manifest))
        log.warning.assert_called_once_with(mock.ANY, {
            'node': unsaved.NODE_ID, 'name': f'glance:{unsaved.IMAGE_ID}',
            'error': mock.ANY})


class KnownTest(DeliveryTestCase):

    def known(self, *arguments, content=CONTENT, **values):
        """Which of the two ways of the entry is asked."""
        made = self.delivery(*arguments, **values)
        if content is not None:
            (self.directory / made.entry.name).write_bytes(content)
        with (mock.patch.object(entry.Entry, 'fresh', autospec=True,
                                return_value='fresh') as fresh,
              mock.patch.object(entry.Entry, 'verified', autospec=True,
                                return_value='verified') as verified):
            found = made._known()
        for asked in (fresh, verified):
            for call in asked.call_args_list:
                self.assertIs(values.get('checksum', SHA256), call.args[1])
        return found

    def test_of_the_cache(self):
        self.assertEqual('verified', self.known())
        for size in (8, 10):
            self.assertIsNone(self.known(size=size))
        self.assertIsNone(self.known(checksum=None))
        pathlib.Path(self.delivery().entry.path).unlink()
        self.assertIsNone(self.known(content=None))

    def test_of_the_user(self):
        for checksum in (SHA256, None):
            self.assertEqual('fresh', self.known('file:///x',
                                                 checksum=checksum))


class ProvidedTest(DeliveryTestCase):

    def provided(self, checksum):
        return self.delivery(checksum=checksum)._provided(
            record.Verdict(name='x'), record.Record(
                identity=(), read_at=0,
                checksums={'sha256': SHA256.value, 'sha512': 'x'}))

    def test_checksums(self):
        for stated, found, is_ours in ((SHA512, SHA512, False),
                                       (None, SHA256, True)):
            provided = self.provided(stated)
            self.assertEqual((found, is_ours), (
                provided.checksum, provided.checksum_is_ours))


class FetchTest(DeliveryTestCase):

    def test_what_is_logged(self):
        source = mock.MagicMock(size=9)
        source.__enter__.return_value = source
        checksums = {'sha256': SHA256.value}
        with (mock.patch.object(access, 'open_image', autospec=True,
                                return_value=source),
              mock.patch.object(delivery._Delivery, '_inspect',
                                autospec=True, return_value=None),
              mock.patch.object(
                  delivery._Delivery, '_download', autospec=True,
                  return_value=(
                      record.Verdict(name='x', findings=(ERROR,)),
                      record.Record(identity=(), read_at=0,
                                    checksums=checksums))),
              mock.patch.object(delivery.time, 'monotonic', autospec=True,
                                side_effect=(5.0, 7.5)),
              mock.patch.object(delivery, 'LOG', autospec=True) as log):
            self.delivery()._fetch()
        log.info.assert_called_once_with(mock.ANY, {
            'name': f'glance:{unsaved.IMAGE_ID}', 'size': 9, 'seconds': 2.5,
            'checksums': checksums})


class ProvideTest(DeliveryTestCase):

    def provide(self, outcomes, href=unsaved.IMAGE_ID, size=9):
        """Provide an image whose deliveries end so."""
        self.linked = 0

        def link(made):
            self.linked += 1
            self.made = made

        source = mock.MagicMock(size=11)
        source.__enter__.return_value = source
        with (mock.patch.object(delivery._DELIVERIES, 'do', autospec=True,
                                side_effect=outcomes) as self.done,
              mock.patch.object(access, 'open_image', autospec=True,
                                return_value=source) as self.opened,
              mock.patch.object(delivery._Delivery, 'link', link)):
            return delivery.provide(
                unsaved.image(href, declared={'size': size}),
                engine.Expectation(checksum=SHA256))

    def good(self, *findings):
        return delivery.Provided(verdict=record.Verdict(
            name='x', findings=findings))

    def test_once(self):
        self.assertEqual(self.good(), self.provide([self.good()]))
        self.assertEqual(1, self.linked)
        key, run = self.done.call_args.args
        self.assertEqual((self.made.entry.path, 9), key[:2])
        self.assertEqual(self.made.run, run)
        self.opened.assert_not_called()

    def test_a_refused_one(self):
        self.assertEqual(self.good(ERROR), self.provide([self.good(ERROR)]))
        self.assertEqual(0, self.linked)

    def test_others_are_asked_for_their_size(self):
        self.provide([self.good()], URL)
        self.assertEqual(11, self.done.call_args.args[0][1])
        self.opened.assert_called_once()

    def test_a_cache_that_is_cleaned_meanwhile(self):
        lost = FileNotFoundError()
        self.provide([lost, lost, self.good()])
        self.assertEqual(1, self.linked)
        with self.assertRaises(exception.ImageDownloadFailed) as caught:
            self.provide([lost, lost, lost, self.good()])
        self.assertIn(f'the cache {self.directory} is cleaned faster than it '
                      'is filled; raise [pxe]image_cache_size',
                      str(caught.exception))

    def test_a_disk_that_is_full(self):
        with self.assertRaises(exception.InsufficientDiskSpace) as caught:
            self.provide([OSError(errno.ENOSPC, 'x')])
        self.assertIn('room for 9 bytes', str(caught.exception))
        with self.assertRaises(exception.InsufficientDiskSpace) as caught:
            self.provide([OSError(errno.ENOSPC, 'x')], size=None)
        self.assertIn('room for 0 bytes', str(caught.exception))
