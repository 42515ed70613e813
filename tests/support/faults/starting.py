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

"""Machines that are switched on, to see what their firmware starts."""

import pathlib
import re
import shutil
import subprocess
import time

from tests.support import disks
from tests.support.faults import power
from tests.support.faults import systems

PROGRAM = 'qemu-system-x86_64'
_CODE = pathlib.Path('/usr/share/OVMF/OVMF_CODE_4M.fd')
_VARIABLES = pathlib.Path('/usr/share/OVMF/OVMF_VARS_4M.fd')
#: Seconds, of an emulated machine on a busy host.
_LONGEST = 120
_NOTHING = re.compile(
    r'No bootable device|No bootable option|Interactive Shell|'
    r'Press any key to enter the Boot Manager', re.IGNORECASE)
#: SeaBIOS, when it jumps to a first sector.
_JUMP = 'Booting from 0000:7c00'
#: Bytes of a first sector before the disk's signature and partition table.
_BOOT_CODE = 440
_SAID = re.compile(rf'(?:{systems.WHOLE}|{systems.HALF}) (\w+)')


def lacking() -> str:
    """What this computer lacks; nothing, mostly."""
    if not shutil.which(PROGRAM):
        return PROGRAM
    return next((str(path) for path in (_CODE, _VARIABLES)
                 if not path.exists()), '')


def start(disk: pathlib.Path, firmware: str, directory: pathlib.Path,
          sector_size: int = 512) -> str:
    """Switch a machine on.

    :param firmware: ``bios`` or ``uefi``.
    :param sector_size: bytes of a sector of the disk.
    :returns: nothing, the name of the system that is whole, or more words
        when it is not.
    """
    console, debug = directory / 'console', directory / 'debug'
    for port in (console, debug):
        port.write_bytes(b'')
    process = subprocess.Popen(
        _command(disk, firmware, directory, console, debug, sector_size),
        stdin=subprocess.DEVNULL)
    try:
        end = time.monotonic() + _LONGEST
        while time.monotonic() < end:
            ended = process.poll() is not None
            said = _text(console) + _text(debug)
            if found := _SAID.search(said):
                return (found[1] if found[0].startswith(systems.WHOLE)
                        else found[0])
            if 'STARTED' not in said and _NOTHING.search(said):
                return power.NOTHING
            # Zeroes are no program: the processor runs on through memory.
            if _JUMP in said and not any(disks.first_bytes(
                    disk, _BOOT_CODE)):
                return power.NOTHING
            if ended:
                break
            time.sleep(0.1)
    finally:
        process.kill()
        process.wait()
    return f'stuck: {said[-300:]!r}'


def _command(disk: pathlib.Path, firmware: str, directory: pathlib.Path,
             console: pathlib.Path, debug: pathlib.Path, sector_size: int
             ) -> list[str]:
    command = [
        PROGRAM, '-accel', 'tcg', '-machine', 'q35', '-m', '256',
        '-nodefaults', '-display', 'none', '-no-reboot', '-net', 'none',
        '-serial', f'file:{console}', '-debugcon', f'file:{debug}',
        '-global', 'isa-debugcon.iobase=0x402', '-drive',
        f'if=none,id=disk,format=raw,snapshot=on,file={disk}',
        '-device', 'virtio-blk-pci,drive=disk,bootindex=1,'
                   f'logical_block_size={sector_size},'
                   f'physical_block_size={sector_size}']
    if firmware == 'uefi':
        variables = directory / 'variables'
        shutil.copy(_VARIABLES, variables)
        command += ['-drive', 'if=pflash,format=raw,readonly=on,'
                              f'file={_CODE}',
                    '-drive', f'if=pflash,format=raw,file={variables}']
    return command


def _text(port: pathlib.Path) -> str:
    return port.read_bytes().decode('utf-8', 'replace')
