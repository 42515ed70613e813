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
and "sysctl/kernel.rst"; UEFI 2.10, 3.3 "Globally Defined Variables".
"""

import os
import pathlib
import shutil

from ironic_python_agent import errors

PROGRAM = 'kexec'
_ROOT = pathlib.Path('/')
_LOADED = 'sys/kernel/kexec_loaded'
_DISABLED = 'proc/sys/kernel/kexec_load_disabled'
_LOCKDOWN = 'sys/kernel/security/lockdown'
_NO_LOCKDOWN = '[none]'
_EFI = 'sys/firmware/efi'
_SECURE_BOOT = ('sys/firmware/efi/efivars/'
                'SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c')
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
    if (_ROOT / _EFI).exists() and _is_secure_boot():
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


def _is_secure_boot() -> bool:
    path = _ROOT / _SECURE_BOOT
    try:
        if not any(path.parent.iterdir()):
            raise FileNotFoundError(path)
    except OSError as error:
        raise NotPossible('whether the machine boots securely is not known: '
                          'the deploy ramdisk has not mounted efivarfs'
                          ) from error
    try:
        # Four bytes with the attributes come first.
        return path.read_bytes()[4:5] != b'\0'
    except FileNotFoundError:
        return False


def _text(path: str) -> str:
    try:
        return (_ROOT / path).read_text(encoding='ascii').strip()
    except FileNotFoundError:
        return ''
