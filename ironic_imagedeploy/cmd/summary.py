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

"""Summaries of what the commands did, for people."""

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import shlex
import typing

from ironic_imagedeploy.cmd import contents_summary
from ironic_imagedeploy.cmd import text
from ironic_imagedeploy import engine


def check(inspection: engine.Inspection, name: str,
          verdicts: Iterable[tuple[str, str]] = ()) -> list[str]:
    """The result of an inspection, in lines.

    :param verdicts: on machines, with what they are about.
    """
    verdict = {'accept': 'accepted', 'refuse': 'refused'}
    shown = [f'{text.printable(name)}: '
             f'{verdict.get(inspection.verdict, inspection.verdict)}']
    shown += _aligned(_facts(inspection))
    if inspection.contents:
        shown += _aligned(contents_summary.rows(inspection.contents))
    shown += _aligned(verdicts)
    for finding in inspection.findings:
        shown += ['', *_finding(finding)]
    return shown


def write(report: Mapping[str, typing.Any], target: str,
          inspection: engine.Inspection, *, voucher: str = '') -> list[str]:
    """The result of a write, in lines.

    :param report: the report as JSON values.
    :param voucher: who vouched for the manifest, where there was one.
    """
    lines = [f'{_image(report, inspection)}: written to '
             f'{text.printable(target)}',
             *_aligned(_results(report, voucher)),
             *_aligned(_rates(report))]
    if report['backup_gpt_misplaced']:
        lines += ['', 'The end of the disk has no backup of the partition '
                  'table. Have it there:',
                  f'  ironic-imagedeploy repair-gpt {shlex.quote(target)}']
    return lines


def verify(report: Mapping[str, typing.Any], target: str,
           inspection: engine.Inspection) -> list[str]:
    """The result of a comparison that found no difference, in lines.

    :param report: the report as JSON values.
    """
    return [f'{_image(report, inspection)}: identical to '
            f'{text.printable(target)}',
            *_aligned(_rates(report))]


def manifest(result: Mapping[str, typing.Any]) -> list[str]:
    """The manifest that was made, in lines.

    :param result: what was done, as JSON values.
    """
    checksum = result['checksum']
    return [f'{text.printable(result["source"])}: manifest in '
            f'{text.printable(result["manifest"])}', *_aligned(iter((
                ('root', result['root']),
                ('checksum', f'{checksum["algorithm"]}:{checksum["value"]}'),
                ('image file', _exact(result['size'])),
                ('zero', _exact(result['bytes_zero'])),
                ('chunks', f'{result["chunks"]} of '
                 f'{text.size(result["chunk_size"])}'),
                ('time', text.duration(result['seconds'])))))]


def repair(done: bool, found: str) -> str:
    """The result of a repair of the GPT, in a line.

    :param done: whether there was something to do.
    :param found: what is on the disk, in words.
    """
    if done:
        return 'both halves of the GPT are whole, with the backup at the end'
    if found == 'a GPT':
        return ('nothing to repair: both halves of the GPT are whole, with '
                'the backup at the end')
    if found:
        return f'nothing to repair: there is no GPT, but {found}'
    return 'nothing to repair: there is no partition table'


def _image(report: Mapping[str, typing.Any], inspection: engine.Inspection
           ) -> str:
    return f'{text.printable(report["source"])} ({_format(inspection)})'


def _format(inspection: engine.Inspection) -> str:
    return f'{inspection.format or "unknown"}' + (
        f' in {inspection.compression}' if inspection.compression else '')


def _facts(inspection: engine.Inspection) -> Iterator[tuple[str, str]]:
    declared = inspection.declared_format
    yield 'format', _format(inspection) + (
        f' (declared: {text.printable(declared)})' if declared else '')
    yield 'type', (inspection.image_type or '') + (
        f' ({inspection.file_system})' if inspection.file_system else '')
    for label, amount in (('disk size', inspection.virtual_size),
                          ('stored', inspection.stored_size)):
        yield label, _exact(amount) if amount is not None else ''
    yield 'partitions', _partitions(inspection)
    yield 'boot modes', ', '.join(inspection.boot_modes)
    yield 'sector size', (f'{inspection.sector_size} bytes'
                          if inspection.sector_size else '')
    yield 'not checked', ', '.join(
        _UNCHECKED[fact] for fact in inspection.unchecked)


#: What a check cannot tell, which reads the front of a file.
_UNCHECKED = {'checksum': 'the checksum', 'disk-size': 'the size of the disk',
              'compression': 'the rest of what is compressed',
              'contents': 'the system in it',
              'oslo-inspector': "OpenStack's own inspector, which is not "
              'installed'}


def _partitions(inspection: engine.Inspection) -> str:
    if not inspection.partition_table:
        return ''
    return f'{len(inspection.partitions)} ({inspection.partition_table})'


def _finding(finding: engine.Finding) -> list[str]:
    return [f'{finding.severity}: {finding.code}: '
            f'{text.printable(finding.message)}',
            f'  expected  {text.printable(finding.expected)}',
            f'  found     {text.printable(finding.found)}',
            f'  fix       {text.printable(finding.fix)}']


def _results(report: Mapping[str, typing.Any], voucher: str
             ) -> Iterator[tuple[str, str]]:
    yield 'read', _exact(report['bytes_read']) + _resumes(report['resumes'])
    if reused := report['reused']:
        yield 'reused', f'{_exact(reused)} of the file, on the disk already'
    yield 'written', _exact(report['bytes_written'])
    yield 'zeroed', _zeroed(report)
    yield 'checksum', _proof(report)
    yield 'manifest', text.printable(voucher)
    yield 'read-back', _READ_BACK.get(report['read_back'],
                                      report['read_back'])


def _rates(report: Mapping[str, typing.Any]) -> Iterator[tuple[str, str]]:
    seconds = max(report['seconds'], 1e-3)
    yield 'image size', _exact(report['virtual_size'])
    yield 'disk size', _exact(report['target_size'])
    yield 'time', (
        f'{text.duration(report["seconds"])}: '
        f'{text.size(report["bytes_read"] / seconds)}/s of the file, '
        f'{text.size(report["virtual_size"] / seconds)}/s of the disk')
    yield 'limited by', report['bottleneck'] or ''
    yield 'peak memory', text.size(report['peak_rss'])


_READ_BACK = {'none': 'not asked for (--read-back sample or full)',
              'sample': 'a sample of what was written or zeroed is identical',
              'full': 'all that was written or zeroed is identical'}


def _proof(report: Mapping[str, typing.Any]) -> str:
    """Words for what was verified: the file, or all that was written."""
    if report['verified_by'] == 'bmap':
        return 'that of each range verified, by the block map'
    checksum = report['checksum']
    if report['verified_by'] == 'file' and not checksum['verified']:
        return (f'{checksum["algorithm"]} is that in a manifest that nobody '
                f'signed ({checksum["value"][:16]}...)')
    if report['verified_by'] != 'chunks':
        return _checksum(checksum)
    return 'that of each chunk verified, by ' + (
        'the manifest' if checksum['verified']
        else 'a manifest that nobody signed')


def _checksum(checksum: Mapping[str, typing.Any] | None) -> str:
    if not checksum:
        return 'none'
    algorithm, value = checksum['algorithm'], checksum['value']
    if checksum['verified']:
        return f'{algorithm} verified ({value[:16]}...)'
    return f'NOT VERIFIED, for want of one; found {algorithm}:{value}'


def _zeroed(report: Mapping[str, typing.Any]) -> str:
    words = _exact(report['bytes_zeroed'])
    if cost := report['zeroes_written']:
        words += f', {text.size(cost)} of it by writing zeroes'
    return words


def _resumes(count: int) -> str:
    if not count:
        return ''
    return f', resumed {text.counted(count, "time")}'


def _exact(amount: int) -> str:
    words = text.size(amount)
    return words if amount < 1024 else f'{words} ({amount} bytes)'


def _aligned(rows: Iterable[tuple[str, str]]) -> list[str]:
    """Lines of a label and a value; those without a value are left out."""
    return [f'  {label:<12} {value}' for label, value in rows if value]
