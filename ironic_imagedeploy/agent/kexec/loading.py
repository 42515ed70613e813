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

"""A kernel that is loaded beside the one of the deploy ramdisk, and started.

By kexec(8) of kexec-tools.
"""

import pathlib
import tempfile
import time
import typing

from oslo_log import log

from ironic_python_agent import errors

from ironic_imagedeploy.agent import commands
from ironic_imagedeploy.agent.kexec import machine
from ironic_imagedeploy.agent.kexec import written_system
from ironic_imagedeploy.engine.contents import kernels

LOG = log.getLogger(__name__)

#: A file is in the memory of the ramdisk, of the program and of the kernel,
#: and the initramfs is unpacked once more.
_COPIES = 4
#: Archives of an initramfs begin at a multiple of this.
_ALIGNMENT = 4
#: Seconds until the conductor has its answer.
_GRACE = 2.0
_MOST_TEXT = 300


def load(device: str) -> dict[str, typing.Any]:
    """Load the kernel that a boot loader would start from a disk.

    :returns: its path, those of its initramfs, and where that was found.
    :raises NotPossible: when something is in the way of that.
    :raises DeploymentError: when the program fails.
    """
    machine.check()
    with (written_system.opened(device) as system,
          tempfile.TemporaryDirectory(prefix='imagedeploy-') as folder):
        system.check_kernel()
        entry, place = system.entry, pathlib.Path(folder)
        left = machine.available_memory() // _COPIES
        with (place / 'kernel').open('wb') as file:
            left -= system.copy(entry.kernel, file, min(
                left, kernels.LARGEST[kernels.KERNEL]))
        with (place / 'initramfs').open('wb') as file:
            for path in entry.initramfs:
                left -= system.copy(path, file, min(
                    left, kernels.LARGEST[kernels.RAMDISK]))
                file.write(bytes(-file.tell() % _ALIGNMENT))
        initramfs = ([f'--initrd={place / "initramfs"}'] if entry.initramfs
                     else [])
        _run('--load', '--kexec-syscall-auto', str(place / 'kernel'),
             *initramfs, f'--command-line={entry.command_line}')
    if not machine.is_loaded():
        raise machine.NotPossible('the kernel has not been loaded, though '
                                  'kexec says so')
    LOG.info('Loaded /%(kernel)s, as /%(menu)s has it, with %(options)s', {
        'kernel': entry.kernel, 'menu': entry.menu,
        'options': entry.command_line})
    return {'kernel': f'/{entry.kernel}', 'menu': f'/{entry.menu}',
            'initramfs': [f'/{path}' for path in entry.initramfs]}


def start() -> None:
    """Start the kernel that is loaded.

    :raises DeploymentError: when this system still runs.
    """
    if not machine.is_loaded():
        raise machine.NotPossible('no kernel is loaded')
    LOG.info('Starting the deployed system')
    time.sleep(_GRACE)
    try:
        _run('--exec')
    finally:
        # Later systemd starts what is loaded when it is told to reboot.
        _run('--unload')
    raise machine.NotPossible('kexec has started nothing')


def _run(*arguments: str) -> None:
    try:
        commands.run(machine.PROGRAM, *arguments)
    except errors.DeploymentError as error:
        # The options of a kernel are long, what went wrong comes last.
        raise machine.NotPossible(
            f'kexec {arguments[0]} failed: {error.details[-_MOST_TEXT:]}'
        ) from error
