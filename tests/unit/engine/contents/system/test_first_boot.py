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

from ironic_imagedeploy.engine.contents.system import first_boot
from ironic_imagedeploy.engine import exceptions
from tests.unit.engine import base
from tests.unit.engine import system_disks
from tests.unit.engine import systems
from tests.unit.engine import volumes


class FirstBootTest(base.EngineTestCase):

    def read(self, tree: volumes.Tree) -> first_boot.FirstBoot:
        return first_boot.read(system_disks.files(self.directory, tree))

    def test_agents(self) -> None:
        for tree, agents in (
                ({}, ()), (systems.cloud_init(), ('cloud-init',)),
                ({'usr/local/bin/glean': b'x'}, ('glean',)),
                ({'usr/lib/systemd/system/glean@.service': b''}, ('glean',)),
                ({'usr/lib/dracut/modules.d/30ignition/x': b''},
                 ('ignition',)),
                ({**systems.cloud_init(),
                  'etc/cloud/cloud-init.disabled': b''}, ())):
            self.assertEqual(agents, self.read({'etc/x': b'', **tree}).agents)

    def test_programs_in_a_store(self) -> None:
        """Whether one of them is an agent is not guessed."""
        with self.assertRaises(exceptions.UnreadableContent):
            self.read({'nix/store/0123-cloud-init/bin/cloud-init': b'x'})

    def test_data_sources(self) -> None:
        for text, sources in (
                ('', None), ('# datasource_list: [ None ]\n', None),
                ('datasource_list: [ NoCloud, ConfigDrive ]  # x\n',
                 ('NoCloud', 'ConfigDrive')),
                ('datasource_list: ["Ec2"]\n', ('Ec2',)),
                ('datasource_list:\n  - ConfigDrive\n  - None # x\nx:\n- y\n',
                 ('ConfigDrive', 'None')),
                ('datasource_list: [\n  OpenStack,\n  None ]\nx: [y]\n',
                 ('OpenStack', 'None')),
                ('datasource_list: [ # x\n  None, # Ec2\n ]\n', ('None',)),
                ('datasource_list: []\n', ())):
            with self.subTest(text):
                self.assertEqual(sources, self.read(
                    systems.cloud_init(text)).data_sources)

    def test_the_last_list_counts(self) -> None:
        folder = 'etc/cloud/cloud.cfg.d'
        found = self.read({
            **systems.cloud_init('datasource_list: [a]\n'),
            f'{folder}/90_b.cfg': b'datasource_list: [b]\n',
            f'{folder}/10_c.cfg': b'datasource_list: [c]\n',
            f'{folder}/99.disabled': b'datasource_list: [d]\n'})
        self.assertEqual(('b',), found.data_sources)

    def test_host_keys(self) -> None:
        for text, deletes in (('', True), ('ssh_deletekeys: 1\n', True),
                              ('ssh_deletekeys: false\n', False),
                              ("ssh_deletekeys:   '0'\n", False)):
            self.assertEqual(deletes, self.read(
                systems.cloud_init(text)).deletes_host_keys)
        self.assertFalse(self.read({'etc/x': b''}).deletes_host_keys)
