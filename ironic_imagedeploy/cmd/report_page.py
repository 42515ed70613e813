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

"""The page of one deployment."""

from collections.abc import Iterator
import typing

from ironic_imagedeploy.cmd import charts
from ironic_imagedeploy.cmd import markup
from ironic_imagedeploy.cmd import outcomes
from ironic_imagedeploy.cmd import text

element = markup.element

_LIMITS = {'network': 'the network', 'decode': 'the processor',
           'disk': 'the disk'}
_PROOFS = {'file': 'by the checksum of the file',
           'chunks': 'chunk by chunk', 'both': 'chunk by chunk, and as a '
           'whole', 'bmap': 'by the block map'}


def page(outcome: outcomes.Outcome, made: str) -> str:
    """The page, which needs nothing from elsewhere.

    :param made: by which program, and when.
    """
    report = outcome.report
    return markup.page(
        f'Deployment of {outcome.name}', _head(outcome), *_facts(outcome),
        *filter(None, (
            _section('Where the time went', charts.timeline(outcome.spans)
                     if outcome.spans else None),
            _section('Speed of the write', charts.throughput(report)),
            _section('Who gave the image', _sources(report)),
            _section('The disk', charts.disk(report)),
            _section('Findings', _findings(outcome)),
            element('footer', made))))


def badge(outcome: outcomes.Outcome) -> markup.Markup:
    """The state of a deployment in a word."""
    if outcome.failed:
        return element('span', outcome.state or 'failed', class_='badge bad')
    return element('span', outcome.state or 'written', class_='badge good')


def _head(outcome: outcomes.Outcome) -> markup.Markup:
    report = outcome.report
    lead = [text.without_secrets(report['source'])
            if 'source' in report else None, report.get('format'),
            outcome.kind or None, outcome.ended or None]
    return markup.join(
        element('div', element('h1', outcome.name), badge(outcome),
                class_='head'),
        element('p', ' · '.join(str(word) for word in lead if word),
                class_='lead'))


def _facts(outcome: outcomes.Outcome) -> Iterator[markup.Markup]:
    report = outcome.report
    if not report:
        return
    seconds = float(report.get('seconds', 0))
    size = report.get('virtual_size', 0)
    checksum = report.get('checksum') or {}
    verified = bool(checksum.get('verified'))
    limit = _LIMITS.get(report.get('bottleneck', ''), 'unknown')
    facts = [
        (text.duration(outcome.seconds), 'the whole deployment')
        if outcome.seconds > seconds else None,
        (text.duration(seconds), f'to write {text.size(size)} of disk'),
        (f'{text.size(size / seconds)}/s' if seconds else '–',
         f'limited by {limit}'),
        ('verified' if verified else 'not verified', ', '.join(filter(None, (
            checksum.get('algorithm'),
            _PROOFS.get(report.get('verified_by', '')))))),
        (text.size(report.get('bytes_read', 0)), 'read of the image file'),
        (text.size(report.get('peak_rss', 0)), 'memory at most'),
        (outcome.handover['way'], 'has started the system')
        if outcome.handover else None,
    ]
    yield element('div', *(
        element('div', element('b', value), element('span', words),
                class_='fact') for value, words in filter(None, facts)),
        class_='facts')


def _sources(report: charts.Report) -> markup.Markup | None:
    drawn = charts.sources(report)
    if drawn is None:
        return None
    more = [
        f'{text.size(report["reused"])} were on the disk already'
        if report.get('reused') else None,
        f'{text.size(report["served"])} were given to other nodes'
        if report.get('served') else None,
        f'{text.counted(report["resumes"], "dropped connection")} continued'
        if report.get('resumes') else None]
    return markup.join(drawn, *(
        element('p', f'{words}.', class_='faint')
        for words in more if words))


def _findings(outcome: outcomes.Outcome) -> markup.Markup | None:
    report = outcome.report
    found = [_finding(outcome.error, 'bad')] if outcome.error else []
    if outcome.handover.get('reason'):
        found.append(_finding(
            'The system was not started by kexec: '
            + outcome.handover['reason'], 'warn'))
    if report.get('backup_gpt_misplaced'):
        found.append(_finding(
            'The end of the disk has no backup of the partition table: '
            'ironic-imagedeploy repair-gpt moves it there.', 'warn'))
    for warning in report.get('warnings', ()):
        found.append(_finding(
            f'{warning.get("code", "")}: {warning.get("message", "")}',
            'warn', **{name: warning[name] for name in (
                'expected', 'found', 'fix') if warning.get(name)}))
    return markup.join(*found) if found else None


def _finding(words: str, style: str, **details: typing.Any
             ) -> markup.Markup:
    return element(
        'div', element('p', words), element('dl', *(
            part for name, value in details.items()
            for part in (element('dt', name), element('dd', value))))
        if details else None, class_=f'finding c-{style}')


def _section(title: str, content: markup.Markup | None
             ) -> markup.Markup | None:
    if not content:
        return None
    return element('section', element('h2', title), content)
