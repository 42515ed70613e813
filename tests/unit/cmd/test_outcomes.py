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


import json
import pathlib
import tempfile
import unittest

from ironic_imagedeploy.cmd import outcomes
from ironic_imagedeploy.contract import names
from ironic_imagedeploy.contract import timeline
from tests.unit.cmd import deployments


class NodeTest(unittest.TestCase):

    def outcome(self, **values: object) -> outcomes.Outcome:
        found = outcomes.of_node(deployments.Node(**values))
        assert found
        return found

    def test_parts_follow_each_other(self) -> None:
        outcome = self.outcome()
        self.assertEqual(
            [('check', 0, 2), ('prepare', 2, 1), ('power on', 3, 5),
             ('ramdisk', 8, 90), ('agent', 98, 1), ('inspect', 99, 1.5),
             ('write', 100.5, 20), ('agent', 120.5, 3),
             ('hand-over', 123.5, 5.5), ('after', 129, 1),
             ('boot', 130, 10)],
            [tuple(span) for span in outcome.spans])
        self.assertEqual(140, outcome.seconds)
        self.assertEqual(4, outcome.spent()['agent'])
        self.assertFalse(outcome.failed)

    def test_an_agent_that_tells_no_phases(self) -> None:
        spans = self.outcome(phases=[]).spans
        self.assertIn(outcomes.Span('write', 99, 30), spans)

    def test_a_clock_that_was_set_back_meanwhile(self) -> None:
        node = deployments.Node()
        moments = node.driver_internal_info[names.KEY][timeline.KEY]
        moments['agent'] = '2020-01-01T00:00:00.000+00:00'
        outcome = outcomes.of_node(node)
        assert outcome
        for span in outcome.spans:
            self.assertGreaterEqual(span.start, 0, span)
            self.assertGreaterEqual(span.seconds, 0, span)

    def test_a_deployment_that_failed(self) -> None:
        outcome = self.outcome(state='deploy failed', error='the image is '
                               'refused', report=None)
        self.assertTrue(outcome.failed)
        self.assertEqual('the image is refused', outcome.error)

    def test_a_node_of_others(self) -> None:
        node = deployments.Node()
        for info in ({}, None, {names.KEY: 'x'}, {'other': 1}):
            node.driver_internal_info = info
            self.assertIsNone(outcomes.of_node(node))

    def test_nonsense(self) -> None:
        node = deployments.Node(deployments.HOSTILE, report={
            'phases': [{'name': deployments.HOSTILE, 'start': -1,
                        'seconds': 'x'}],
            'throughput': 5, 'partitions': [7, {}], 'seconds': None})
        node.driver_internal_info[names.KEY][timeline.KEY] = {
            'begun': deployments.HOSTILE, 'written': 5,
            'done': '2026-11-26', 'x': None}
        outcome = outcomes.of_node(node)
        assert outcome
        self.assertTrue(outcome.name.isprintable())
        self.assertEqual(0, outcome.seconds)


class FileTest(unittest.TestCase):

    def setUp(self) -> None:
        super().setUp()

        self.path = pathlib.Path(self.enterContext(
            tempfile.TemporaryDirectory()), 'report.json')

    def outcome(self, content: str) -> outcomes.Outcome:
        self.path.write_text(content)
        return outcomes.of_file(self.path)

    def test_a_report(self) -> None:
        outcome = self.outcome(json.dumps(deployments.report()))
        self.assertEqual('report.json', outcome.name)
        self.assertEqual(24.5, outcome.seconds)
        self.assertFalse(outcome.failed)

    def test_a_failure(self) -> None:
        outcome = self.outcome(json.dumps({'error': {'message': 'too bad'}}))
        self.assertTrue(outcome.failed)
        self.assertEqual('too bad', outcome.error)

    def test_something_else(self) -> None:
        for content in ('', '{}', '[1]', '"report"', '{"virtual_size": "1"}',
                        '[' * 100000, 'x' * (1 << 20) + 'x'):
            with self.assertRaises(outcomes.engine.exceptions.SourceError):
                self.outcome(content)
        with self.assertRaises(outcomes.engine.exceptions.SourceError):
            outcomes.of_file(self.path.with_name('missing'))
