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

from ironic_imagedeploy.engine.contents.system import leftovers
from tests.unit.engine import base
from tests.unit.engine import system_disks
from tests.unit.engine import volumes

SHADOW = b'root:%b:19000:0:99999:7:::\nbin:*:19000:0:99999:7:::\n'


class LeftoversTest(base.EngineTestCase):

    def read(self, tree: volumes.Tree) -> leftovers.Leftovers:
        return leftovers.read(system_disks.files(self.directory, tree))

    def test_what_one_machine_left(self) -> None:
        self.assertEqual(
            leftovers.Leftovers(
                host_keys=('etc/ssh/ssh_host_ed25519_key',), machine_id=True,
                seeds=('var/lib/systemd/random-seed',),
                leases=('var/lib/dhcp/dhclient.eth0.leases',),
                histories=('root/.bash_history', 'home/me/.bash_history')),
            self.read({
                'etc/ssh/ssh_host_ed25519_key': b'-----BEGIN', 'etc/ssh/'
                'ssh_host_ed25519_key.pub': b'ssh-ed25519',
                'etc/ssh/ssh_host_rsa_key': b'', 'etc/ssh/ssh_config': b'x',
                'etc/machine-id': b'0123456789abcdef0123456789abcdef\n',
                'var/lib/systemd/random-seed': b'x' * 512,
                'var/lib/dhcp/dhclient.eth0.leases': b'lease {',
                'root/.bash_history': b'ls\n', 'home/me/.bash_history': b'x',
                'home/you/.bash_history': b''}))

    def test_as_many_keys_as_anybody_reads(self) -> None:
        self.assertEqual(64, len(self.read({
            f'etc/ssh/ssh_host_{number}_key': b'-----BEGIN'
            for number in range(80)}).host_keys))

    def test_nothing(self) -> None:
        for machine_id in (b'', b'uninitialized\n', b'\n'):
            self.assertEqual(leftovers.Leftovers(), self.read({
                'etc/machine-id': machine_id, 'etc/ssh/sshd_config': b'x',
                'var/lib/dhcp/dhclient.leases': b'', 'home/me/x': b''}))


class LogInTest(base.EngineTestCase):

    def can(self, tree: volumes.Tree) -> bool | None:
        return leftovers.can_log_in(system_disks.files(self.directory, tree))

    def test_passwords(self) -> None:
        for password, can in ((b'$y$j9T$x', True), (b'', True), (b'*', False),
                              (b'!', False), (b'!!', False), (b'!*', False),
                              (b'!$y$x', False)):
            self.assertEqual(can, self.can({'etc/shadow': SHADOW % password}))

    def test_keys(self) -> None:
        locked = {'etc/shadow': SHADOW % b'!'}
        for path in ('root/.ssh/authorized_keys',
                     'home/me/.ssh/authorized_keys'):
            self.assertTrue(self.can({**locked, path: b'ssh-rsa x\n'}))
            self.assertFalse(self.can({**locked, path: b'\n'}))

    def test_a_console_that_asks_nobody(self) -> None:
        self.assertTrue(self.can({
            'etc/shadow': SHADOW % b'!', 'etc/systemd/system/'
            'getty@tty1.service.d/autologin.conf': b''}))

    def test_nothing_tells(self) -> None:
        self.assertIsNone(self.can({'etc/x': b''}))
