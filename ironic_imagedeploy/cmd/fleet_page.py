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

"""The page of many deployments, each beside its like."""

from collections.abc import Iterator
from collections.abc import Sequence

from ironic_imagedeploy.cmd import charts
from ironic_imagedeploy.cmd import fleet
from ironic_imagedeploy.cmd import markup
from ironic_imagedeploy.cmd import outcomes
from ironic_imagedeploy.cmd import text

element = markup.element

#: Deployments of a group that are listed, the slowest first.
_MOST = 200


def page(found: Sequence[outcomes.Outcome], made: str) -> str:
    """The page, which needs nothing from elsewhere.

    :param made: by which program, and when.
    """
    groups = fleet.groups(found)
    failed = [outcome for outcome in found if outcome.failed]
    slow = list(fleet.slow(groups))
    return markup.page(
        'Deployments', element('div', element('h1', 'Deployments'),
                               class_='head'),
        element('p', 'Each beside the median of the same image on the same '
                'kind of machine.', class_='lead'),
        _facts(found, failed, slow), *_slow(slow), *_failed(failed),
        *(_group(group) for group in groups), element('footer', made))


def sentence(verdict: fleet.Verdict) -> str:
    """A line that says what was slow, and at what."""
    return (f'{verdict.outcome.name}: {verdict.slow_at} '
            f'({text.duration(verdict.outcome.seconds)}, '
            f'{verdict.times:.1f} times the median)')


def _facts(found: Sequence[outcomes.Outcome],
           failed: Sequence[outcomes.Outcome],
           slow: Sequence[fleet.Verdict]) -> markup.Markup:
    moved = sum(outcome.report.get('bytes_read', 0) for outcome in found)
    return element('div', *(
        element('div', element('b', value, class_=style),
                element('span', words), class_='fact')
        for value, words, style in (
            (len(found), 'deployments', None),
            (len(failed), 'failed, or not done', 'bad' if failed else None),
            (len(slow), 'slow beside their like', 'warn' if slow else None),
            (text.size(moved), 'read of images', None))), class_='facts')


def _slow(slow: Sequence[fleet.Verdict]) -> Iterator[markup.Markup]:
    if slow:
        yield element('section', element('h2', 'Slow, and at what'), *(
            element('div', element('p', sentence(verdict)),
                    class_='finding c-warn') for verdict in slow[:_MOST]))


def _failed(failed: Sequence[outcomes.Outcome]) -> Iterator[markup.Markup]:
    if failed:
        yield element('section', element('h2', 'Failed, or not done'), *(
            element('div', element(
                'p', element('b', outcome.name), ' ',
                element('span', outcome.state, class_='faint')),
                element('p', outcome.error or 'no report of a write'),
                class_='finding c-bad') for outcome in failed[:_MOST]))


def _group(group: fleet.Group) -> markup.Markup:
    longest = max(verdict.outcome.seconds for verdict in group.verdicts)
    median = (f'median {text.duration(group.median)}' if group.median
              else 'too few for a median')
    title = ' · '.join(filter(None, (
        text.without_secrets(group.image), group.kind,
        text.counted(len(group.verdicts), 'deployment'), median)))
    return element('section', element('h2', title), charts.table(
        ('Node', '>took', '>write', 'limited by', ''),
        (_row(verdict, longest, group.median)
         for verdict in group.verdicts[:_MOST])))


def _row(verdict: fleet.Verdict, longest: float, median: float
         ) -> tuple[object, ...]:
    outcome = verdict.outcome
    seconds = float(outcome.report.get('seconds', 0.0))
    speed = outcome.report.get('virtual_size', 0) / seconds if seconds else 0
    name = (element('span', outcome.name, ' ', element(
        'span', 'slow', class_='badge warn')) if verdict.slow_at
        else outcome.name)
    return (name, text.duration(outcome.seconds),
            f'{text.size(speed)}/s', outcome.report.get('bottleneck', ''),
            charts.meter(outcome.seconds / longest,
                         'warn' if verdict.slow_at else 'network',
                         median / longest if median else None))
