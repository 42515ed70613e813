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

import dataclasses
import errno
import fcntl
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

from ironic_imagedeploy.conductor.cache import entry
from ironic_imagedeploy.conductor.cache import manifests
from ironic_imagedeploy.conductor.cache import record
from ironic_imagedeploy.conductor import images
from ironic_imagedeploy.conf import opts
from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import manifest_builder

CONTENT = b'the image'
SHA256 = engine.Checksum('sha256', hashlib.sha256(CONTENT).hexdigest())
SHA512 = engine.Checksum('sha512', hashlib.sha512(CONTENT).hexdigest())
OTHER = engine.Checksum('sha256', '0' * 64)


class EntryTestCase(unittest.TestCase):

    def setUp(self):
        super().setUp()
        opts.register_opts(CONF)
        self.conf = self.enterContext(fixture.Config(CONF))
        self.directory = pathlib.Path(self.enterContext(
            tempfile.TemporaryDirectory()))
        self.staging = self.directory / 'imagedeploy'
        self.staging.mkdir()
        self.conf.config(group='pxe',
                         instance_master_path=str(self.directory),
                         images_path=str(self.directory / 'images'))
        self.entry = self.made()
        pathlib.Path(self.entry.path).write_bytes(CONTENT)
        self.now = 1e9
        self.enterContext(mock.patch.object(
            entry.time, 'time', lambda: self.now))

    def made(self, **values):
        return entry.Entry(**{
            'directory': str(self.directory), 'name': 'x.stored',
            'path': str(self.directory / 'x.stored'), **values})

    def record(self, **values):
        return record.Record(**{
            'identity': record.identity(self.entry.path), 'read_at': 1e9,
            'checksums': {'sha256': SHA256.value}, **values})

    def manifest(self, checksum=SHA256):
        """A manifest of the image, kept beside it."""
        with manifest_builder.Builder(len(CONTENT)) as builder:
            builder.update(memoryview(CONTENT))
            return self.entry.keep_manifest(builder.finish(checksum))


class NameTest(EntryTestCase):

    def of(self, **values):
        return entry.Entry.of(images.InstanceImage(**{
            'node': types.SimpleNamespace(uuid='the-node'),
            'href': 'http://192.0.2.1/x', 'glance': None,
            'declared': images.DeclaredImage(), **values}))

    def test_places(self):
        found = self.of()
        self.assertRegex(found.name, r'^[0-9a-f-]{36}\.stored$')
        self.assertEqual((str(self.directory),
                          str(self.directory / found.name)),
                         (found.directory, found.path))
        self.assertEqual(found.name, self.of().name)
        self.assertNotEqual(found.name, self.of(href='http://x/y').name)
        self.assertEqual('/y', self.of(href='file:///y').path)
        self.conf.config(group='pxe', instance_master_path='')
        self.assertEqual(str(self.directory / 'images/the-node'),
                         self.of().directory)

    def test_which_manifests(self):
        for verify, wanted, role, found in (
                ('chunks', True, 'disk', (True, True)),
                ('chunks', False, 'disk', (True, False)),
                ('both', True, 'disk', (True, False)),
                ('file', True, 'disk', (False, False)),
                ('chunks', True, 'kernel', (False, False)),
                ('chunks', True, 'a', (False, False))):
            self.conf.config(group='imagedeploy', verify=verify,
                             disk_manifests=wanted)
            made = self.of(role=role)
            self.assertEqual(found, (made.has_manifest,
                                     made.has_disk_manifest))


class FreshTest(EntryTestCase):

    def fresh(self, wanted=SHA256, age=0, made=None, **values):
        self.now = 1e9
        self.entry.save(self.record(**values))
        self.now = 1e9 + age
        return (made or self.entry).fresh(wanted) is not None

    def test_age(self):
        self.conf.config(group='imagedeploy', cache_recheck_interval=100)
        for age, is_fresh in ((0, True), (50, True), (100, True),
                              (100.5, False), (-0.5, False), (-100, False)):
            self.assertEqual(is_fresh, self.fresh(age=age), age)

    def test_another_file(self):
        self.assertIsNone(self.entry.fresh(None))
        self.assertTrue(self.fresh())
        pathlib.Path(self.entry.path).write_bytes(b'another image')
        self.assertIsNone(self.entry.fresh(SHA256))

    def test_checksums(self):
        for wanted, is_fresh in ((None, True), (SHA256, True), (OTHER, False),
                                 (SHA512, False)):
            self.assertEqual(is_fresh, self.fresh(wanted))

    def test_a_manifest_that_is_lost(self):
        kept = self.manifest()
        ours = self.made(has_manifest=True)
        self.assertTrue(self.fresh(manifest=kept, made=ours))
        os.unlink(self.entry.manifest_path(kept.root))
        self.assertFalse(self.fresh(manifest=kept, made=ours))
        self.assertTrue(self.fresh(manifest=kept))
        self.assertTrue(self.fresh(made=ours))


class VerifiedTest(EntryTestCase):

    def test_what_is_fresh_is_not_read(self):
        self.entry.save(self.record())
        with mock.patch.object(entry, '_checksums', autospec=True) as read:
            self.assertEqual(self.record(), self.entry.verified(SHA256))
        read.assert_not_called()

    def test_what_is_read(self):
        for kept in (None, self.record(read_at=5.0)):
            if kept:
                self.entry.save(kept)
            found = self.entry.verified(SHA256)
            self.assertEqual(({'sha256': SHA256.value}, 1e9),
                             (found.checksums, found.read_at))
            self.assertEqual(found, self.entry.load())
        found = self.entry.verified(SHA512)
        self.assertEqual({'sha256': SHA256.value, 'sha512': SHA512.value},
                         found.checksums)

    def test_no_more_is_read_than_it_had(self):
        with mock.patch.object(entry, '_checksums', autospec=True,
                               side_effect=entry._checksums) as read:
            self.entry.verified(SHA256)
        self.assertEqual((self.entry.path, len(CONTENT)),
                         read.call_args.args[:2])

    def test_something_else(self):
        self.assertIsNone(self.entry.verified(OTHER))
        os.unlink(self.entry.path)
        self.assertIsNone(self.entry.verified(SHA256))

    def test_a_file_that_changes_meanwhile(self):
        real, times = entry._checksums, [5, 1 << 61]

        def read(*arguments):
            found = real(*arguments)
            os.utime(self.entry.path, ns=(0, times.pop()))
            return found

        while times:
            with mock.patch.object(entry, '_checksums', read):
                self.assertIsNone(self.entry.verified(SHA256))

    def test_a_file_that_does_not_hold_what_it_held(self):
        kept = self.manifest()
        self.entry.save(self.record(
            read_at=5.0, checksums={'sha256': OTHER.value}, manifest=kept,
            disk_manifest=kept, needs_disk_manifest=True,
            verdicts={'x': record.Verdict(name='x')}))
        with self.assertLogs(entry.LOG.logger, 'ERROR'):
            self.assertEqual(SHA256.value, self.entry.verified(
                SHA256).checksums['sha256'])
        known = self.entry.load()
        self.assertEqual(({}, None, None, None), (
            known.verdicts, known.manifest, known.disk_manifest,
            known.needs_disk_manifest))

    def test_its_manifest(self):
        ours = self.made(has_manifest=True)
        self.assertIsNone(self.entry.verified(SHA256).manifest)
        os.unlink(self.directory / 'x.stored.json')
        self.assertIsNone(ours.verified(OTHER))
        os.unlink(self.directory / 'x.stored.json')
        kept = ours.verified(SHA256).manifest
        self.assertEqual(SHA256, kept.checksum)
        # It is made again when it is lost, and only then.
        self.now = 2e9
        with mock.patch.object(entry.Entry, 'keep_manifest', autospec=True,
                               side_effect=entry.Entry.keep_manifest) as keep:
            self.assertEqual(kept, ours.verified(SHA256).manifest)
            keep.assert_not_called()
            os.unlink(ours.manifest_path(kept.root))
            self.assertEqual(kept, ours.verified(SHA256).manifest)
            keep.assert_called_once()


class ManifestTest(EntryTestCase):

    def test_no_manifest_of_another_file_stays(self):
        kept = self.manifest()
        other = self.directory / f'x.stored.{"0" * 64}.manifest'
        strange = self.directory / f'y.stored.{"0" * 64}.manifest'
        for values, stays in (({'manifest': kept}, True),
                              ({'disk_manifest': kept}, True), ({}, False)):
            other.touch()
            strange.touch()
            self.entry.save(self.record(**values))
            self.assertEqual(
                (stays, False, True),
                (os.path.exists(self.entry.manifest_path(kept.root)),
                 other.exists(), strange.exists()))

    def test_bound_to_another_checksum(self):
        ours = self.made(has_manifest=True, has_disk_manifest=True)
        kept = self.manifest()
        for name, bind in (('manifest', ours.bound_manifest),
                           ('disk_manifest', ours.bound_disk_manifest)):
            known = self.record(**{name: kept})
            self.assertEqual(kept, bind(known, SHA256))
            found = bind(known, SHA512)
            self.assertEqual((SHA512, found),
                             (found.checksum, getattr(known, name)))
            self.assertNotEqual(kept.root, found.root)
            self.assertIsNone(bind(self.record(), SHA512))
        known = self.record(manifest=kept, disk_manifest=kept)
        self.assertIsNone(self.entry.bound_manifest(known, SHA256))
        self.assertIsNone(self.entry.bound_disk_manifest(known, SHA256))
        os.unlink(ours.manifest_path(kept.root))
        self.assertEqual(kept, ours.bound_manifest(known, SHA512))

    def test_whether_one_of_the_disk_is_to_be_made(self):
        kept = self.manifest()
        lost = dataclasses.replace(kept, root='0' * 64)
        ours = self.made(has_disk_manifest=True)
        for made, values, lacks in (
                (ours, {'manifest': kept}, True),
                (self.entry, {'manifest': kept}, False), (ours, {}, False),
                (ours, {'manifest': kept, 'needs_disk_manifest': True}, True),
                (ours, {'manifest': kept, 'needs_disk_manifest': False},
                 False),
                (ours, {'manifest': kept, 'disk_manifest': kept}, False),
                (ours, {'manifest': kept, 'disk_manifest': lost}, True)):
            self.assertEqual(lacks, made.lacks_disk_manifest(
                self.record(**values)), values)
        self.assertIsInstance(kept, manifests.KeptManifest)


class RoomTest(EntryTestCase):

    def setUp(self):
        super().setUp()
        self.free = self.enterContext(mock.patch.object(
            entry, '_free', autospec=True))
        self.tidied = self.enterContext(mock.patch.object(
            entry, 'tidy', autospec=True))

    def part(self, size, *free):
        """Whether there is room for a part."""
        self.free.side_effect = free
        self.tidied.reset_mock()
        try:
            with self.entry.part(size) as part:
                path = pathlib.Path(part)
                self.assertEqual((b'', 'imagedeploy'),
                                 (path.read_bytes(), path.parent.name))
        except exception.InsufficientDiskSpace as error:
            self.assertIn(f'expected room for {size} bytes, found {free[-1]} '
                          'bytes', str(error))
            return False
        finally:
            self.assertEqual([], os.listdir(self.staging))
        return True

    def test_enough(self):
        for free in (10, 11):
            self.assertTrue(self.part(10, free))
            self.tidied.assert_not_called()

    def test_enough_once_it_is_tidied(self):
        for after, fits in ((10, True), (11, True), (9, False)):
            self.assertEqual(fits, self.part(10, 7, after))
            self.tidied.assert_called_once_with(3)

    def test_a_disk_that_is_full(self):
        for number, told in ((errno.ENOSPC, True), (errno.EDQUOT, True),
                             (errno.EIO, False)):
            expected = (exception.InsufficientDiskSpace if told
                        else OSError)
            with self.assertRaises(expected) as caught:
                with self.entry.room(7):
                    raise OSError(number, 'x', '/the/file')
            if told:
                self.assertIn('room for 7 bytes, found none for /the/file',
                              str(caught.exception))
        with self.assertRaisesRegex(exception.InsufficientDiskSpace,
                                    f'found none for {self.directory}'):
            with self.entry.room(7):
                raise OSError(errno.ENOSPC, 'x')

    def test_what_killed_conductors_left(self):
        held = (self.staging / 'held.part').open('wb')
        self.addCleanup(held.close)
        fcntl.flock(held, fcntl.LOCK_EX)
        for name, age in (('old.part', 3601), ('young.part', 3600),
                          ('new.part', 0), ('old.json', 9999),
                          ('held.part', 9999)):
            (self.staging / name).touch()
            os.utime(self.staging / name, (1e9 - age, 1e9 - age))
        self.free.side_effect = (10,)
        with self.entry.part(1) as path:
            self.assertEqual(
                {'young.part', 'new.part', 'old.json', 'held.part',
                 os.path.basename(path)}, set(os.listdir(self.staging)))

    def test_one_thread_at_a_time(self):
        with (mock.patch.object(entry.lockutils, 'lock', autospec=True)
              as lock, self.entry.locked()):
            lock.assert_called_once_with('x.stored.lock', external=True,
                                         lock_path=str(self.staging))


class FreeTest(EntryTestCase):

    def test_bytes(self):
        status = os.statvfs(self.directory)
        self.assertAlmostEqual(status.f_frsize * status.f_bavail,
                               entry._free(str(self.directory)),
                               delta=1 << 28)

    def test_tidy(self):
        with mock.patch.object(entry.deploy_utils, 'InstanceImageCache',
                               autospec=True) as cache:
            entry.tidy(7)
            cache.return_value.clean_up.assert_called_once_with(amount=7)
            cache.return_value.clean_up.side_effect = OSError('gone')
            with self.assertLogs(entry.LOG.logger, 'WARNING') as logs:
                entry.tidy()
        self.assertIn('gone', logs.output[0])

    def test_checksums(self):
        path = self.directory / 'large'
        content = os.urandom((1 << 20) + 5)
        path.write_bytes(content + b'more')
        seen = bytearray()
        builder = types.SimpleNamespace(update=seen.extend)
        self.assertEqual(
            {name: hashlib.new(name, content).hexdigest()
             for name in ('sha256', 'md5')},
            entry._checksums(str(path), len(content), {'sha256', 'md5'},
                             builder))
        self.assertEqual(content, seen)
