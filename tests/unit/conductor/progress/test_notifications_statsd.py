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

"""The files for Prometheus and Grafana name what conductors really send."""

import json
import pathlib
import re
import shutil
import socket
import subprocess
import unittest
from unittest import mock

from ironic.common import metrics_statsd
import yaml

from ironic_imagedeploy.conductor.progress import notifications
from ironic_imagedeploy.contract import progress
from tests.unit.conductor import base

ROOT = pathlib.Path(__file__).parents[4]
FILES = ROOT / 'doc/source/admin/monitoring'
MAPPINGS = yaml.safe_load((FILES / 'statsd-mapping.yaml').read_text())[
    'mappings']
METRIC = re.compile(r'\bimagedeploy_[a-z_]+\b')


def mapped(name):
    """Name and labels that statsd_exporter gives to a metric."""
    for mapping in MAPPINGS:
        if match := re.search(mapping['match'], name):
            def expand(words, match=match):
                return re.sub(r'\$(\d)', lambda number: match[
                    int(number[1])] or '', words)
            return expand(mapping['name']), {
                label: expand(words)
                for label, words in mapping['labels'].items()}
    return None


def timers():
    """Names of all timers of the conductor side."""
    text = '\n'.join(path.read_text() for path in (
        ROOT / 'ironic_imagedeploy/conductor').rglob('*.py'))
    return set(re.findall(r"'ImageDeploy\.(\w+)'", text))


def known():
    """Metrics that the mapping can give."""
    names = {'imagedeploy_limited_by'}
    for mapping in MAPPINGS:
        choice = re.search(r'\(([a-z_|]+)\)\$$', mapping['match'])[1]
        if '$2' in mapping['name']:
            names |= {mapping['name'].replace('$2', each)
                      for each in choice.split('|')}
    return names


class StatsdTest(base.ConductorTestCase):

    def test_gauges_arrive_under_their_names(self):
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(server.close)
        server.bind(('127.0.0.1', 0))
        server.settimeout(5)
        self.config(statsd_host='127.0.0.1',
                    statsd_port=server.getsockname()[1],
                    group='metrics_statsd')
        logger = metrics_statsd.StatsdMetricLogger(
            f'one.example.{notifications.__name__}')
        record = progress.ProgressRecord(
            phase='write', done=1, total=2, bytes_per_second=1000,
            bottleneck='network')
        with mock.patch.object(notifications, 'METRICS', logger):
            notifications.measure([record, None])
        found = {}
        for _ in range(6):
            name, _, value = server.recv(4096).decode().partition(':')
            metric, labels = mapped(name)
            self.assertEqual('one.example', labels.pop('conductor'))
            found[(metric, *labels.values())] = value
        self.assertEqual({
            ('imagedeploy_writing',): '2|g', ('imagedeploy_stalled',): '0|g',
            ('imagedeploy_bytes_per_second',): '1000|g',
            ('imagedeploy_limited_by', 'network'): '1|g',
            ('imagedeploy_limited_by', 'decode'): '0|g',
            ('imagedeploy_limited_by', 'disk'): '0|g'}, found)


class FilesTest(unittest.TestCase):

    def test_timers_that_are_mapped_exist(self):
        for name in known():
            if name.endswith('_seconds'):
                self.assertIn(name.removeprefix('imagedeploy_').removesuffix(
                    '_seconds'), timers())

    def test_only_known_metrics_are_asked_for(self):
        for name in ('rules.yaml', 'dashboard.json'):
            text = (FILES / name).read_text()
            used = set(METRIC.findall(text))
            self.assertLess(3, len(used))
            self.assertLessEqual(used, known(), name)

    def test_the_page_has_every_metric(self):
        page = FILES.with_suffix('.rst').read_text()
        self.assertEqual(known(), set(METRIC.findall(page)))

    def test_alerts(self):
        page = FILES.with_suffix('.rst').read_text()
        rules = yaml.safe_load((FILES / 'rules.yaml').read_text())
        for rule in rules['groups'][0]['rules']:
            if 'alert' in rule:
                self.assertEqual({'alert', 'expr', 'for', 'labels',
                                  'annotations'}, set(rule))
                self.assertEqual({'summary', 'description'},
                                 set(rule['annotations']))
                self.assertIn(f'``{rule["alert"]}``', page)

    @unittest.skipUnless(shutil.which('promtool'), 'promtool is missing')
    def test_prometheus_takes_the_rules(self):
        for arguments in (('check', 'rules', 'rules.yaml'),
                          ('test', 'rules', 'rules-test.yaml')):
            run = subprocess.run(['promtool', *arguments], cwd=FILES,
                                 capture_output=True, text=True, check=False)
            self.assertEqual(0, run.returncode, run.stdout + run.stderr)

    def test_the_dashboard_is_laid_out_without_gaps_and_overlaps(self):
        dashboard = json.loads((FILES / 'dashboard.json').read_text())
        places = set()
        for panel in dashboard['panels']:
            grid = panel['gridPos']
            cells = {(x, y) for x in range(grid['x'], grid['x'] + grid['w'])
                     for y in range(grid['y'], grid['y'] + grid['h'])}
            self.assertFalse(places & cells, panel['title'])
            self.assertLessEqual(grid['x'] + grid['w'], 24)
            places |= cells
            self.assertEqual('${datasource}', panel['datasource']['uid'])
            self.assertTrue(all(target['expr'] for target
                                in panel['targets']))
        identifiers = [panel['id'] for panel in dashboard['panels']]
        self.assertEqual(len(identifiers), len(set(identifiers)))
