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

from unittest import mock

from oslotest import base

from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine import sources


class OpenSourceTest(base.BaseTestCase):
    """What a URL leads to."""

    def refusal(self, location: str) -> exceptions.SourceError:
        return self.assertRaises(exceptions.SourceError,
                                 sources.open_source, location)

    def test_unknown_scheme(self) -> None:
        error = self.refusal('gopher://user:secret@host/image')
        self.assertEqual(
            ('a path, or a URL of file, glance, http, https, oci',
             "the scheme 'gopher'"), (error.expected, error.found))
        self.assertNotIn('secret', str(error))

    def test_nothing_is_installed(self) -> None:
        with mock.patch.object(sources, 'NAMESPACE', 'of_nobody'):
            error = self.refusal('http://host/image')
        self.assertEqual(('entry points of of_nobody', 'none',
                          'Install this package again, by pip.'),
                         (error.expected, error.found, error.fix))
