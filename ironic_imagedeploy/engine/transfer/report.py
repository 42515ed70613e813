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

"""Figures of a transfer."""

import dataclasses
import typing

from ironic_imagedeploy.engine.sources import chunked
from ironic_imagedeploy.engine.transfer import timeline

#: Partitions that a report names; a GPT rarely has more than a dozen.
MOST_PARTITIONS = 32


@dataclasses.dataclass(frozen=True, kw_only=True)
class ChecksumReport:
    """The checksum of the stored bytes.

    :ivar verified: whether it is the expected one. By chunks it is that of
        the file that the manifest was made of.
    """

    algorithm: str
    value: str
    verified: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class PartitionReport:
    """A partition of the disk. Start and length in bytes.

    :ivar type: GUID, or number of an MBR.
    """

    number: int
    start: int
    length: int
    type: str
    name: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Report:
    """Report of a transfer. Sizes in bytes.

    :ivar source: the image file, without secrets.
    :ivar virtual_size: of the disk in the image.
    :ivar target_size: of the disk that it was written to.
    :ivar backup_gpt_misplaced: the backup of the GPT is where the image ends,
        and not at the end of the larger disk.
    :ivar resumes: how often a dropped connection was continued.
    :ivar zeroes_written: the part of ``bytes_zeroed`` that had to be written
        since the target has no faster way.
    :ivar sources: places that gave bytes of the file, with how many.
    :ivar reused: bytes of the file that were not needed, since what they
        hold was on the target.
    :ivar verified_by: ``file`` (its checksum), ``chunks`` (their digests in
        a manifest of the file) or ``both``; None when nothing was known.
    :ivar read_back: ``none``, ``sample`` or ``full``.
    :ivar bottleneck: ``network``, ``decode`` or ``disk``.
    :ivar phases: ``scan``, ``write``, ``read-back``, ``finish``; or
        ``compare``.
    :ivar throughput: some dozens of samples at most.
    :ivar partitions: of the disk in the image, the first ones of many.
    :ivar peak_rss: most memory of this program so far.
    """

    source: str
    format: str
    virtual_size: int
    target_size: int
    backup_gpt_misplaced: bool = False
    bytes_read: int
    bytes_written: int
    bytes_zeroed: int
    zeroes_written: int
    resumes: int
    seconds: float
    checksum: ChecksumReport
    sources: tuple[chunked.SourceReport, ...] = ()
    reused: int = 0
    verified_by: str | None = None
    read_back: str
    bottleneck: str
    phases: tuple[timeline.Phase, ...] = ()
    throughput: tuple[timeline.Sample, ...] = ()
    partitions: tuple[PartitionReport, ...] = ()
    peak_rss: int = dataclasses.field(default_factory=lambda: peak_rss())

    def to_dict(self) -> dict[str, typing.Any]:
        """The report as JSON values."""
        values = dataclasses.asdict(self)
        return {name: list(value) if isinstance(value, tuple) else value
                for name, value in values.items()}


def peak_rss() -> int:
    """Most memory that this program has had, in bytes; 0 when none tells.

    getrusage() would tell that of the program which started this one, when
    it was larger.
    """
    with open('/proc/self/status', encoding='ascii') as status:
        for line in status:
            name, _, value = line.partition(':')
            if name == 'VmHWM':
                return int(value.split()[0]) * 1024
    return 0
