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

"""Raw: the file is the disk."""

from ironic_imagedeploy.engine import budget as _budget
from ironic_imagedeploy.engine import extent as _extent
from ironic_imagedeploy.engine.formats import reader
from ironic_imagedeploy.engine.sources import base as sources


class RawImage(reader.Reader):
    """A disk, or a file system, byte for byte."""

    format_name = 'raw'
    has_tables = False

    def __init__(self, source: sources.Source,
                 budget: _budget.Budget | None = None) -> None:
        super().__init__(source, budget)
        self.virtual_size = source.size

    def read_map(self) -> None:
        if self.virtual_size:
            self.map.append(self.virtual_size, _extent.ExtentKind.DATA, 0,
                            self.virtual_size)
