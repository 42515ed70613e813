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

from ironic_imagedeploy.engine.contents.system import os_release
from tests.unit.engine import base
from tests.unit.engine import system_disks


class OsReleaseTest(base.EngineTestCase):

    def read(self, **tree: bytes | str | None
             ) -> os_release.OperatingSystem | None:
        return os_release.read(system_disks.files(self.directory, {
            name.replace('__', '/').replace('_', '-'): content
            for name, content in tree.items()}))

    def test_a_link_to_it(self) -> None:
        self.assertEqual(
            os_release.OperatingSystem(
                id='debian', version='12', name='Debian "x"'),
            self.read(etc__os_release='../usr/lib/os-release',
                      usr__lib__os_release=b"ID=debian\nVERSION_ID='12'\n"
                      b'# x\nPRETTY_NAME="Debian \\"x\\""\nNAME=Debian\n'))

    def test_little_of_it(self) -> None:
        self.assertEqual(
            os_release.OperatingSystem(id='linux', name='Some'),
            self.read(usr__lib__os_release=b'NAME=Some\nrm -rf /\n'))

    def test_none(self) -> None:
        self.assertIsNone(self.read(etc__os_release=b'\xff\xfe\0'))
        self.assertIsNone(self.read(etc__x=b''))
