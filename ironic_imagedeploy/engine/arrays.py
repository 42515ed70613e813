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

"""Software RAIDs (md) as the kernel shows them in sysfs.

Source: Linux, "RAID arrays", section "md devices in sysfs".
"""

import pathlib
import typing


class Member(typing.NamedTuple):
    """Member of an array.

    :ivar path: of its device.
    :ivar attributes: its directory.
    """

    path: str
    attributes: pathlib.Path

    @property
    def has_failed(self) -> bool:
        """Whether the array goes on without it."""
        return 'faulty' in (self.attributes / 'state').read_text()


def members(array: pathlib.Path) -> list[Member]:
    """Members of an array, by name; none where no array is.

    :param array: its directory.
    """
    return [Member('/dev/' + path.name.removeprefix('dev-').replace('!', '/'),
                   path) for path in sorted((array / 'md').glob('dev-*'))]
