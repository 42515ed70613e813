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

from ironic_imagedeploy import engine
from ironic_imagedeploy.engine.inspection.checks import checksum
from tests.unit.engine.inspection import verdicts

MD5 = engine.Checksum('md5', '0' * 32)
SHA1 = engine.Checksum('sha1', '0' * 40)
SHA256 = engine.Checksum('sha256', '0' * 64)
SHA512 = engine.Checksum('sha512', '0' * 128)


class ChecksumTest(verdicts.VerdictTestCase):

    def check(self, value: engine.Checksum | None, *, required: bool,
              weak: bool) -> list[engine.Finding]:
        """What is found of an image with that checksum."""
        return list(checksum.check(engine.Expectation(
            checksum=value, require_checksum=required, permit_weak=weak)))

    def test_missing(self) -> None:
        for weak in (True, False):
            found, = self.check(None, required=True, weak=weak)
            self.assertEqual(('checksum-missing', 'a checksum', 'none'),
                             (found.code, found.expected, found.found))
            self.assertEqual([], self.check(None, required=False, weak=weak))

    def test_weak(self) -> None:
        for value in (MD5, SHA1):
            for required in (True, False):
                found, = self.check(value, required=required, weak=False)
                self.assertEqual(
                    ('checksum-weak', 'sha256 or sha512', value.algorithm),
                    (found.code, found.expected, found.found))
                self.assertEqual({'algorithm': value.algorithm}, found.data)
                self.assertEqual(
                    [], self.check(value, required=required, weak=True))

    def test_good(self) -> None:
        for value in (SHA256, SHA512):
            self.assertEqual([], self.check(value, required=True, weak=False))

    def test_images_are_refused(self) -> None:
        self.assert_refused('checksum-missing', self.disk(),
                            require_checksum=True)
        self.assert_refused('checksum-weak', self.disk(), checksum=SHA1,
                            permit_weak=False)
        self.assert_accepted(self.disk(), require_checksum=True, checksum=MD5)
