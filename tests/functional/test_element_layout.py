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

"""The scripts of the element, in the folders of Red Hat's distributions.

No mirror of theirs is asked: programs of this machine lie where those would
have theirs, with all libraries in lib64.
"""

import json
import os
import pathlib
import re
import shutil
import ssl
import subprocess

from tests.functional import releases

_ELEMENT = releases.ROOT / 'dib/imagedeploy'
_PROGRAMS = ('bash', 'env')
_PYTHON = pathlib.Path('/usr/bin/python3').resolve().name
_FORMER = ('libdl.so.2', 'libpthread.so.0', 'librt.so.1')
_AGENT = pathlib.Path('opt/ironic-python-agent')
_HOOKS = pathlib.Path('tmp/in_target.d')
_FOUND = """
import json
from importlib import metadata
import ironic_imagedeploy, isal
print(json.dumps([
    ironic_imagedeploy.__file__, isal.__file__,
    *(point.value for point in metadata.entry_points(
        group='ironic_python_agent.hardware_managers'))]))
"""


def lay(tree: pathlib.Path) -> None:
    """Lay a system with Python."""
    for name in ('usr/bin', 'usr/lib', 'usr/lib64', 'etc', 'tmp', 'proc',
                 'dev'):
        (tree / name).mkdir(parents=True, exist_ok=True)
    for name in ('bin', 'lib', 'lib64'):
        (tree / name).symlink_to(f'usr/{name}')
    (tree / 'usr/bin/sh').symlink_to('bash')
    files = [pathlib.Path('/usr/bin') / name for name in (
        *_PROGRAMS, _PYTHON)]
    for path in files:
        shutil.copy(path, tree / 'usr/bin')
    (tree / 'usr/bin/python3').symlink_to(_PYTHON)
    shutil.copytree(
        f'/usr/lib/{_PYTHON}', tree / 'usr/lib64' / _PYTHON,
        ignore=shutil.ignore_patterns('__pycache__', 'test', 'dist-packages'))
    wheels = pathlib.Path('/usr/share/python-wheels')
    if wheels.exists():
        shutil.copytree(wheels, tree / wheels.relative_to('/'))
    files += (tree / 'usr/lib64' / _PYTHON / 'lib-dynload').iterdir()
    needed = subprocess.run(['ldd', *files], capture_output=True, text=True,
                            check=False).stdout
    libraries = set(map(pathlib.Path, re.findall(r'(/\S+) \(0x', needed)))
    # Packages from the index ask for parts of the C library of before.
    libc, = (path for path in libraries if path.name == 'libc.so.6')
    libraries |= {libc.with_name(name) for name in _FORMER}
    for path in libraries:
        shutil.copy(path, tree / 'usr/lib64')
    (tree / 'etc/ld.so.conf').write_text('/usr/lib64\n')
    releases.run('ldconfig', '-r', tree)
    shutil.copy('/etc/resolv.conf', tree / 'etc')


class LayoutTest(releases.ReleaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.tree = self.new_folder() / 'tree'
        lay(self.tree)
        for name in ('null', 'random', 'urandom'):
            releases.run('cp', '-a', f'/dev/{name}', self.tree / 'dev')
        shutil.copy(os.environ.get('PIP_CERT')
                    or ssl.get_default_verify_paths().cafile,
                    self.tree / 'etc/certificates.pem')

    def inside(self, *command: object) -> str:
        """Run a command in the system."""
        index = [f'{name}={value}' for name, value in os.environ.items()
                 if name in ('PIP_INDEX_URL', 'PIP_DEFAULT_TIMEOUT')]
        return releases.run(
            'chroot', self.tree, 'env', '-i', 'PATH=/usr/bin',
            'LC_ALL=C.UTF-8', 'PYTHONPLATLIBDIR=lib64',
            'PIP_CERT=/etc/certificates.pem', *index, *map(str, command))

    def test_hooks(self) -> None:
        hooks = self.tree / _HOOKS
        hooks.mkdir()
        releases.run(_ELEMENT / 'extra-data.d/50-imagedeploy',
                     DIB_IMAGEDEPLOY_SOURCE=str(releases.ROOT),
                     TMP_HOOKS_PATH=str(hooks))
        shutil.copy(_ELEMENT / 'install.d/70-imagedeploy', self.tree / 'tmp')
        with self.assertRaisesRegex(AssertionError, 'virtual environment'):
            self.inside('bash', '/tmp/70-imagedeploy')
        # As ironic-python-agent-builder makes it.
        self.inside('python3', '-m', 'venv', f'/{_AGENT}')
        self.inside('bash', '/tmp/70-imagedeploy')
        ours, codec, *managers = json.loads(self.inside(
            f'/{_AGENT}/bin/python', '-c', _FOUND))
        folder = f'/{_AGENT}/lib(64)?/{_PYTHON}/site-packages/'
        self.assertRegex(ours, folder)
        self.assertRegex(codec, folder)
        self.assertEqual(['ironic_imagedeploy.agent.manager:'
                          'ImageDeployHardwareManager'], managers)
