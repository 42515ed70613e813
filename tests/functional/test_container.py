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

"""The container image, built with podman.

No registry is asked: a minimal system with the same Python takes the place
of the image that the definition begins with, under its name.
"""

import os
import pathlib
import shutil
import subprocess

from tests.functional import distributions
from tests.functional import releases
from tests.support import disks
from tests.support import images

_DEFINITION = releases.ROOT / 'container/Containerfile'
_IMAGE = 'ironic-imagedeploy'
_EXTRAS = ('fast', 'glance', 'inspector')
_MIB = 1 << 20
#: The defaults of podman are more than a container may have in a container.
_LIMITS = ('--ulimit', 'nofile=1024:1024', '--ulimit', 'nproc=1000:1000')


class ContainerTest(releases.ReleaseTestCase):
    """What the definition says of how to build and to run it."""

    podman: list[str]

    def setUp(self) -> None:
        super().setUp()
        # Storage in a folder of the test, which podman has mounted.
        storage = self.new_folder()
        self.addCleanup(subprocess.run, [
            'umount', '-q', '--lazy', storage / 'root/overlay'], check=False)
        self.podman = ['podman', '--root', str(storage / 'root'),
                       '--runroot', str(storage / 'run'), '--runtime', 'runc',
                       '--cgroup-manager', 'cgroupfs']
        self._import_base()
        self._build()

    def _import_base(self) -> None:
        tree = self.new_folder() / 'tree'
        environment = distributions.Environment(
            tree, distributions.DEBIAN_13)
        environment.download(releases.wheel(), *_EXTRAS)
        shutil.rmtree(environment.folder)
        archive = self.new_folder() / 'base.tar'
        releases.run('tar', '-C', tree, '-cf', archive, '.')
        name, = {line.split()[1]
                 for line in _DEFINITION.read_text().splitlines()
                 if line.startswith('FROM ')}
        releases.run(*self.podman, 'import', '-q', archive, name)

    def _build(self) -> None:
        context = self.new_folder()
        (context / 'dist').mkdir()
        shutil.copy(releases.wheel(), context / 'dist')
        releases.run(*self.podman, 'build', '-q', '--pull=never',
                     '--isolation', 'chroot', '--network', 'host', '-t',
                     _IMAGE, '-f', _DEFINITION, context)

    def _run(self, folder: pathlib.Path, options: list[str],
             *arguments: str) -> str:
        return releases.run(
            *self.podman, 'run', '--rm', '--network', 'none', *_LIMITS,
            '-v', f'{folder}:/images:ro', *options, _IMAGE, *arguments)

    def test_check_and_write(self) -> None:
        folder = self.new_folder()
        folder.chmod(0o755)
        disk = images.make_guest(folder / 'disk', 8 * _MIB, seed=1,
                                 label='gpt')
        images.convert(disk, folder / 'disk.qcow2').chmod(0o644)
        self.assertEqual(f'{_IMAGE} {releases.NEW}\n',
                         self._run(folder, [], '--version'))
        self.assertIn('8 MiB', self._run(folder, [], 'check',
                                         '/images/disk.qcow2'))
        target = self.new_folder() / 'target'
        target.touch()
        os.truncate(target, 8 * _MIB)
        device = disks.attach(target)
        self.addCleanup(disks.run, 'losetup', '-d', device)
        self._run(folder, ['--user', '0', '--device', device], 'write',
                  '/images/disk.qcow2', device, '--yes')
        self.assertEqual(disk.read_bytes(), target.read_bytes())

    def test_programs_for_signatures(self) -> None:
        for program in ('gpgv', 'minisign'):
            releases.run(*self.podman, 'run', '--rm', '--network', 'none',
                         *_LIMITS, '--entrypoint', 'which', _IMAGE, program)
