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

"""Knowledge about the code of a finding."""

from collections.abc import Mapping
import dataclasses
import enum


class Severity(enum.StrEnum):
    """An error refuses the image, a warning does not."""

    ERROR = 'error'
    WARNING = 'warning'


class Retry(enum.StrEnum):
    """Whether the same deployment may work another time, or elsewhere.

    ``never``: not before somebody mends the image or the machine.
    ``later``: a server or the network did not answer.
    ``elsewhere``: another disk may suit.
    """

    NEVER = 'never'
    LATER = 'later'
    ELSEWHERE = 'elsewhere'


class Topic(enum.StrEnum):
    """Sections of the catalogue."""

    ORIGIN = 'Where it comes from'
    KIND = 'What kind of file it is'
    DAMAGE = 'What is wrong in the file'
    CHECKSUM = 'Checksum'
    MACHINE = 'The image and the machine'
    START = 'How it starts'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """Sentences for one kind of cause; empty where the usual ones do.

    The data of a finding stand for ``{names}``; ``{file}`` is the image's
    file.

    :ivar message: what is wrong.
    :ivar fix: what to do about it.
    """

    message: str = ''
    fix: str = ''


@dataclasses.dataclass(frozen=True, kw_only=True)
class Entry:
    """Knowledge about a code.

    :ivar topic: its section.
    :ivar meaning: for the documentation.
    :ivar message: what is wrong, as in :class:`Case`.
    :ivar fix: what to do about it.
    :ivar severity: of its findings, unless they say otherwise.
    :ivar unless: when an error is a warning only, for the documentation.
    :ivar cases: other sentences, by the kind of cause.
    """

    topic: Topic
    meaning: str
    message: str
    fix: str
    severity: Severity = Severity.ERROR
    retry: Retry = Retry.NEVER
    unless: str = ''
    cases: Mapping[str, Case] = dataclasses.field(default_factory=dict)

    def case(self, name: str) -> Case:
        """The sentences for a kind of cause; empty for the usual one.

        :raises KeyError: when the code has no such case.
        """
        found = self.cases[name] if name else Case()
        return Case(message=found.message or self.message,
                    fix=found.fix or self.fix)
