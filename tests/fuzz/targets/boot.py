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


"""What the agent reads of a root file system that it has mounted."""

import atexit
import functools
import pathlib
import subprocess
import tempfile

from ironic_python_agent import config  # noqa: F401 (before errors)
from ironic_python_agent import errors

from ironic_imagedeploy.agent.boot import efi_loaders
from ironic_imagedeploy.agent.boot import image_tree
from ironic_imagedeploy.agent.boot import kernel_options
from ironic_imagedeploy.agent.boot import menu
from ironic_imagedeploy.agent.boot import shell_words
from tests.fuzz import make_seeds
from tests.fuzz import target
from tests.fuzz.targets import texts

_FILES = ('etc/default/grub', 'etc/kernel/cmdline', 'etc/os-release',
          'boot/loader/entries/x.conf', 'etc/default/grub.d/x.cfg')
_UUID = '11111111-2222-3333-4444-555555555555'


@functools.cache
def _tree() -> pathlib.Path:
    """A system whose texts are replaced."""
    folder = tempfile.TemporaryDirectory(prefix='imagedeploy-', dir='/dev/shm')
    atexit.register(folder.cleanup)
    path = make_seeds.plant(pathlib.Path(folder.name, 'tree'),
                            make_seeds.SYSTEM)
    for name in _FILES:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
    return path


def read_menu(text: bytes) -> object:
    """Make the menu of a system; grub2 takes it for one."""
    for name in _FILES:
        (_tree() / name).write_bytes(text)
    root = image_tree.ImageTree(str(_tree()))
    try:
        options = kernel_options.of_image(root)
        entries = menu.find_entries(root)
        vendors = efi_loaders.vendors(root)
    finally:
        root.close()
    written = menu.write(entries, uuid=_UUID, partition_uuid=_UUID,
                         options=options)
    _check_menu(written)
    return written, vendors


@functools.lru_cache(4096)
def _check_menu(written: str) -> None:
    """grub2 reads it, and finds our commands in it and no others."""
    done = subprocess.run(['grub-script-check'], input=written, text=True,
                          capture_output=True, check=False)
    if done.returncode:
        raise AssertionError(f'not a menu: {done.stderr[:300]}\n{written}')
    commands = {line.split()[0] for line in written.splitlines()
                if line.strip() and not line.startswith('#')}
    if not commands <= {'set', 'search', 'menuentry', 'linux', 'initrd',
                        '}'}:
        raise AssertionError(f'other commands in the menu: {commands}')


def read_value(text: bytes) -> object:
    """The value of an assignment in a shell's file."""
    found = shell_words.assignment(text.decode('utf-8', 'replace'))
    return found and shell_words.value(found.written, {'A': 'b' * 2048})


_DEFAULTS = texts.of('etc/default/grub')
TARGETS: list[target.Target] = [
    target.TextTarget(
        'boot-menu', [_DEFAULTS, texts.of('boot/loader/entries/x.conf'),
                      b'linux /boot/vmlinuz-6.1.0-1-amd64\nversion 1\n'
                      b'initrd /boot/initrd.img-6.1.0-1-amd64\noptions a b\n'
                      b'GRUB_CMDLINE_LINUX_DEFAULT+=" x=\'y\'"\n'],
        read_menu, errors=(errors.DeploymentError,), examples=60,
        words=(b'GRUB_CMDLINE_LINUX="', b'$GRUB_CMDLINE_LINUX', b'\n}\n',
               b'linux ', b'options ', b'version ', b'../', *texts.SHELL)),
    target.TextTarget(
        'shell-words', [b'A="b $A"', b"export A='x' # y", b'A=a\\ b'],
        read_value, errors=(shell_words.NotData,),
        words=(b'$A', b'${A}', b'$(', *texts.SHELL)),
]
