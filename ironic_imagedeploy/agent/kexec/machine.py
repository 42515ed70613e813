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

"""Limits of the deploy ramdisk and its machine.

Sources: Linux, "The kernel's command-line parameters", kernel_lockdown(7),
and "sysctl/kernel.rst".
"""

import os
import pathlib
import shutil

from ironic_python_agent import errors

from ironic_imagedeploy.agent import firmware

PROGRAM = 'kexec'
_ROOT = pathlib.Path('/')
_LOADED = 'sys/kernel/kexec_loaded'
_DISABLED = 'proc/sys/kernel/kexec_load_disabled'
_LOCKDOWN = 'sys/kernel/security/lockdown'
_NO_LOCKDOWN = '[none]'
_MEMORY = 'proc/meminfo'
_AVAILABLE = 'MemAvailable:'


class NotPossible(errors.DeploymentError):
    """A system that has to be started by the firmware."""


def check() -> None:
    """See that this machine can start another kernel by itself.

    :raises NotPossible: with what is in the way.
    """
    if not shutil.which(PROGRAM):
        raise NotPossible(
            'the deploy ramdisk has no program kexec; install kexec-tools')
    if not (_ROOT / _LOADED).exists():
        raise NotPossible(
            'the kernel of the deploy ramdisk was built without CONFIG_KEXEC')
    if _text(_DISABLED) not in ('', '0'):
        raise NotPossible('kernel.kexec_load_disabled is set in the deploy '
                          'ramdisk')
    lockdown = _text(_LOCKDOWN)
    if lockdown and _NO_LOCKDOWN not in lockdown:
        raise NotPossible('the kernel of the deploy ramdisk is locked down')
    is_secure = firmware.boots_securely(_ROOT)
    if is_secure is None:
        raise NotPossible('whether the machine boots securely is not known: '
                          'the deploy ramdisk has not mounted efivarfs')
    if is_secure:
        raise NotPossible('the machine boots securely')


def is_loaded() -> bool:
    """Whether a kernel is loaded, which would be started."""
    return _text(_LOADED) == '1'


def available_memory() -> int:
    """Bytes of memory that nothing needs (proc(5), meminfo)."""
    for line in _text(_MEMORY).splitlines():
        if line.startswith(_AVAILABLE):
            return int(line.split()[1]) << 10
    return 0


def processor() -> str:
    """The processor, as of ``uname -m``."""
    return os.uname().machine


def _text(path: str) -> str:
    try:
        return (_ROOT / path).read_text(encoding='ascii').strip()
    except FileNotFoundError:
        return ''
