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

"""Trees of files, as the agent sees those of an image."""

import pathlib
import shutil
import tempfile

import fixtures
from oslotest import base as oslotest_base

from ironic_imagedeploy.agent.boot import image_tree


class TreeTestCase(oslotest_base.BaseTestCase):
    """A tree, and beside it what nobody may see or change."""

    def setUp(self) -> None:
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger())
        self.directory = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.directory)
        self.top = self.directory / 'image'
        self.top.mkdir()
        self.secret = self.directory / 'secret'
        self.secret.write_text('root:secret')
        self.tree = image_tree.ImageTree(str(self.top))
        self.addCleanup(self.tree.close)

    def put(self, path: str, content: str | bytes = 'x') -> pathlib.Path:
        """Make a file in the tree, with the directories that it is in."""
        file = self.top / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes)
                         else content.encode())
        return file

    def link(self, path: str, target: str) -> None:
        """Make a symbolic link in the tree."""
        link = self.top / path
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(target)
