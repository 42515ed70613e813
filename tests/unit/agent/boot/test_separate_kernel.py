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

import contextlib
import hashlib
import types

from oslo_config import cfg

from ironic_python_agent import config  # noqa: F401 (before errors)
from ironic_python_agent import errors

from ironic_imagedeploy.agent.boot import image_tree
from ironic_imagedeploy.agent.boot import separate_kernel
from ironic_imagedeploy.agent import image_source
from ironic_imagedeploy.agent import order as orders
from ironic_imagedeploy.contract import order as contract
from ironic_imagedeploy import engine
from tests.support import boot_files as made
from tests.support import web
from tests.unit.agent import trees

FOLDER = 'boot/ironic-imagedeploy'


class BootFilesTestCase(trees.TreeTestCase):

    def setUp(self):
        super().setUp()
        (self.directory / 'web').mkdir()
        self.server = web.Server(self.directory / 'web')
        self.addCleanup(self.server.stop)
        self.content = {'kernel': made.bzimage(), 'ramdisk': made.initramfs()}
        self.shown = []
        self.download = orders.Download(
            urls=(self.server.url('root.qcow2'),))
        self.sent = {'options': 'nofb "x=a b" root=/dev/sda'}
        for role, content in self.content.items():
            (self.directory / 'web' / role).write_bytes(content)
            self.sent[role] = {
                'url': self.server.url(role), 'checksum':
                f'sha256:{hashlib.sha256(content).hexdigest()}'}

    def read(self, permit_weak=False, **changes):
        # Of an order it reads nothing else.
        order = types.SimpleNamespace(
            separate_kernel=contract.SeparateKernel.from_dict(
                {**self.sent, **changes}),
            policy=types.SimpleNamespace(
                insecure_checksums_permitted=permit_weak),
            arch='x86_64')
        return separate_kernel.BootFiles.read(order)

    def install(self, **changes):
        return self.read(**changes).install(self.tree, self.download,
                                            self.shown.append)


class InstallTest(BootFilesTestCase):

    def test_both_are_there(self):
        self.put('etc/default/grub', 'GRUB_CMDLINE_LINUX="quiet"')
        entry = self.install()
        self.assertEqual(
            (made.KERNEL_VERSION, f'/{FOLDER}/kernel',
             (f'/{FOLDER}/initramfs',), ('quiet', 'nofb', 'x=a b')),
            (entry.version, entry.kernel, entry.initramfs, entry.options))
        for name, role in (('kernel', 'kernel'), ('initramfs', 'ramdisk')):
            self.assertEqual(self.content[role],
                             (self.top / FOLDER / name).read_bytes())
        self.assertEqual(
            {('boot', len(content), len(content))
             for content in self.content.values()},
            {(shown.phase, shown.done, shown.total) for shown in self.shown})

    def test_version_that_a_menu_cannot_have(self):
        content = made.bzimage(version="6.1';reboot;'")
        (self.directory / 'web' / 'kernel').write_bytes(content)
        entry = self.install(kernel={
            **self.sent['kernel'], 'checksum':
            f'sha256:{hashlib.sha256(content).hexdigest()}'})
        self.assertEqual('of unknown version', entry.version)

    def test_no_room(self):
        class Small(image_tree.ImageTree):
            free = 1 << 20

        tree = Small(str(self.top))
        self.addCleanup(tree.close)
        with self.assertRaisesRegex(errors.DeploymentError, 'does not fit'):
            self.read().install(tree, self.download, self.shown.append)
        self.assertEqual([], list((self.top / FOLDER).iterdir()))

    def test_room_that_is_just_enough(self):
        """For the larger of both, and a MiB for what is noted of it."""
        larger = max(map(len, self.content.values()))
        for free, fits in ((larger + (1 << 20), True),
                           (larger + (1 << 20) - 1, False)):
            class Small(image_tree.ImageTree):
                pass

            Small.free = free
            tree = Small(str(self.top))
            self.addCleanup(tree.close)
            if fits:
                self.read().install(tree, self.download, self.shown.append)
                continue
            with self.assertRaisesRegex(
                    errors.DeploymentError,
                    f'expected {free + 1} bytes free, found {free} bytes'):
                self.read().install(tree, self.download, self.shown.append)

    def test_a_large_one_is_shown_piece_by_piece(self):
        content = made.bzimage(bytes(5 << 19))
        (self.directory / 'web' / 'kernel').write_bytes(content)
        self.install(kernel={
            **self.sent['kernel'], 'checksum':
            f'sha256:{hashlib.sha256(content).hexdigest()}'})
        self.assertEqual(content, (self.top / FOLDER / 'kernel').read_bytes())
        done = [shown.done for shown in self.shown
                if shown.total == len(content)]
        self.assertEqual(sorted({*done}), done)
        self.assertGreater(len(done), 2)
        self.assertEqual(
            {('boot', 0.0, 'network')},
            {(shown.phase, shown.bytes_per_second, shown.bottleneck)
             for shown in self.shown})

    def test_directory_is_an_absolute_link(self):
        (self.top / 'opt').mkdir()
        self.link('boot', '/opt')
        entry = self.install()
        self.assertEqual('/opt/ironic-imagedeploy/kernel', entry.kernel)
        self.assertTrue(self.tree.size('opt/ironic-imagedeploy/initramfs'))

    def test_other_bytes(self):
        with self.assertRaises(engine.exceptions.ChecksumMismatch):
            self.install(ramdisk={**self.sent['ramdisk'],
                                'checksum': f'sha256:{"0" * 64}'})

    def test_something_else(self):
        with self.assertRaisesRegex(engine.exceptions.ImageRefused,
                                    'kernel http.*not-a-kernel'):
            self.install(kernel=self.sent['ramdisk'])


class ReadTest(BootFilesTestCase):

    def test_orders_that_make_no_sense(self):
        for wrong in ({'kernel': None}, {'ramdisk': {}},
                      {'kernel': {'url': 'x', 'checksum': 'sha256:0'}},
                      {'options': 'a;b'}, {'options': 'x' * 3000}):
            with self.assertRaises((errors.DeploymentError,
                                    contract.InvalidOrder), msg=wrong):
                self.read(**wrong)

    def test_checksum_that_can_be_forged(self):
        content = self.content['kernel']
        weak = {'kernel': {**self.sent['kernel'], 'checksum':
                           f'md5:{hashlib.md5(content).hexdigest()}'}}
        with self.assertRaisesRegex(engine.exceptions.ImageRefused,
                                    'checksum-weak'):
            self.read(**weak).check(self.download)
        self.read(permit_weak=True, **weak).check(self.download)


class LoginTest(BootFilesTestCase):

    def logins(self, url):
        """What the server is told about who asks."""
        seen = set()

        def answer(exchange):
            seen.add(exchange.headers.get('Authorization'))
            exchange.serve()

        self.server.answer = answer
        with contextlib.suppress(engine.exceptions.ImageRefused), \
                image_source.open_separate(orders.Download(
                    urls=(url,), authorization='QmVhcmVyIHNlY3JldA==',
                    login=('user', '')), self.server.url('kernel')):
            return seen

    def test_only_for_the_server_of_the_image(self):
        self.assertEqual({'Bearer secret'},
                         self.logins(self.server.url('root.qcow2')))
        for url in ('http://127.0.0.1:1/root.qcow2',
                    'https://images.example.com/root.qcow2'):
            self.assertEqual({None}, self.logins(url))
        self.assertEqual('noauth', cfg.CONF.image_server_auth_strategy)
