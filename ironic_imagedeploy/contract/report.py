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

"""The report of a write, as the conductor accepts it from an agent."""

import typing

from ironic_imagedeploy.contract import fields

_WORD = fields.text(fields.WORD)
_PATH = fields.text(256)
_SENTENCE = fields.text(1024)

_REPORT = fields.mapping(
    source=_SENTENCE, format=_WORD,
    virtual_size=fields.count, target_size=fields.count,
    backup_gpt_misplaced=fields.flag, bytes_read=fields.count,
    bytes_written=fields.count, bytes_zeroed=fields.count,
    zeroes_written=fields.count, resumes=fields.count,
    seconds=fields.number, peak_rss=fields.count,
    checksum=fields.mapping(algorithm=_WORD, value=fields.text(256),
                            verified=fields.flag),
    read_back=_WORD, bottleneck=_WORD,
    sources=fields.sequence(fields.mapping(
        name=_PATH, bytes=fields.count, bad_chunks=fields.count), 16),
    reused=fields.count, verified_by=_WORD, served=fields.count,
    phases=fields.sequence(fields.mapping(
        name=_WORD, start=fields.number, seconds=fields.number), 16),
    throughput=fields.sequence(fields.mapping(
        seconds=fields.number, read=fields.count, written=fields.count,
        bottleneck=_WORD), 64),
    partitions=fields.sequence(fields.mapping(
        number=fields.count, start=fields.count, length=fields.count,
        type=fields.text(64), name=fields.text(64)), 32),
    bootloader=fields.mapping(
        platform=_WORD, menu=_PATH, origin=_WORD, kernel_origin=_WORD,
        kernels=fields.sequence(_PATH, 32)),
    warnings=fields.sequence(fields.mapping(
        code=_WORD, message=_SENTENCE, expected=_SENTENCE, found=_SENTENCE,
        fix=_SENTENCE), 16))


def checked(told: typing.Any) -> dict[str, typing.Any] | None:
    """The report with its known fields only; None when it is not one.

    Some 60 KB at most. Fields of a wrong type are left out.
    """
    report: dict[str, typing.Any] | None = _REPORT(told)
    return report
