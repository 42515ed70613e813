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

from importlib import metadata
import unittest

from oslo_config import cfg

from ironic_imagedeploy.conf import opts
from ironic_imagedeploy.conf import policy
from ironic_imagedeploy.engine import start_policy


def configured(**values):
    conf = cfg.ConfigOpts()
    opts.register_opts(conf)
    conf([])
    for name, value in values.items():
        conf.set_override(name, value, group='imagedeploy')
    return conf


class OptionsTest(unittest.TestCase):

    def test_generator_finds_them(self):
        point, = metadata.entry_points(group='oslo.config.opts',
                                       name='ironic_imagedeploy')
        self.assertEqual(
            [('imagedeploy', opts.OPTS),
             ('imagedeploy-redfish', opts.REDFISH_OPTS)],
            [(group.name, options) for group, options in point.load()()])

    def test_defaults(self):
        group = configured().imagedeploy
        self.assertEqual(
            (['raw', 'qcow2'], 'none', False, 0, True, True, 10, 30),
            (group.permitted_formats, group.read_back,
             group.insecure_checksums_permitted, group.workers,
             group.require_agent, group.extend_hardware_types,
             group.progress_interval, group.stall_threshold))

    def test_help_gives_the_reason_of_the_default(self):
        for option in opts.OPTS + opts.REDFISH_OPTS:
            self.assertGreater(len(option.help), 100, option.name)

    def test_unknown_values(self):
        for name, value in (('permitted_formats', ['raw', 'iso']),
                            ('read_back', 'some'), ('workers', -1),
                            ('start_findings', 'ignore'),
                            ('start_findings_raised', ['no-esp']),
                            ('start_findings_muted', ['misspelt'])):
            with self.assertRaises(ValueError, msg=name):
                configured(**{name: value})

    def test_registered_twice(self):
        conf = configured()
        opts.register_opts(conf)


class PolicyTest(unittest.TestCase):

    def test_from_a_configuration_that_knows_nothing_of_it(self):
        conf = cfg.ConfigOpts()
        conf([])
        self.assertEqual(('raw', 'qcow2'),
                         policy.from_conf(conf).permitted_formats)
        self.assertEqual(start_policy.StartPolicy(),
                         policy.from_conf(conf).start)

    def test_findings_about_the_start(self):
        self.assertEqual(
            start_policy.StartPolicy(mode='off', raised=('no-login',),
                                     muted=('hibernated',)),
            policy.from_conf(configured(
                start_findings='off', start_findings_raised=['no-login'],
                start_findings_muted=['hibernated'])).start)
