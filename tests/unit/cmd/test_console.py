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

"""Files that are written whole or not at all."""

import os
import pathlib
import tempfile
import unittest
from unittest import mock

from ironic_imagedeploy.cmd import console
from ironic_imagedeploy import engine


class SaveTest(unittest.TestCase):
    """Reports and pictures."""

    def setUp(self) -> None:
        super().setUp()
        self.directory = pathlib.Path(self.enterContext(
            tempfile.TemporaryDirectory()))
        self.path = self.directory / 'report'

    def test_replaces(self) -> None:
        self.path.write_text('old')
        console.save(self.path, 'new')
        self.assertEqual('new', self.path.read_text())
        self.assertEqual([self.path], list(self.directory.iterdir()))

    def test_failure_keeps_the_old_one_and_leaves_nothing(self) -> None:
        self.path.write_text('old')
        with (mock.patch.object(os, 'replace', autospec=True,
                                side_effect=OSError(28, 'No space left')),
              self.assertRaises(engine.exceptions.TargetError) as caught):
            console.save(self.path, 'new')
        self.assertIn('No space left', str(caught.exception))
        self.assertEqual('old', self.path.read_text())
        self.assertEqual([self.path], list(self.directory.iterdir()))

    def test_directory_that_vanished(self) -> None:
        with self.assertRaises(engine.exceptions.TargetError):
            console.save(self.directory / 'gone' / 'report', 'new')
