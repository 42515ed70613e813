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

"""A partition image as diskimage-builder makes it, and as users have it."""

import importlib.metadata
import pathlib
import shutil
import sys

from tests.lab import image
from tests.support import cache
from tests.support import commands
from tests.support import debian

_ELEMENTS = ('debian-minimal', 'baremetal', 'grub2')

_FILES = pathlib.Path(__file__).parent / 'files'

#: Our own element: a login prompt on the serial port, named by the config
#: drive.
_LOGIN = 'serial-login'

_HOOK = _FILES / 'element-serial-login'
_INSIDE = (_FILES / 'image-config-drive',
           _FILES / 'image-config-drive.service')


def partition() -> pathlib.Path:
    """Return the path of a qcow2 image of the root file system alone."""
    inputs: list[str | pathlib.Path] = [
        pathlib.Path(__file__), pathlib.Path(debian.__file__), _HOOK,
        *_INSIDE, importlib.metadata.version('diskimage-builder')]
    return cache.get('diskimage', inputs, _build) / 'image.qcow2'


def _build(directory: pathlib.Path) -> None:
    work = directory / 'work'
    work.mkdir()
    _write_element(work / 'elements' / _LOGIN)
    sources = debian.sources()
    commands.run(
        pathlib.Path(sys.executable).parent / 'disk-image-create',
        '-a', 'amd64', '-t', 'qcow2', '-o', work / 'image',
        '--image-cache', work / 'cache', '--root-label', image.ROOT_LABEL,
        '-p', 'mdadm', *_ELEMENTS, _LOGIN, timeout=1500, env={
            'DIB_RELEASE': debian.RELEASE,
            'DIB_DISTRIBUTION_MIRROR': sources[debian.RELEASE],
            'DIB_APT_SOURCES_CONF': '\n'.join(
                f'{name}:deb {address} {name} main'
                for name, address in sources.items()),
            'DIB_LOCKFILES': str(work / 'locks'),
            'DIB_NO_TIMESTAMP': '1',
            'ELEMENTS_PATH': str(work / 'elements')})
    # The element baremetal puts a copy of the kernel and of the initramfs
    # beside the image, for the properties kernel and ramdisk; the image has
    # its own in /boot.
    (work / 'image.qcow2').rename(directory / 'image.qcow2')
    shutil.rmtree(work)


def _write_element(element: pathlib.Path) -> None:
    hooks = element / 'post-install.d'
    hooks.mkdir(parents=True)
    shutil.copy(_HOOK, hooks / '60-serial-login')
    (hooks / '60-serial-login').chmod(0o755)
    for path in _INSIDE:
        shutil.copy(path, hooks)
