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

import configparser
import pathlib
import unittest

import yaml

ROOT = pathlib.Path(__file__).parents[2]
#: Of OpenStack, which its own repositories define.
PARENTS = {'base', 'openstack-tox', 'ironic-tempest-uefi-redfish-vmedia'}
JOB = {'name', 'parent', 'description', 'vars', 'nodeset', 'timeout', 'run',
       'required-projects', 'irrelevant-files'}
PIPELINES = ('check', 'gate', 'periodic')


class ZuulTest(unittest.TestCase):
    """Jobs as Zuul would refuse them otherwise, without a Zuul."""

    def setUp(self):
        super().setUp()
        items = yaml.safe_load((ROOT / '.zuul.yaml').read_text())
        for item in items:
            self.assertEqual(1, len(item), item)
        self.jobs = {item['job']['name']: item['job'] for item in items
                     if 'job' in item}
        self.project, = [item['project'] for item in items
                         if 'project' in item]

    def test_keys_and_parents(self):
        for name, job in self.jobs.items():
            with self.subTest(name):
                self.assertEqual(set(), set(job) - JOB)
                self.assertIn(job['parent'], PARENTS | set(self.jobs))
                self.assertTrue(job['description'])
                self.assertIsInstance(job.get('vars', {}), dict)
                for project in job.get('required-projects', []):
                    self.assertRegex(project, r'openstack/[a-z-]+')

    def test_what_they_run_exists(self):
        tox = configparser.ConfigParser(interpolation=None)
        tox.read(ROOT / 'tox.ini')
        known = {section.partition(':')[2] for section in tox.sections()}
        for name, job in self.jobs.items():
            with self.subTest(name):
                if 'run' in job:
                    self.assertTrue((ROOT / job['run']).is_file())
                if envlist := job.get('vars', {}).get('tox_envlist'):
                    self.assertIn(envlist, known | {'py3'})

    def test_every_job_is_run_and_every_run_is_a_job(self):
        run = set()
        for pipeline in PIPELINES:
            for entry in self.project[pipeline]['jobs']:
                run |= set(entry) if isinstance(entry, dict) else {entry}
        self.assertEqual(set(self.jobs), run)
        self.assertEqual({'templates', *PIPELINES}, set(self.project))

    def test_the_gate_runs_what_votes_in_the_check(self):
        voting = [entry for entry in self.project['check']['jobs']
                  if isinstance(entry, str)]
        self.assertEqual(voting, self.project['gate']['jobs'])
