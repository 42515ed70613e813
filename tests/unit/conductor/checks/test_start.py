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

import pathlib

from ironic.common import exception

from ironic_imagedeploy.conductor.checks import acceptance
from ironic_imagedeploy.conductor.checks import start
from ironic_imagedeploy.conductor import declared
from tests.unit.conductor import base
from tests.unit.engine import system_disks
from tests.unit.engine import systems

ALL, RAISED, MUTED = (f'imagedeploy_start_findings{end}'
                      for end in ('', '_raised', '_muted'))


class StartTestCase(base.ConductorTestCase):
    """A system with the identifier of one machine, in Glance."""

    def setUp(self):
        super().setUp()
        folder = self.directory / 'made'
        folder.mkdir()
        self.system = system_disks.disk(folder, systems.changed(
            systems.debian(), {'etc/machine-id': b'0' * 32}))

    def register(self, path: pathlib.Path | None = None, **properties):
        self.glance.register(path or self.system, disk_format='raw',
                             **properties)
        self.use(base.IMAGE_ID)

    def check(self):
        with self.task() as task:
            return acceptance.check_image(task)

    def codes(self):
        return [finding.code for finding in self.check().findings]

    def refusal(self, *words):
        error = self.assertRaises(exception.InvalidParameterValue, self.check)
        for word in words:
            self.assertIn(word, str(error))


class OperatorTest(StartTestCase):

    def test_warn(self):
        self.register()
        self.assertEqual(['machine-id-left'], self.codes())
        self.assertTrue(self.check().start_judged)

    def test_refuse(self):
        self.config(start_findings='refuse', group='imagedeploy')
        self.register()
        self.refusal('machine-id-left', 'Expected an empty one',
                     'truncate -s 0 /etc/machine-id',
                     'openstack image create')

    def test_off(self):
        self.config(start_findings='off', group='imagedeploy')
        self.register(**{RAISED: 'machine-id-left'})
        verdict = self.check()
        self.assertEqual((), verdict.findings)
        self.assertFalse(verdict.start_judged)

    def test_secure_boot(self):
        self.node.properties = {'cpu_arch': 'x86_64',
                                'capabilities': 'boot_mode:uefi'}
        self.node.save()
        self.register()
        self.assertEqual(['machine-id-left'], self.codes())
        self.use(base.IMAGE_ID, capabilities={'secure_boot': 'true'})
        self.refusal('unsigned-loader', 'starts nothing of this image')

    def test_codes(self):
        self.config(start_findings_muted=['machine-id-left'],
                    group='imagedeploy')
        self.register()
        self.assertEqual([], self.codes())
        self.config(start_findings_raised=['machine-id-left'],
                    group='imagedeploy')
        self.refusal('machine-id-left')


class OwnerTest(StartTestCase):

    def test_stricter(self):
        for properties in ({ALL: 'refuse'}, {RAISED: 'machine-id-left'},
                           {RAISED: ' no-login , machine-id-left,'}):
            self.register(**properties)
            self.refusal('machine-id-left')

    def test_quieter(self):
        for properties in ({ALL: 'off'}, {MUTED: 'machine-id-left'}):
            self.register(**properties)
            self.assertEqual([], self.codes())

    def test_not_what_the_operator_raised(self):
        for options in ({'start_findings': 'refuse'},
                        {'start_findings_raised': ['machine-id-left']}):
            self.config(**options, group='imagedeploy')
            for properties in ({ALL: 'off'}, {MUTED: 'machine-id-left'}):
                self.register(**properties)
                self.refusal('machine-id-left')

    def test_what_nobody_understands(self):
        for name, value in ((ALL, 'perhaps'), (ALL, ''), (RAISED, 'no-esp'),
                            (MUTED, 'machine-id-left;no-login'),
                            (MUTED, '\x1b[2J' * 9999)):
            self.register(**{name: value})
            self.refusal(f'The property {name} of the image',
                         f'openstack image unset --property {name} '
                         + base.IMAGE_ID)
            with self.task() as task:
                found, = start.objections(declared.image(task))
            self.assertEqual('field-invalid', found.code)
            self.assertLess(len(str(found)), 600)
            self.assertTrue(str(found).isprintable())
