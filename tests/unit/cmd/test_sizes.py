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

from ironic_imagedeploy.cmd import sizes


class ParseTest(unittest.TestCase):

    def test_units_of_1024(self) -> None:
        for words, expected in (
                ('1', 1), ('512', 512), ('500M', 500 << 20), ('2g', 2 << 30),
                ('3GiB', 3 << 30), ('4KiB', 4 << 10), ('24mib', 24 << 20),
                ('5T', 5 << 40), ('1P', 1 << 50), (' 6M ', 6 << 20)):
            self.assertEqual(expected, sizes.parse(words), words)

    def test_what_is_not_a_size(self) -> None:
        for words in ('', '0', '0M', '-1', '1.5G', '5x', 'M', '1 G', '9' * 21,
                      '\u0665', '1e3', '4KB', '1iB', '1B'):
            with self.assertRaisesRegex(ValueError, 'for example 500M'):
                sizes.parse(words)
