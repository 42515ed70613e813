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

"""State of the machine's firmware.

Source: UEFI 2.10, 3.3 "Globally Defined Variables".
"""

import pathlib

ROOT = pathlib.Path('/')
_EFI = 'sys/firmware/efi'
_SECURE_BOOT = ('sys/firmware/efi/efivars/'
                'SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c')


def boots_securely(root: pathlib.Path | None = None) -> bool | None:
    """Whether the firmware starts signed programs only.

    :param root: where the file systems of the kernel are mounted.
    :returns: None when the variables of the firmware cannot be read.
    """
    root = root or ROOT
    if not (root / _EFI).exists():
        return False
    path = root / _SECURE_BOOT
    try:
        if not any(path.parent.iterdir()):
            return None
        # Four bytes with the attributes come first.
        return path.read_bytes()[4:] != b'\0'
    except FileNotFoundError:
        return False if path.parent.exists() else None
    except OSError:
        return None
