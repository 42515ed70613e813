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

from ironic_imagedeploy.engine.contents.system import growth
from tests.unit.engine import base
from tests.unit.engine import system_disks
from tests.unit.engine import volumes

CLOUD_INIT = ('cloud-init',)


class GrowthTest(base.EngineTestCase):

    def read(self, tree: volumes.Tree, agents: tuple[str, ...] = ()
             ) -> tuple[str, ...]:
        return growth.read(system_disks.files(self.directory, tree), agents)

    def test_mechanisms(self) -> None:
        for paths, found in (
                (['usr/lib/dracut/modules.d/50growroot/x'], 'growroot'),
                (['usr/libexec/coreos-growpart'], 'coreos-growpart'),
                (['usr/bin/systemd-repart', 'usr/lib/repart.d/50-root.conf'],
                 'systemd-repart'),
                (['etc/systemd/system/my-growroot.service'],
                 'etc/systemd/system/my-growroot.service'),
                (['usr/local/sbin/resize-disk'],
                 'usr/local/sbin/resize-disk')):
            self.assertEqual((found,), self.read(dict.fromkeys(paths, b'x')))

    def test_as_many_as_anybody_reads(self) -> None:
        self.assertEqual(32, len(self.read({
            f'etc/init.d/growroot-{number}': b'' for number in range(50)})))

    def test_growpart_alone_starts_nothing(self) -> None:
        tree = {'usr/bin/growpart': b'x'}
        self.assertEqual((), self.read(tree))
        self.assertEqual(('cloud-init with growpart',),
                         self.read(tree, CLOUD_INIT))
        self.assertEqual((), self.read({'etc/x': b''}, CLOUD_INIT))

    def test_cloud_init_is_told_not_to_grow(self) -> None:
        tree = {'usr/bin/growpart': b'x'}
        path = 'etc/cloud/cloud.cfg.d/99.cfg'
        for text, grows in (
                ('growpart:\n  mode: off\n', False),
                ('growpart: {mode: "off"}\n', False),
                ('growpart:\n  devices:\n  - /\n  mode: false\n', False),
                ('growpart:\n  mode: auto\n', True),
                ('# growpart: {mode: off}\n', True),
                ('growpart:\n  devices: ["/"]\nx:\n  mode: off\n', True)):
            with self.subTest(text):
                self.assertEqual(grows, bool(self.read(
                    {**tree, path: text.encode()}, CLOUD_INIT)))
        self.assertTrue(self.read({
            **tree, path: b'growpart:\n  mode: auto\n',
            'etc/cloud/cloud.cfg': b'growpart:\n  mode: off\n'}, CLOUD_INIT))

    def test_growing_is_forbidden(self) -> None:
        self.assertEqual((), self.read({
            'usr/bin/growpart': b'x', 'etc/growroot-disabled': b'',
            'usr/lib/dracut/modules.d/50growroot/x': b'x'}, CLOUD_INIT))

    def test_a_generator_for_mounts_with_an_option(self) -> None:
        generator = ('usr/lib/systemd/system-generators/'
                     'growpart-generator.sh')
        tree = {generator: b'x', 'etc/fstab': b'UUID=1 / btrfs ro 0 0\n'}
        self.assertEqual((), self.read(tree))
        tree['etc/fstab'] = (b'UUID=1 / xfs x-growpart.grow,x-systemd.growfs '
                             b'0 0\n')
        self.assertEqual(('growpart-generator',), self.read(tree))
        del tree[generator]
        self.assertEqual((), self.read(tree))

    def test_what_only_sounds_alike(self) -> None:
        self.assertEqual((), self.read({
            'usr/bin/systemd-repart': b'x', 'usr/local/bin/resizecons': b'x',
            'etc/systemd/system/expander.service': b'x'}))
