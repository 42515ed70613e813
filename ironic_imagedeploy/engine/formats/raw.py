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

from ironic_imagedeploy.engine.formats import base
from ironic_imagedeploy.engine.sources import base as sources


class RawImage(base.MappedImage):
    """A disk, or a file system, byte for byte."""

    format_name = 'raw'

    def __init__(self, source: sources.Source) -> None:
        super().__init__(source)
        self.virtual_size = source.size
        if self.virtual_size:
            self.map.append(self.virtual_size, base.ExtentKind.DATA, 0,
                            self.virtual_size)
