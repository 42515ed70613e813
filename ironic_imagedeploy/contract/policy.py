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

"""The options of an operator that both sides follow."""

from collections.abc import Mapping
import dataclasses
import typing

from ironic_imagedeploy.engine import choices
from ironic_imagedeploy.engine import start_policy

PERMITTED_FORMATS = choices.PERMITTED_FORMATS
FORMATS = (*PERMITTED_FORMATS, *choices.OTHER_FORMATS)
READ_BACKS = choices.READ_BACKS
PROOFS = choices.PROOFS
START_MODES = start_policy.MODES
START_CODES = start_policy.CODES
#: Fields that are tuples, and lists in JSON.
_LISTS = ('permitted_formats', 'start_findings_raised',
          'start_findings_muted')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Policy:
    """Options that travel from the conductor to the ramdisk.

    :ivar permitted_formats: image formats that may be deployed.
    :ivar read_back: none, sample or full.
    :ivar insecure_checksums_permitted: accept md5 and sha1.
    :ivar workers: threads that decode; 0 for three each processor.
    :ivar minimum_speed: bytes per second that a server must give.
    :ivar decompression_memory: MiB for the window of a compressed file.
    :ivar verify: chunks, file or both: what of an image with a manifest is
        verified in the ramdisk.
    :ivar start_findings: warn, refuse or off: what becomes of findings about
        how the system in the image starts.
    :ivar start_findings_raised: codes of those that refuse in any case.
    :ivar start_findings_muted: codes of those that are left out.
    """

    permitted_formats: tuple[str, ...]
    read_back: str
    insecure_checksums_permitted: bool
    workers: int
    minimum_speed: int = 0
    decompression_memory: int = 128
    verify: str = PROOFS[0]
    start_findings: str = START_MODES[0]
    start_findings_raised: tuple[str, ...] = ()
    start_findings_muted: tuple[str, ...] = ()

    @property
    def start(self) -> start_policy.StartPolicy:
        """Severity of findings about how the system starts."""
        return start_policy.StartPolicy(
            mode=self.start_findings, raised=self.start_findings_raised,
            muted=self.start_findings_muted)

    def starting(self, start: start_policy.StartPolicy) -> 'Policy':
        """This policy with another one for such findings."""
        return dataclasses.replace(
            self, start_findings=start.mode,
            start_findings_raised=start.raised,
            start_findings_muted=start.muted)

    def updated(self, sent: Mapping[str, typing.Any]) -> 'Policy':
        """This policy with what a conductor sent instead.

        :param sent: what :meth:`to_dict` gave, by the same or another
            release: unknown and missing keys are not an error.
        :raises ValueError: when a value is of another kind.
        """
        known = {field.name for field in dataclasses.fields(self)}
        values = {name: value for name, value in sent.items()
                  if name in known and value is not None}
        for name in _LISTS:
            if isinstance(listed := values.get(name), list):
                values[name] = tuple(filter(_is_text, listed))
        for name, value in values.items():
            if type(value) is not type(getattr(self, name)):
                raise ValueError(f'{name} {ascii(value)[:80]}')
        return dataclasses.replace(self, **values)

    def to_dict(self) -> dict[str, typing.Any]:
        """The policy as JSON values."""
        values = dataclasses.asdict(self)
        return {**values, **{name: list(values[name]) for name in _LISTS}}


def _is_text(value: typing.Any) -> bool:
    return isinstance(value, str)
