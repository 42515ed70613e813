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

import unittest
import zlib

from ironic_imagedeploy.engine.codecs import libraries
from tests.unit.engine.codecs import plain


class LibrariesTest(unittest.TestCase):

    def test_all_are_here(self) -> None:
        self.assertTrue(libraries.zstd_available())
        self.assertIsNot(zlib, libraries.isal)
        self.assertIsNotNone(libraries.deflate)
        self.assertIsNotNone(libraries.zstandard)

    def test_none_is_needed(self) -> None:
        bare = plain.without('deflate', 'isal', 'backports', 'compression',
                             'zstandard')
        self.assertFalse(bare.zstd_available())
        self.assertEqual(
            (None, zlib, None, None),
            (bare.deflate, bare.isal, bare.zstd, bare.zstandard))
