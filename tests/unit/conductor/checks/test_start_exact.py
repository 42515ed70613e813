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

import unittest

from oslo_config import fixture

from ironic.conf import CONF

from ironic_imagedeploy.conductor.checks import start
from ironic_imagedeploy.conf import opts
from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import start_policy
from tests.unit.conductor import unsaved

MODE, RAISED, MUTED = (f'imagedeploy_start_findings{end}'
                       for end in ('', '_raised', '_muted'))
ONE, OTHER = sorted(start_policy.CODES)[:2]


def image(**stated):
    return unsaved.image(declared={'start_findings': {
        {'mode': MODE, 'raised': RAISED, 'muted': MUTED}[name]: value
        for name, value in stated.items()}})


class StartTestCase(unittest.TestCase):

    def setUp(self):
        super().setUp()
        opts.register_opts(CONF)
        self.conf = self.enterContext(fixture.Config(CONF))


class PolicyTest(StartTestCase):

    def of_image(self, **stated):
        found = start.of_image(image(**stated))
        return found.mode, set(found.raised), set(found.muted)

    def test_what_the_owner_states(self):
        for stated, policy in (
                ({}, ('warn', set(), set())),
                ({'mode': 'refuse'}, ('refuse', set(), set())),
                ({'mode': 'off'}, ('warn', set(), set(start_policy.CODES))),
                ({'mode': 'perhaps'}, ('warn', set(), set())),
                ({'raised': ONE}, ('warn', {ONE}, set())),
                ({'muted': f' {ONE} ,,{OTHER}'},
                 ('warn', set(), {ONE, OTHER})),
                ({'muted': f'no-such-code,{ONE}'}, ('warn', set(), {ONE})),
                ({'raised': 5}, ('warn', set(), set()))):
            self.assertEqual(policy, self.of_image(**stated), stated)

    def test_so_much_of_a_property_is_read(self):
        for spaces, found in ((1024 - len(ONE), {ONE}), (1024, set())):
            self.assertEqual(found, self.of_image(
                muted=' ' * spaces + ONE)[2])

    def test_the_operator_is_stricter(self):
        self.conf.config(start_findings='refuse', group='imagedeploy')
        self.assertEqual('refuse', self.of_image(mode='off')[0])


class ObjectionsTest(StartTestCase):

    def objections(self, **stated):
        return list(start.objections(image(**stated)))

    def assert_objections(self, name, expected, found, **stated):
        self.assertEqual([engine.Finding(
            code='field-invalid', expected=expected, found=found,
            message=f'The property {name} of the image cannot be used.',
            fix=f'openstack image unset --property {name} {unsaved.IMAGE_ID},'
                f' or openstack image set --property {name}=VALUE '
                f'{unsaved.IMAGE_ID}')], self.objections(**stated))

    def test_none(self):
        for stated in ({}, {'mode': 'off'}, {'raised': ''}, {'muted': ' , '},
                       {'raised': f'{ONE}, {OTHER}', 'muted': OTHER}):
            self.assertEqual([], self.objections(**stated))

    def test_mode(self):
        for mode, shown in (('perhaps', "'perhaps'"), ('', "''"), (5, '5'),
                            ('\u0661', r"'\u0661'")):
            self.assert_objections(MODE, 'warn, refuse, off', shown,
                                   mode=mode)

    def test_codes(self):
        codes = ('codes of findings about how a system starts, with commas '
                 'between')
        self.assert_objections(RAISED, codes, "'no-esp'",
                               raised=f'{ONE},no-esp,other')
        self.assert_objections(MUTED, codes, "'" + 'x' * 79,
                               muted='x' * 2000)

    def test_each_property_has_its_own(self):
        self.assertEqual(3, len(self.objections(
            mode='perhaps', raised='x', muted='y')))
