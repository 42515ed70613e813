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

from ironic_imagedeploy.engine.contents.filesystems import crc32c
from tests.unit.engine import base


class Crc32cTest(base.EngineTestCase):

    def test_known_values(self) -> None:
        """Of RFC 3720, appendix B.4."""
        for content, checksum in (
                (bytes(32), 0x8a9136aa), (b'\xff' * 32, 0x62a8ab43),
                (bytes(range(32)), 0x46dd794e),
                (bytes(range(31, -1, -1)), 0x113fdb5c),
                (b'123456789', 0xe3069283), (b'', 0)):
            self.assertEqual(checksum, crc32c.checksum(content))

    def test_in_parts(self) -> None:
        self.assertEqual(crc32c.update(b'123456789'),
                         crc32c.update(b'56789', crc32c.update(b'1234')))
