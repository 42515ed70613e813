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

"""Operating system of a root (os-release(5))."""

import dataclasses

from ironic_imagedeploy.engine.contents.system import config_files
from ironic_imagedeploy.engine.contents.system import files as _files

_PATHS = ('etc/os-release', 'usr/lib/os-release', 'lib/os-release')
_LIMIT = 16 << 10


@dataclasses.dataclass(frozen=True, kw_only=True)
class OperatingSystem:
    """An operating system. All of it is hostile text.

    :ivar id: as ``debian``.
    :ivar version: as ``12``; empty for one without versions.
    :ivar name: for people.
    """

    id: str
    version: str = ''
    name: str = ''


def read(files: _files.Files) -> OperatingSystem | None:
    """The operating system, when it tells."""
    for path in _PATHS:
        found = config_files.assignments(
            config_files.read(files, path, _LIMIT))
        if found.get('ID') or found.get('NAME'):
            name = found.get('PRETTY_NAME') or found.get('NAME', '')
            return OperatingSystem(
                id=found.get('ID', 'linux'), name=name,
                version=found.get('VERSION_ID', ''))
    return None
