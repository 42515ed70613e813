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

from ironic_imagedeploy.engine import extent
from ironic_imagedeploy.engine.transfer import buffers
from ironic_imagedeploy.engine.transfer import jobs

Kind = extent.ExtentKind


class JobTest(unittest.TestCase):

    def is_plain(self, *kinds: extent.ExtentKind) -> bool:
        """Whether a job of such pieces is."""
        chunk = buffers.Chunk(buffers.BufferPool(1), 512)
        return jobs.Job([jobs.Piece(0, extent.Extent(
            0, 512, kind, 0, 512), chunk.memory) for kind in kinds],
            chunk).is_plain

    def test_what_has_to_be_decoded(self) -> None:
        self.assertTrue(self.is_plain(Kind.DATA, Kind.DATA))
        self.assertFalse(self.is_plain(Kind.COMPRESSED))
        self.assertFalse(self.is_plain(Kind.DATA, Kind.COMPRESSED))
