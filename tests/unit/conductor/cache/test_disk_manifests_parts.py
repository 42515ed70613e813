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

import types
import unittest
from unittest import mock

from ironic_imagedeploy.conductor.cache import disk_manifests
from ironic_imagedeploy.conductor.cache import entry as entries
from ironic_imagedeploy.conductor.cache import manifests
from ironic_imagedeploy.conductor.cache import record
from ironic_imagedeploy import engine
from tests.support import images
from tests.unit.engine import base

CHECKSUM = engine.Checksum('sha256', '0' * 64)
KEPT, OTHER = (manifests.KeptManifest(root=digit * 64, size=7,
                                      checksum=CHECKSUM) for digit in '12')


class AddTest(unittest.TestCase):

    def setUp(self):
        super().setUp()
        self.entry = mock.create_autospec(entries.Entry, instance=True,
                                          path='/the/file')
        self.entry.lacks_disk_manifest.return_value = True
        self.entry.keep_manifest.return_value = OTHER
        self.known = record.Record(identity=(1, 2, 3, 4), read_at=0,
                                   checksums={}, manifest=KEPT)
        self.log = self.enterContext(mock.patch.object(
            disk_manifests, 'LOG', autospec=True))

    def add(self, made, about=True):
        """Add it; the manifest, and whether one is needed."""
        with (mock.patch.object(disk_manifests, '_make', autospec=True,
                                side_effect=[made]) as make,
              mock.patch.object(record.Record, 'is_about', autospec=True,
                                return_value=about),
              mock.patch.object(disk_manifests.time, 'monotonic',
                                autospec=True, side_effect=[7.0, 9.5])):
            disk_manifests.add(self.entry, self.known, 'the expectation')
        self.makes = [call.args for call in make.call_args_list]
        return self.known.disk_manifest, self.known.needs_disk_manifest

    def test_one_that_is_made(self):
        made = types.SimpleNamespace(size=5)
        self.assertEqual((OTHER, True), self.add(made))
        self.assertEqual([('/the/file', 'the expectation', CHECKSUM)],
                         self.makes)
        self.entry.keep_manifest.assert_called_once_with(made)
        self.entry.save.assert_called_once_with(self.known)
        self.log.info.assert_called_once_with(
            mock.ANY, {'size': 5, 'path': '/the/file', 'seconds': 2.5})

    def test_one_that_is_of_no_use(self):
        for about in (True, False):
            self.known.disk_manifest = OTHER
            self.known.needs_disk_manifest = None
            self.assertEqual((None, False), self.add(None, about))
        self.entry.keep_manifest.assert_not_called()
        self.assertEqual(2, self.entry.save.call_count)
        self.log.info.assert_not_called()

    def assert_nothing_is_kept(self):
        self.entry.save.assert_not_called()
        self.entry.keep_manifest.assert_not_called()

    def test_one_that_is_there(self):
        self.entry.lacks_disk_manifest.return_value = False
        self.assertEqual((None, None), self.add(None))
        self.assertEqual([], self.makes)
        self.entry.lacks_disk_manifest.return_value = True
        self.known.manifest = None
        self.assertEqual((None, None), self.add(None))
        self.assertEqual([], self.makes)
        self.assert_nothing_is_kept()

    def test_a_file_that_somebody_writes_to(self):
        self.assertEqual((None, None), self.add(
            types.SimpleNamespace(size=5), about=False))
        self.assert_nothing_is_kept()

    def test_failures(self):
        for error in (OSError(5, 'x'), engine.exceptions.SourceChanged(
                'x', expected='y', found='z', fix='w')):
            self.assertEqual((None, None), self.add(error))
            self.log.warning.assert_called_with(
                mock.ANY, {'path': '/the/file', 'error': error})
        self.assert_nothing_is_kept()


class MakeTest(base.EngineTestCase):

    def make(self, content):
        path = self.directory / 'file'
        path.write_bytes(content)
        return disk_manifests._make(
            str(path), engine.Expectation(require_checksum=False), CHECKSUM)

    def test_make(self):
        guest, image = images.bootable(2 << 20, seed=1)
        made = self.make(image)
        self.assertEqual((len(guest), CHECKSUM), (made.size, made.checksum))
        start, end = made.bounds(0)
        self.assertTrue(made.matches(0, guest[start:end]))
        self.assertIsNone(self.make(guest))

    def test_time_is_measured(self):
        with mock.patch.object(disk_manifests.METRICS, 'send_timer',
                               autospec=True) as sent:
            self.make(images.bootable(1 << 20, seed=1)[0])
        self.assertIn('ImageDeploy.hash_disk', sent.call_args.args[0])
