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


from html import parser
import re
import typing
import unittest

from ironic_imagedeploy.cmd import fleet
from ironic_imagedeploy.cmd import fleet_page
from ironic_imagedeploy.cmd import markup
from ironic_imagedeploy.cmd import outcomes
from ironic_imagedeploy.cmd import report_page
from ironic_imagedeploy.contract import names
from tests.unit.cmd import deployments
from tests.unit.cmd import program

HOSTILE = deployments.HOSTILE


class _Page(parser.HTMLParser):
    """Elements, attributes and text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.values: list[tuple[str, str]] = []
        self.text = ''
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert not self._open, self._open

    def handle_starttag(self, tag: str, attrs: typing.Any) -> None:
        self.tags.append(tag)
        self.values += [(name, value or '') for name, value in attrs]
        if tag not in ('meta', 'br'):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def outcome(*arguments: typing.Any, **values: typing.Any
            ) -> outcomes.Outcome:
    """What became of a node."""
    found = outcomes.of_node(deployments.Node(*arguments, **values))
    assert found
    return found


class PageTestCase(unittest.TestCase):

    def read(self, text: str) -> _Page:
        """A page, which must be well-formed and need nothing else."""
        page = _Page(text)
        self.assertNotIn('script', page.tags)
        for name, value in page.values:
            self.assertNotIn(name, ('href', 'src', 'action', 'background'))
            self.assertFalse(name.startswith('on'), (name, value))
        style = text.split('<style>')[1].split('</style>')[0]
        for word in ('url(', '@import', 'http', '<'):
            self.assertNotIn(word, style)
        self.assertIn(("content", "default-src 'none'; "
                       "style-src 'unsafe-inline'"), page.values)
        return page


class MarkupTest(unittest.TestCase):

    def test_text_is_escaped_and_markup_is_not(self) -> None:
        self.assertEqual(
            '<p class="a&quot;b">&lt;b&gt; &amp; <b>5</b></p>',
            markup.element('p', '<b> & ', markup.element('b', 5), None,
                           class_='a"b', title=None))

    def test_text_is_printable_and_bounded(self) -> None:
        self.assertEqual('\\x1b[31m', markup.escape('\x1b[31m'))
        self.assertLess(len(markup.escape('<' * 10 ** 6)), 2000)


class ReportPageTest(PageTestCase):

    def test_all_sections(self) -> None:
        page = self.read(report_page.page(outcome(), 'by the test'))
        for words in ('node-1', 'active', 'Where the time went',
                      'Speed of the write', 'Who gave the image',
                      'conductor', '75%', 'The disk', 'EFI system', 'root',
                      '1 dropped connection continued', 'verified',
                      'by the test', '2 min 20 s', 'ramdisk'):
            self.assertIn(words, page.text)
        drawn = [value for name, value in page.values if name == 'd']
        self.assertEqual(3, len(drawn))
        # The last sample ends at the right edge.
        self.assertTrue(drawn[0].endswith('L1000 200Z'), drawn[0])
        for path in drawn[1:]:
            self.assertRegex(path, r'L1000.0 [0-9.]+$')

    def test_findings(self) -> None:
        page = self.read(report_page.page(outcome(warnings=[{
            'code': 'other-disk', 'message': 'Another disk has the image.',
            'expected': 'one', 'found': 'two', 'fix': 'Wipe it.'}],
            backup_gpt_misplaced=True), ''))
        for words in ('other-disk', 'Wipe it.', 'repair-gpt'):
            self.assertIn(words, page.text)

    def test_what_has_started_the_system(self) -> None:
        page = report_page.page(outcome(handover={
            'way': 'kexec', 'kernel': '/vmlinuz'}), '')
        self.assertIn('<b>kexec</b><span>has started the system', page)
        page = report_page.page(outcome(handover={
            'way': 'firmware', 'reason': 'it boots <securely>'}), '')
        self.assertIn('not started by kexec: it boots &lt;securely&gt;', page)
        self.assertNotIn('started', report_page.page(outcome(), ''))

    def test_a_failure(self) -> None:
        page = self.read(report_page.page(outcome(
            state='deploy failed', error='no-esp: UEFI could not boot it',
            report=None), ''))
        self.assertIn('no-esp', page.text)
        self.assertNotIn('Speed of the write', page.text)

    def test_hostile_text_is_text(self) -> None:
        hostile = outcome(
            HOSTILE, source=HOSTILE, format=HOSTILE, bottleneck=HOSTILE,
            kind=HOSTILE, verified_by=HOSTILE,
            sources=[{'name': HOSTILE, 'bytes': 5}],
            partitions=[{'name': HOSTILE, 'type': HOSTILE, 'start': 1 << 62,
                         'length': 1 << 62}],
            phases=[{'name': HOSTILE, 'start': 5, 'seconds': 1e18}],
            throughput=[{'seconds': 1e300, 'read': 1 << 62,
                         'bottleneck': HOSTILE}],
            warnings=[{'code': HOSTILE, 'message': HOSTILE,
                       'fix': HOSTILE}])
        for text in (report_page.page(hostile, HOSTILE),
                     fleet_page.page([hostile] * 4, HOSTILE)):
            page = self.read(text)
            self.assertNotIn('\x1b', text)
            self.assertIn('alert("1")', page.text)

    def test_a_report_of_an_older_release(self) -> None:
        page = self.read(report_page.page(outcome(
            phases=[], throughput=[], partitions=[]), ''))
        self.assertNotIn('Speed of the write', page.text)


class FleetTest(PageTestCase):

    def outcomes(self) -> list[outcomes.Outcome]:
        return [
            *(outcome(f'node-{number}') for number in range(1, 12)),
            outcome('node-17', slower=240.0, bottleneck='disk', phases=[
                {'name': 'write', 'start': 1.5, 'seconds': 260.0}]),
            outcome('node-20', report=None, state='deploy failed',
                    error='the checksum does not match'),
            outcome('lonely', kind='small')]

    def test_who_was_slow_and_at_what(self) -> None:
        slow = list(fleet.slow(fleet.groups(self.outcomes())))
        self.assertEqual([('node-17', 'its disk')], [
            (verdict.outcome.name, verdict.slow_at) for verdict in slow])
        self.assertEqual(140, slow[0].median)

    def test_other_parts_are_told_apart(self) -> None:
        usual = [outcome(f'node-{number}') for number in range(5)]
        for slow_part, words in (('ramdisk', 'firmware'),
                                 ('check', 'conductor')):
            node = deployments.Node('late')
            times = node.driver_internal_info[names.KEY]['timeline']
            following = {'ramdisk': 'agent', 'check': 'accepted'}[slow_part]
            for name in times:
                if list(times).index(name) >= list(times).index(following):
                    times[name] = times[name].replace('T00:', 'T01:')
            late = outcomes.of_node(node)
            assert late
            verdict, = fleet.slow(fleet.groups([*usual, late]))
            self.assertIn(words, verdict.slow_at)

    def test_few_have_no_median(self) -> None:
        groups = fleet.groups([outcome(), outcome(slower=9000.0)])
        self.assertEqual([0.0], [group.median for group in groups])
        self.assertEqual([], list(fleet.slow(groups)))

    def test_page(self) -> None:
        page = self.read(fleet_page.page(self.outcomes(), 'by the test'))
        for words in ('node-17: its disk (6 min 20 s, 2.7 times the median)',
                      'node-20', 'the checksum does not match', 'lonely',
                      'median 2 min 20 s', 'too few for a median'):
            self.assertIn(words, page.text)


class CommandTest(program.CommandTestCase):

    def test_the_report_of_a_write(self) -> None:
        told = self.directory / 'report.json'
        page = self.directory / 'report.html'
        self.assertEqual(0, self.run_main(
            'write', self.image, self.target, '--report', told))
        self.assertEqual(0, self.run_main('report', told, '--html', page),
                         self.err)
        self.assertEqual(f'1 deployment in {page}\n', self.out)
        text = page.read_text()
        self.assertTrue(text.startswith('<!DOCTYPE html>\n<html lang="en">'))
        self.assertIn('Where the time went', text)
        self.assertEqual(0, self.run_main(
            'report', '--fleet', told, told, '--html', page), self.err)

    def test_usage(self) -> None:
        self.assertEqual(2, self.run_main('report', '--html', 'x'))
        self.assertEqual(2, self.run_main('report', 'a', 'b', '--html',
                                          self.directory / 'x'))
        told = self.directory / 'report.json'
        told.write_text('{}')
        self.assertEqual(2, self.run_main('report', told, '--html', told))
        self.assertIn('would replace', self.err)
        self.assertEqual(3, self.run_main(
            'report', told, '--html', self.directory / 'x'))
        self.assertIsNone(re.search('Traceback', self.err))
        self.assertIn('the report cannot be read', self.err)

    def test_a_file_that_is_not_there_is_not_a_node(self) -> None:
        for name in ('missing.json', './missing'):
            self.assertEqual(3, self.run_main(
                'report', name, '--html', self.directory / 'x'))
            self.assertIn(f'{name.removeprefix("./")}: the report cannot be '
                          'read', self.err)
            self.assertIn('found No such file', self.err)
