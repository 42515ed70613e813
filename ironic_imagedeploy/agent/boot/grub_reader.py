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

from collections.abc import Iterator
import contextlib
import os
import shutil
import stat
import uuid

from oslo_log import log

from ironic_python_agent import errors

from ironic_imagedeploy.agent import commands

LOG = log.getLogger(__name__)

_PROGRAMS = ('grub-fstest', 'grub2-fstest')
#: The program parses bytes of a user: it runs as nobody, and may read one
#: device.
_AS_NOBODY = ('setpriv', '--reuid=65534', '--regid=65534', '--clear-groups',
              '--no-new-privs')


def check(partition: str, paths: list[str]) -> None:
    """See that grub2 reads files, byte for byte.

    :param partition: with the file system, which is not mounted.
    :param paths: as grub2 sees the file system.
    :raises DeploymentError: when it does not.
    """
    program = next(filter(shutil.which, _PROGRAMS), None)
    if program is None or not shutil.which(_AS_NOBODY[0]):
        LOG.info('Whether grub2 reads the file system is not known: the '
                 'deploy ramdisk has no %s, or no setpriv', _PROGRAMS[0])
        return
    with _readable(partition) as device:
        for path in paths:
            try:
                commands.run(*_AS_NOBODY, program, device, 'crc',
                             f'(loop0){path}')
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
