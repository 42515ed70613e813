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

"""The command check for a node, against Ironic's own API."""

import contextlib
import io
import json

from tests.support import schema
from tests.unit.cmd import ironic_api

from ironic import objects
from ironic.tests.unit.objects import utils

from ironic_imagedeploy.cmd import imagedeploy
from tests.unit.contract import inventories
from tests.unit.engine import system_disks
from tests.unit.engine import systems

ALIASES = 'usr/lib/modules/6.1.0-13-amd64/modules.alias'
BUILT_IN = 'usr/lib/modules/6.1.0-13-amd64/modules.builtin.modinfo'


class NodeTest(ironic_api.ApiTestCase):

    def setUp(self):
        super().setUp()
        self.node = utils.create_test_node(
            self.context, name='metal', uuid=f'{1:032x}', properties={
                'cpu_arch': 'x86_64', 'local_gb': '10',
                'capabilities': 'boot_mode:uefi,raid:1'}, instance_info={})

    def make(self, **tree):
        """A system with other files."""
        return system_disks.disk(self.directory, systems.changed(
            systems.debian(), {BUILT_IN: b'x.alias=usb:v1\0', **tree}))

    def inspected(self):
        """Let Ironic have an inventory of the node."""
        objects.NodeInventory(
            self.context, node_id=self.node.id,
            inventory_data=inventories.INVENTORY,
            plugin_data=inventories.PLUGIN_DATA).create()

    def check(self, path, *arguments, node='metal', cloud='lab'):
        """The status; what was printed is in ``out`` and ``err``."""
        out, err = io.StringIO(), io.StringIO()
        arguments = ('check', str(path), '--node', node, '--os-cloud', cloud,
                     *arguments)
        with (contextlib.redirect_stdout(out),
              contextlib.redirect_stderr(err)):
            status = imagedeploy.main(arguments)
        self.out, self.err = out.getvalue(), err.getvalue()
        if '--json' in arguments:
            schema.check(arguments, self.out)
        return status

    def verdicts(self, path, *arguments):
        """Machine, whether it starts, and codes of each verdict."""
        self.check(path, '--json', *arguments)
        told = json.loads(self.out)
        self.assertIn('verdicts', told, self.out)
        return [(each['machine'], each['starts'], each['codes'])
                for each in told['verdicts']]

    def test_a_kernel_that_does_not_find_the_disk(self):
        self.inspected()
        path = self.make(**{ALIASES: b''})
        self.assertEqual(4, self.check(path), self.err)
        self.assertIn('error: driver-missing: The kernel in the image does '
                      'not find the disk.', self.out)
        self.assertRegex(self.out, r'metal +does not start \(driver-missing')
        self.assertEqual(
            [('bios', True, []), ('uefi', True, []),
             ('metal', False, ['driver-missing'])], self.verdicts(path))

    def test_a_kernel_that_finds_it(self):
        self.inspected()
        path = self.make(**{ALIASES: systems.text(
            f'alias {inventories.CONTROLLER.alias} ahci\n')})
        self.assertEqual(0, self.check(path), self.out + self.err)
        self.assertRegex(self.out, r'metal +starts\n')
        self.assertRegex(self.out, r'BIOS +starts\n')

    def test_programs_that_secure_boot_does_not_start(self):
        path = self.make()
        self.assertEqual(
            [('bios', True, []), ('uefi', False, ['unsigned-loader'])],
            self.verdicts(path, '--secure-boot')[:2])
        self.check(path, '--secure-boot')
        self.assertRegex(self.out,
                         r'UEFI +does not start \(unsigned-loader\)')

    def test_a_node_that_was_not_inspected(self):
        path = self.make(**{ALIASES: b''})
        self.assertEqual(('metal', None, []), self.verdicts(path)[-1])
        self.check(path)
        self.assertRegex(self.out, r'metal +not known: what devices it has')

    def test_an_image_whose_kernel_is_not_found(self):
        self.inspected()
        path = system_disks.disk(self.directory, [systems.esp('other')])
        self.assertIsNone(self.verdicts(path)[-1][1])
        self.check(path)
        self.assertRegex(self.out, r'metal +not known: .*the kernel drives')

    def test_what_ironic_knows_of_the_machine(self):
        self.node.properties = {
            'cpu_arch': 'aarch64', 'local_gb': 0.001, 'capabilities':
            {'boot_mode': 'uefi'}}
        self.node.save()
        path = self.make()
        self.assertEqual(4, self.check(path), self.err)
        self.assertIn('arch', self.out)
        status = self.check(path, '--arch', 'x86_64')
        self.assertEqual(0, status, self.out)
        self.node.properties = {'local_gb': 0}
        self.node.instance_info = {'capabilities': {'secure_boot': 'true'}}
        self.node.save()
        self.assertEqual(4, self.check(path), self.err)
        self.assertIn('unsigned-loader', self.out)

    def test_a_disk_that_is_too_small(self):
        self.node.properties = {'local_gb': 1}
        self.node.save()
        path = self.make()
        with path.open('r+b') as file:
            file.truncate((1 << 30) + (1 << 20))
        self.assertEqual(4, self.check(path), self.err)
        self.assertIn('too-large', self.out)
        self.assertEqual(0, self.check(path, '--disk-size', '2G'))

    def test_nobody_of_that_name(self):
        self.assertEqual(3, self.check(self.make(), node='nobody'))
        self.assertIn('nobody: ', self.err)
        self.assertIn('openstack baremetal node list', self.err)

    def test_no_cloud(self):
        self.assertEqual(3, self.check(self.make(), cloud='gone'))
        self.assertIn('check: Ironic cannot be asked', self.err)
        self.assertNotIn('verysecret', self.err)

    def test_here_or_there(self):
        with self.assertRaises(SystemExit) as caught:
            self.check(self.make(), '--here')
        self.assertEqual(2, caught.exception.code)
