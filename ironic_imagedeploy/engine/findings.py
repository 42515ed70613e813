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

"""Findings of an inspection, as data."""

from collections.abc import Mapping
import dataclasses
import typing

from ironic_imagedeploy.engine import catalogue
from ironic_imagedeploy.engine import text

Retry = catalogue.Retry
Severity = catalogue.Severity

#: A value that a program can use as it is.
Value = str | int | bool | None
#: Page of the documentation, from its root, with an anchor for each code.
_PAGE = 'admin/refusals.html'
#: How the image's file is called by those who do not know its name.
_FILE = 'FILE'


@dataclasses.dataclass(frozen=True, init=False)
class Finding:
    """Fault or oddity of an image.

    Its sentences are those of the catalogue, unless others are given.

    :ivar code: stable identifier, for example ``format-mismatch``; a code
        never changes its meaning.
    :ivar expected: what was expected.
    :ivar found: what was found instead.
    :ivar case: the kind of cause, where a code has several; else empty.
    :ivar data: values for programs, for example ``format``.
    :ivar severity: that of the code, unless it depends.
    :ivar message: one sentence for a person.
    :ivar fix: the exact thing to do about it.
    """

    code: str
    expected: str
    found: str
    case: str
    data: Mapping[str, Value] = dataclasses.field(hash=False)
    severity: Severity
    message: str
    fix: str

    def __init__(self, *, code: str, expected: str, found: str,
                 case: str = '', data: Mapping[str, Value] | None = None,
                 severity: Severity | None = None, message: str = '',
                 fix: str = '') -> None:
        """Take the sentences from the catalogue.

        What an image or a server said becomes printable, and is cut where it
        is longer than anybody reads.

        :raises KeyError: when it has not got the code, or the code not the
            case, or the data not what the sentences need.
        """
        entry = catalogue.ENTRIES[code]
        data = {name: text.bounded(value) if isinstance(value, str) else value
                for name, value in (data or {}).items()}
        values: dict[str, typing.Any] = {
            'code': code, 'expected': text.bounded(expected),
            'found': text.bounded(found), 'case': case, 'data': data,
            'severity': severity or entry.severity,
            'message': text.bounded(message) or entry.case(
                case).message.format_map(data),
            'fix': text.printable(fix) or _fix(code, case, data)}
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def __str__(self) -> str:
        return (f'{self.code}: {self.message} Expected {self.expected}, '
                f'found {self.found}. {self.fix}')

    @property
    def retry(self) -> Retry:
        """Whether it may be otherwise later, or on another disk."""
        return catalogue.ENTRIES[self.code].retry

    @property
    def link(self) -> str:
        """The code in the documentation, from its root."""
        return f'{_PAGE}#{self.code}'

    def fix_for(self, file: str) -> str:
        """The catalogue's remedy, with the name of the image's file."""
        return _fix(self.code, self.case, {**self.data, 'file': file})

    def to_dict(self) -> dict[str, typing.Any]:
        """The finding as JSON values."""
        return {'code': self.code, 'severity': str(self.severity),
                'expected': self.expected, 'found': self.found,
                'message': self.message, 'fix': self.fix,
                'retry': str(self.retry), 'link': self.link,
                'case': self.case or None, 'data': dict(self.data)}

    @classmethod
    def from_dict(cls, kept: Mapping[str, typing.Any]) -> 'Finding':
        """The finding that :meth:`to_dict` gave.

        :raises KeyError, TypeError, ValueError: when it gave another.
        """
        if not isinstance(kept['data'], Mapping):
            raise TypeError(type(kept['data']))
        return cls(
            code=kept['code'], severity=Severity(kept['severity']),
            expected=kept['expected'], found=kept['found'],
            case=kept['case'] or '', data=kept['data'],
            message=kept['message'], fix=kept['fix'])


def _fix(code: str, case: str, data: Mapping[str, Value]) -> str:
    return catalogue.ENTRIES[code].case(case).fix.format_map(
        {'file': _FILE, **data})
