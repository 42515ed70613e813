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
import unittest
from unittest import mock

from ironic_imagedeploy.conductor.cache import manifests
from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import manifest
from ironic_imagedeploy.engine import manifest_builder

CONTENT = bytes(range(256)) * 4096
CHECKSUM = engine.Checksum('sha256', hashlib.sha256(CONTENT).hexdigest())
KEPT = manifests.KeptManifest(root='ab' * 32, size=7, checksum=CHECKSUM)


def made():
    with manifest_builder.Builder(len(CONTENT)) as builder:
        builder.update(CONTENT)
        return builder.finish(CHECKSUM)


class KeptTest(unittest.TestCase):

    def test_name(self):
        found = manifests.KeptManifest.of(made())
        encoded = made().encode()
        self.assertEqual(
            (hashlib.sha256(encoded).hexdigest(), len(encoded), CHECKSUM),
            (found.root, found.size, found.checksum))

    def test_record(self):
        kept = KEPT.to_dict()
        self.assertEqual({'version': manifest.VERSION, 'root': 'ab' * 32,
                          'size': 7, 'checksum': f'sha256:{CHECKSUM.value}'},
                         kept)
        self.assertEqual(KEPT, manifests.KeptManifest.from_dict(kept))

    def test_something_else(self):
        for wrong in ({'version': manifest.VERSION + 1},
                      {'version': manifest.VERSION - 1}, {'size': '7'},
                      {'size': True}, {'size': None}, {'root': '../x'},
                      {'root': 5}, {'checksum': 'x'}, {'checksum': None}):
            self.assertRaises((KeyError, TypeError, ValueError),
                              manifests.KeptManifest.from_dict,
                              {**KEPT.to_dict(), **wrong})
        for name in KEPT.to_dict():
            kept = KEPT.to_dict()
            del kept[name]
            self.assertRaises(KeyError, manifests.KeptManifest.from_dict,
                              kept)


class BuilderTest(unittest.TestCase):

    def test_what_gets_one(self):
        for size, wanted, gets in (
                (5, True, True), (5, False, False),
                (manifest.LARGEST, True, True),
                (manifest.LARGEST + 1, True, False),
                (manifest.LARGEST + 1, False, False)):
            with (mock.patch.object(manifest_builder, 'Builder',
                                    autospec=True) as builder,
                  manifests.builder(size, wanted=wanted) as found):
                self.assertEqual(gets, found is not None, size)
                self.assertEqual(gets, builder.called)

    def test_grain(self):
        for options, finer in (({}, False), ({'finer': True}, True)):
            with (mock.patch.object(manifest_builder, 'Builder',
                                    autospec=True) as builder,
                  manifests.builder(5, **options)):
                builder.assert_called_once_with(5, finer=finer)


class FilesTestCase(unittest.TestCase):

    def setUp(self):
        super().setUp()
        self.directory = pathlib.Path(self.enterContext(
            tempfile.TemporaryDirectory()))
        self.path = self.directory / 'kept'
        self.target = self.directory / 'target'


class KeepTest(FilesTestCase):

    def keep(self):
        return manifests.keep(made(), str(self.path),
                              str(self.directory / 'part'))

    def test_keep(self):
        self.assertEqual(manifests.KeptManifest.of(made()), self.keep())
        self.assertEqual(made().encode(), self.path.read_bytes())
        self.assertEqual([self.path], [*self.directory.iterdir()])

    def test_it_is_on_the_disk_before_it_has_its_name(self):
        seen = []
        with (mock.patch.object(os, 'fsync', autospec=True,
                                side_effect=lambda _: seen.append('fsync')),
              mock.patch.object(os, 'replace', autospec=True,
                                side_effect=lambda *_: seen.append('name'))):
            self.keep()
        self.assertEqual(['fsync', 'name'], seen)

    def test_a_disk_that_is_full(self):
        error = OSError(errno.ENOSPC, 'No space left on device')
        with (mock.patch.object(os, 'fsync', autospec=True,
                                side_effect=error),
              mock.patch.object(manifests, 'LOG', autospec=True) as log):
            self.assertIsNone(self.keep())
        log.warning.assert_called_once_with(mock.ANY, {
            'checksum': CHECKSUM.value, 'path': str(self.path),
            'error': error})
        self.assertEqual([], [*self.directory.iterdir()])

    def test_read(self):
        kept = self.keep()
        encoded = made().encode()
        self.assertEqual(encoded, manifests.read(kept, str(self.path)))
        for content in (encoded + b'x', encoded[:-1], b'',
                        encoded[:-1] + b'x'):
            self.path.write_bytes(content)
            self.assertIsNone(manifests.read(kept, str(self.path)))
        self.path.unlink()
        self.assertIsNone(manifests.read(kept, str(self.path)))

    def test_no_more_than_it_has_is_read(self):
        kept = self.keep()
        with mock.patch.object(manifests, 'open', mock.mock_open(
                read_data=b''), create=True) as opened:
            manifests.read(kept, str(self.path))
        opened().read.assert_called_once_with(kept.size + 1)


class GiveTest(FilesTestCase):

    def setUp(self):
        super().setUp()
        self.path.write_bytes(b'one')

    def give(self):
        manifests.give(str(self.path), str(self.target))
        return self.target.samefile(self.path)

    def test_link(self):
        self.assertTrue(self.give())

    def test_something_is_there(self):
        self.target.write_bytes(b'other')
        self.assertTrue(self.give())
        self.assertEqual(b'one', self.path.read_bytes())

    def test_it_is_there(self):
        self.give()
        with mock.patch.object(os, 'link', autospec=True) as link:
            self.assertTrue(self.give())
        link.assert_not_called()

    def test_copy_where_no_link_can_be(self):
        for number in (errno.EXDEV, errno.EPERM, errno.EMLINK,
                       errno.EOPNOTSUPP):
            with mock.patch.object(os, 'link', autospec=True,
                                   side_effect=OSError(number, 'x')):
                self.assertFalse(self.give())
            self.assertEqual(b'one', self.target.read_bytes())

    def test_other_failures(self):
        for number in (errno.ENOSPC, errno.ENOENT, errno.EACCES):
            with (mock.patch.object(os, 'link', autospec=True,
                                    side_effect=OSError(number, 'x')),
                  self.assertRaises(OSError)):
                self.give()
            self.assertFalse(self.target.exists())
