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

"""The plugin, by DevStack's own functions and Ironic's own library."""

import configparser
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

from tests.functional import releases
from tests.support import commands

#: Its checkouts of repositories of OpenStack, as DevStack has them.
_CHECKOUTS = os.environ.get('IMAGEDEPLOY_DEVSTACK')
_NEEDED = ('devstack', 'ironic', 'ironic-python-agent-builder',
           'requirements')
_OURS = 'ironic-imagedeploy'
_HOME = pathlib.Path('opt/stack')
_FILES = pathlib.Path(__file__).parents[1] / 'support/files'
_LOCAL_CONF = f"""\
[[local|localrc]]
ADMIN_PASSWORD=secret
DATABASE_PASSWORD=secret
RABBIT_PASSWORD=secret
SERVICE_PASSWORD=secret
HOST_IP=127.0.0.1
disable_service tempest
IRONIC_DIB_RAMDISK_OS=debian
IRONIC_DEPLOY_DRIVER=redfish
IRONIC_ENABLED_HARDWARE_TYPES=redfish
IRONIC_ENABLED_BOOT_INTERFACES=redfish-virtual-media
enable_plugin ironic https://example.invalid/ironic
enable_plugin {_OURS} https://example.invalid/{_OURS}
IRONIC_DEFAULT_DEPLOY_INTERFACE=imagedeploy
IRONIC_IMAGEDEPLOY_OPTIONS="read_back=sample neighbours=True"
"""
#: All that is changed goes to memory, and with the last command.
_ENTER = """
mount -t tmpfs tmpfs "$0"
mkdir "$0/changes" "$0/work" "$0/root"
mount -t overlay -o "lowerdir=/,upperdir=$0/changes,workdir=$0/work" \
    overlay "$0/root"
mount --rbind /dev "$0/root/dev"
mount -t proc proc "$0/root/proc"
touch "$0/ready"
exec sleep infinity
"""


class System:
    """A copy of this machine, whose changes are lost at its end."""

    def __init__(self, folder: pathlib.Path) -> None:
        self._folder = folder
        self._holder = subprocess.Popen(
            ['unshare', '--mount', 'sh', '-ec', _ENTER, folder])
        self._inside = pathlib.Path(f'/proc/{self._holder.pid}/root')
        commands.wait_for('the copy', self._is_there, timeout=30,
                          interval=0.1)
        self.root = self._inside / folder.relative_to('/') / 'root'

    def _is_there(self) -> bool:
        if self._holder.poll() is not None:
            raise AssertionError('the copy cannot be made')
        return (self._inside / self._folder.relative_to('/')
                / 'ready').exists()

    def run(self, *command: object, user: str = 'root') -> str:
        """Run a command in there; its output.

        :raises AssertionError: when it fails, with what it said.
        """
        return releases.run(
            'nsenter', '--target', str(self._holder.pid), '--mount',
            'chroot', self._folder / 'root', 'sudo', '-H', '-u', user,
            *map(str, command))

    def stop(self) -> None:
        self._holder.kill()
        self._holder.wait()


@unittest.skipUnless(
    _CHECKOUTS, 'takes checkouts in the folder IMAGEDEPLOY_DEVSTACK')
class DevStackTest(unittest.TestCase):

    def setUp(self) -> None:
        self.system = System(pathlib.Path(self.enterContext(
            tempfile.TemporaryDirectory())))
        self.addCleanup(self.system.stop)
        self.home = self.system.root / _HOME
        self.system.run('git', 'config', '--system', 'safe.directory', '*')
        sources = {name: pathlib.Path(_CHECKOUTS or '').resolve() / name
                   for name in _NEEDED} | {_OURS: releases.ROOT}
        for name, source in sources.items():
            depth = [] if name == _OURS else ['--depth', '1']
            self.system.run('git', 'clone', '-q', *depth,
                            f'file://{source.resolve()}', f'/{_HOME / name}')
        self.system.run(f'/{_HOME}/devstack/tools/create-stack-user.sh')
        self.system.run('chown', '-R', 'stack:', f'/{_HOME}')
        self.recorded = self.home / 'recorded'
        self.recorded.mkdir(mode=0o777)
        self.recorded.chmod(0o777)
        for name in ('devstack', 'disk-image-create'):
            shutil.copy(_FILES / name, self.recorded)
            (self.recorded / name).chmod(0o755)
        self.configure()

    def configure(self, *lines: str) -> None:
        """Write local.conf."""
        (self.home / 'devstack/local.conf').write_text(
            _LOCAL_CONF + ''.join(f'{line}\n' for line in lines))

    def run_devstack(self, mode: str) -> str:
        return self.system.run('bash', f'/{_HOME}/recorded/devstack', mode,
                               user='stack')

    def words(self, name: str) -> list[str]:
        """What was recorded under this name."""
        return (self.recorded / name).read_text().split()

    @property
    def link(self) -> pathlib.Path:
        """The element, among those of the builder."""
        return self.home / 'ironic-python-agent-builder/dib/imagedeploy'

    def assert_stacked(self) -> None:
        conf = configparser.ConfigParser(interpolation=None, strict=True)
        conf.read(self.system.root / 'etc/ironic/ironic.conf')
        default = conf['DEFAULT']
        self.assertEqual('fake,direct,ramdisk,imagedeploy',
                         default['enabled_deploy_interfaces'])
        self.assertEqual('imagedeploy', default['default_deploy_interface'])
        self.assertEqual({'read_back': 'sample', 'neighbours': 'True'}, {
            name: value for name, value in conf['imagedeploy'].items()
            if name not in default})
        # What Ironic sets for nodes that the agent deploys.
        self.assertEqual('30', conf['api']['ramdisk_heartbeat_timeout'])
        self.assertEqual(['debian', 'imagedeploy',
                          'ironic-python-agent-ramdisk'], self.words('asked'))
        self.assertIn('imagedeploy', self.words('elements'))
        self.assertEqual([f'/{_HOME / _OURS}'], self.words('source'))
        self.assertEqual('imagedeploy', os.path.basename(
            os.readlink(self.link)))
        told = self.system.run(
            f'/{_HOME}/data/venv/bin/pip', 'show', _OURS)
        self.assertIn(f'Editable project location: /{_HOME / _OURS}', told)

    def test_all_phases(self) -> None:
        for _ in range(2):
            self.run_devstack('stack')
            self.assert_stacked()
        self.run_devstack('unstack')
        self.assertTrue(self.link.is_symlink())
        self.run_devstack('clean')
        self.assertFalse(self.link.is_symlink())
        self.run_devstack('clean')
        self.run_devstack('stack')
        self.assert_stacked()

    def test_ramdisk_without_it(self) -> None:
        self.configure('IRONIC_IMAGEDEPLOY_RAMDISK=False')
        self.run_devstack('stack')
        self.assertEqual(['debian', 'ironic-python-agent-ramdisk'],
                         self.words('asked'))
        self.assertFalse(self.link.is_symlink())

    def test_not_enabled(self) -> None:
        self.configure('disable_service ironic-imagedeploy')
        self.run_devstack('stack')
        self.assertNotIn('imagedeploy', self.words('asked'))
