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

"""What the inspection of an image found, each with its remedy."""

import dataclasses
import enum
import typing


class Severity(enum.StrEnum):
    """An error refuses the image, a warning does not."""

    ERROR = 'error'
    WARNING = 'warning'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is wrong, or odd, about an image.

    :ivar code: stable identifier, for example ``format-mismatch``; a code
        never changes its meaning.
    :ivar expected: what was expected.
    :ivar found: what was found instead.
    :ivar message: one sentence for a person.
    :ivar fix: the exact thing to do about it.
    """

    code: str
    expected: str
    found: str
    message: str
    fix: str
    severity: Severity = Severity.ERROR

    def __str__(self) -> str:
        return (f'{self.code}: {self.message} Expected {self.expected}, '
                f'found {self.found}. {self.fix}')

    def to_dict(self) -> dict[str, typing.Any]:
        """The finding as JSON values."""
        return {'code': self.code, 'severity': str(self.severity),
                'expected': self.expected, 'found': self.found,
                'message': self.message, 'fix': self.fix}
