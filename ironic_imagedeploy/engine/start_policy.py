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

"""Policy for findings about how the system in an image starts."""

from collections.abc import Iterable
from collections.abc import Iterator
import dataclasses

from ironic_imagedeploy.engine import catalogue
from ironic_imagedeploy.engine import findings

Finding = findings.Finding

WARN, REFUSE, OFF = 'warn', 'refuse', 'off'
MODES = (WARN, REFUSE, OFF)
#: Codes of the findings that a policy is about.
CODES = tuple(code for code, entry in catalogue.ENTRIES.items()
              if entry.topic is catalogue.Topic.START)


@dataclasses.dataclass(frozen=True, kw_only=True)
class StartPolicy:
    """Severity of findings about how a system starts.

    :ivar mode: ``warn``: as the catalogue says; ``refuse``: all are errors;
        ``off``: the system is not looked at.
    :ivar raised: codes that are errors, also when they are muted.
    :ivar muted: codes of which nothing is said.
    """

    mode: str = WARN
    raised: tuple[str, ...] = ()
    muted: tuple[str, ...] = ()

    @property
    def looks(self) -> bool:
        """Whether the system in an image is looked at."""
        return self.mode != OFF

    def applied(self, found: Iterable[Finding]) -> Iterator[Finding]:
        """The findings, as severe as they are by this policy."""
        for finding in found:
            if finding.code in self.raised:
                yield _as_error(finding)
            elif finding.code not in self.muted:
                yield (_as_error(finding) if self.mode == REFUSE else finding)

    def narrowed(self, owner: 'StartPolicy') -> 'StartPolicy':
        """This policy of an operator, with what the owner of an image says.

        The owner raises whatever is looked at, and mutes what the operator
        has not raised. Where the operator refuses all, nothing is muted.
        """
        if not self.looks:
            return self
        muted = CODES if owner.mode == OFF else owner.muted
        if self.mode == REFUSE:
            muted = ()
        return StartPolicy(
            mode=REFUSE if owner.mode == REFUSE else self.mode,
            raised=_union(self.raised, owner.raised),
            muted=_union(self.muted, (code for code in muted
                                      if code not in self.raised)))


def _as_error(finding: Finding) -> Finding:
    return dataclasses.replace(finding, severity=findings.Severity.ERROR)


def _union(codes: Iterable[str], others: Iterable[str]) -> tuple[str, ...]:
    """Codes of both, in a sequence of their own: equal policies are equal."""
    return tuple(sorted({*codes, *others}))
