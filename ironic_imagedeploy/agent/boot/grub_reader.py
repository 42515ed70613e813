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

"""The reader of file systems in the ramdisk's grub2, asked what it reads.

Which features of a file system grub2 knows differs from release to release,
and no list of them is complete: its own program tells.
"""

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import functools
import os
import shutil
import stat
import uuid

from oslo_log import log

from ironic_python_agent import errors

from ironic_imagedeploy.agent.boot import disk_file
from ironic_imagedeploy.agent.boot import efi_loaders
from ironic_imagedeploy.agent.boot import grub
from ironic_imagedeploy.agent import commands
from ironic_imagedeploy import engine
from ironic_imagedeploy.engine.contents import filesystems

LOG = log.getLogger(__name__)

_PROGRAMS = ('grub-fstest', 'grub2-fstest')
#: The program parses bytes of a user: it runs as nobody, and may read one
#: device.
_AS_NOBODY = ('setpriv', '--reuid=65534', '--regid=65534', '--clear-groups',
              '--no-new-privs')
#: Bytes of a kernel that are read before all of it is there.
_FRONT = 64 << 10

#: Runs the program with arguments after the disk, and gives what it printed.
_Run = Callable[..., str]


def check_image(inspection: engine.Inspection, platform: grub.Platform,
                arch: str) -> None:
    """See that grub2 reads the file system of an image, before it is written.

    Where that cannot be told, and where the image brings its own grub2, it is
    left to :func:`check`, and to what starts the machine.

    :param inspection: of a partition image that is accepted.
    :param arch: of the processor.
    :raises DeploymentError: when it does not.
    """
    program = _program()
    image, kind = inspection.image, inspection.file_system
    if (program is None or image is None or kind is None
            or image.known_size is None or not image.source.random_access):
        return
    try:
        files = filesystems.open_file_system(
            kind, image.read, image.known_size, image.budget)
        if files.is_dirty or platform is not grub.BIOS and (
                efi_loaders.has_signed(files, platform, arch)):
            return
        kernels = inspection.boot_files.kernels if (
            inspection.boot_files and kind != 'btrfs') else ()
        with disk_file.mounted(image.read, image.known_size) as file:
            try:
                _check(functools.partial(file.run, *_AS_NOBODY, program),
                       file.path, [f'/{path}' for path in kernels])
            except errors.DeploymentError:
                if file.error is None:
                    raise
                raise file.error from None
    except (OSError, engine.exceptions.ImageDeployError) as error:
        LOG.info('Whether grub2 reads the file system is asked when the image '
                 'is written: %s', error)


def check(partition: str, paths: list[str]) -> None:
    """See that grub2 reads files, byte for byte.

    :param partition: with the file system, which is not mounted.
    :param paths: as grub2 sees the file system.
    :raises DeploymentError: when it does not.
    """
    if (program := _program()) is None:
        return
    with _readable(partition) as device:
        for path in paths:
            with _explained(path):
                commands.run(*_AS_NOBODY, program, device, 'crc',
                             f'(loop0){path}')


def _program() -> str | None:
    program = next(filter(shutil.which, _PROGRAMS), None)
    if program is None or not shutil.which(_AS_NOBODY[0]):
        LOG.info('Whether grub2 reads the file system is not known: the '
                 'deploy ramdisk has no %s, or no setpriv', _PROGRAMS[0])
        return None
    return program


def _check(run: _Run, disk: str, kernels: list[str]) -> None:
    """See that grub2 finds names on a disk, and reads how a kernel begins.

    Which of the kernels comes first in the menu shows later.

    :raises DeploymentError: when it reads none.
    :raises OSError: when the program does not even read the first sector.
    """
    try:
        run(disk, 'crc', '(loop0)0+1')
    except errors.DeploymentError as error:
        raise OSError(str(error.details)) from error
    with _explained('/'):
        if not run(disk, 'ls', '(loop0)/').strip():
            raise errors.DeploymentError('no names.')
    failure = None
    for path in kernels:
        try:
            with _explained(path):
                run('-n', str(_FRONT), disk, 'crc', f'(loop0){path}')
        except errors.DeploymentError as error:
            failure = failure or error
        else:
            return
    if failure:
        raise failure


@contextlib.contextmanager
def _explained(path: str) -> Iterator[None]:
    """Say what to do when grub2 does not read a path."""
    try:
        yield
    except errors.DeploymentError as error:
        raise errors.DeploymentError(
            'The grub2 of the deploy ramdisk does not read the file '
            f'system of the image: expected to read {path}, found: '
            f'{str(error.details).rsplit(": ", 1)[-1]} Make the file '
            'system without features that are newer than that grub2 '
            '(mkfs.ext4 -O ^FEATURE), or use a deploy ramdisk with a '
            'newer one.') from error


@contextlib.contextmanager
def _readable(partition: str) -> Iterator[str]:
    """Name of a device that everybody may read, and nobody may write."""
    path = f'/dev/imagedeploy-{uuid.uuid4()}'
    os.mknod(path, stat.S_IFBLK, os.stat(partition).st_rdev)
    try:
        os.chmod(path, 0o444)
        yield path
    finally:
        os.unlink(path)
