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

_IDENTIFIER = 'usr/lib/cloud-init/ds-identify'


class FirstBootTest(base.EngineTestCase):

    def read(self, tree: volumes.Tree, *options: str
             ) -> first_boot.FirstBoot:
        return first_boot.read(system_disks.files(self.directory, tree),
                               options)

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

    def test_disabled_by_the_kernel(self) -> None:
        for option, agents in (('cloud-init=disabled', ()),
                               ('cloud-init=enabled', ('cloud-init',))):
            self.assertEqual(agents, self.read(
                systems.cloud_init(), 'quiet', option).agents)

    def test_masked(self) -> None:
        folder = 'etc/systemd/system'
        for name, content, agents in (
                ('cloud-init.target', '/dev/null', ()),
                ('cloud-init.service', '/dev/null', ()),
                ('cloud-init-main.service', '/dev/null', ()),
                ('cloud-init.target', b'', ()),
                ('cloud-init.target', b'[Unit]\n', ('cloud-init',)),
                ('cloud-final.service', '/dev/null', ('cloud-init',))):
            with self.subTest(name=name, content=content):
                self.assertEqual(agents, self.read({
                    **systems.cloud_init(),
                    f'{folder}/{name}': content}).agents)

    def test_masked_by_a_name_of_old(self) -> None:
        unit = 'lib/systemd/system/cloud-init-network.service'
        self.assertEqual(('cloud-init',), self.read({
            **systems.cloud_init(), f'usr/{unit}': b'[Unit]\n',
            'etc/systemd/system/cloud-init.service': '/dev/null'}).agents)

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

    def test_data_sources_in_flow_style(self) -> None:
        """ds-identify, which has the last word, does not read it."""
        for text in ('{"datasource_list": ["ConfigDrive", "OpenStack"]}',
                     '{a: [1, 2], datasource_list: [ConfigDrive, OpenStack]}',
                     '{\n  "datasource_list": [\n    "ConfigDrive",\n'
                     '    "OpenStack"\n  ],\n  "x": ["y"]\n}',
                     '"datasource_list": [ConfigDrive, OpenStack]'):
            tree = {**systems.cloud_init('datasource_list: [NoCloud]\n'),
                    'etc/cloud/cloud.cfg.d/99.cfg': text.encode()}
            with self.subTest(text):
                self.assertEqual(('ConfigDrive', 'OpenStack'),
                                 self.read(tree).data_sources)
                self.assertEqual(('NoCloud',), self.read(
                    {**tree, _IDENTIFIER: b'x'}).data_sources)

    def test_another_key(self) -> None:
        self.assertIsNone(self.read(systems.cloud_init(
            'datasource_lists: [a]\n"datasource_list\': [a]\n')).data_sources)

    def test_the_one_that_is_named(self) -> None:
        tree = {**systems.cloud_init('datasource_list: [NoCloud]\n'),
                _IDENTIFIER: b'x'}
        for options, source in (
                (['ds=openstack'], 'openstack'),
                (['ci.ds=ConfigDrive', 'quiet'], 'ConfigDrive'),
                (['ci.datasource=Ec2', 'ds=nocloud;s=http://x/'], 'nocloud'),
                (['ds=openstack', 'ds='], 'NoCloud'), (['ads=x'], 'NoCloud')):
            with self.subTest(options):
                self.assertEqual((source,), self.read(
                    tree, *options).data_sources)
        named = {**tree, 'etc/cloud/ds-identify.cfg':
                 b'# x\npolicy: search\ndatasource: ConfigDrive\n'}
        self.assertEqual(('ConfigDrive',), self.read(named).data_sources)
        self.assertEqual(('Ec2',), self.read(named, 'ds=Ec2').data_sources)

    def test_nobody_reads_the_name(self) -> None:
        self.assertEqual(('NoCloud',), self.read(systems.cloud_init(
            'datasource_list: [NoCloud]\n'), 'ds=openstack').data_sources)

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
