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

"""A virtual machine that boots a disk and does what it is told."""

from collections.abc import Iterator
import contextlib
import pathlib
import shutil
import subprocess
import time

_SECTOR = 512
#: Seconds of a run; emulated, on a machine that others use as well.
_LONGEST = 900
_BEGIN, _END = '-- begin --', '-- end --'
#: The line of the console is hung up when the login prompt comes.
_ORDERS = '''export PATH=/usr/sbin:/usr/bin:/sbin:/bin
exec >/dev/{port} 2>&1
echo; echo '{begin}'
{orders}
echo '{end}'
sync
sleep 1
poweroff -f
'''


class Machine:
    """A machine with one disk, and another with a script for the system.

    :param directory: for its console and its firmware's variables.
    :param disk: a file.
    """

    PROGRAM = ''
    #: The firmware, and its variables as they come.
    FIRMWARE = pathlib.Path()
    VARIABLES = pathlib.Path()
    #: The serial port that the script talks to.
    PORT = ''

    def __init__(self, directory: pathlib.Path, disk: pathlib.Path) -> None:
        self._disk = disk
        self._variables = directory / 'variables.fd'
        self._script = directory / 'orders'
        self.console = directory / 'console'
        self._answers = directory / 'answers'
        shutil.copy(self.VARIABLES, self._variables)

    @classmethod
    def missing(cls) -> str:
        """What this computer lacks for such a machine; nothing, mostly."""
        if not shutil.which(cls.PROGRAM):
            return cls.PROGRAM
        for path in (cls.FIRMWARE, cls.VARIABLES):
            if not path.exists():
                return str(path)
        return ''

    def run(self, orders: str) -> str:
        """Switch it on; the system executes a script, and switches it off.

        :param orders: for a shell; what they print is the result.
        """
        text = _ORDERS.format(orders=orders, port=self.PORT, begin=_BEGIN,
                              end=_END).encode()
        self._script.write_bytes(text + b'\n' * (-len(text) % _SECTOR))
        with self._switched_on() as process:
            try:
                process.wait(_LONGEST)
            except subprocess.TimeoutExpired:
                pass
        # The firmware, and so the boot loader, writes to both ports.
        _, _, said = _text(self._answers).partition(_BEGIN)
        said, ended, _ = said.partition(_END)
        if not ended:
            raise AssertionError(said + _text(self.console)[-3000:])
        return said

    def wait_for(self, text: str) -> None:
        """Switch it on, and off when it has said that."""
        self._script.write_bytes(bytes(_SECTOR))
        end = time.monotonic() + _LONGEST
        with self._switched_on():
            while text not in (said := _text(self.console)):
                if time.monotonic() > end:
                    raise AssertionError(said[-3000:])
                time.sleep(0.5)

    @contextlib.contextmanager
    def _switched_on(self) -> Iterator[subprocess.Popen[bytes]]:
        for port in (self.console, self._answers):
            port.write_bytes(b'')
        process = subprocess.Popen(self._command(), stdin=subprocess.DEVNULL)
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def _command(self) -> list[str]:
        command = [
            self.PROGRAM, '-accel', 'tcg,thread=multi', *self._board(),
            '-smp', '2', '-m', '2048', '-nodefaults', '-display', 'none',
            '-no-reboot', '-serial', f'file:{self.console}']
        for name, file, index in (('system', self._disk, 1),
                                  ('orders', self._script, 2)):
            command += [
                '-drive', f'if=none,id={name},format=raw,cache=unsafe,'
                          f'file={file}',
                '-device', f'virtio-blk-pci,drive={name},serial={name},'
                           f'bootindex={index}']
        return command

    def _board(self) -> list[str]:
        """Options for the processor, the firmware and the port."""
        raise NotImplementedError

    def _uefi(self) -> list[str]:
        return ['-drive', 'if=pflash,format=raw,readonly=on,'
                          f'file={self.FIRMWARE}',
                '-drive', f'if=pflash,format=raw,file={self._variables}']


class PcMachine(Machine):
    """One of x86_64."""

    PROGRAM = 'qemu-system-x86_64'
    FIRMWARE = pathlib.Path('/usr/share/OVMF/OVMF_CODE_4M.secboot.fd')
    #: With the keys that sign what distributions boot.
    VARIABLES = pathlib.Path('/usr/share/OVMF/OVMF_VARS_4M.ms.fd')
    PORT = 'ttyS1'

    def _board(self) -> list[str]:
        return ['-cpu', 'max',
                '-chardev', f'file,id=answers,path={self._answers}',
                '-device', 'isa-serial,index=1,chardev=answers']


class BiosMachine(PcMachine):
    """With SeaBIOS."""

    def _board(self) -> list[str]:
        return ['-machine', 'q35', *super()._board()]


class SecureMachine(PcMachine):
    """With UEFI that starts only what is signed."""

    def _board(self) -> list[str]:
        return ['-machine', 'q35,smm=on', *super()._board(), '-global',
                'driver=cfi.pflash01,property=secure,value=on',
                *self._uefi()]


class ArmMachine(Machine):
    """One of aarch64, with UEFI that starts anything."""

    PROGRAM = 'qemu-system-aarch64'
    FIRMWARE = pathlib.Path('/usr/share/AAVMF/AAVMF_CODE.fd')
    VARIABLES = pathlib.Path('/usr/share/AAVMF/AAVMF_VARS.fd')
    PORT = 'ttyAMA0'

    def __init__(self, directory: pathlib.Path, disk: pathlib.Path) -> None:
        super().__init__(directory, disk)
        self._answers = self.console

    def _board(self) -> list[str]:
        return ['-machine', 'virt', '-cpu', 'cortex-a57', *self._uefi()]


class SecureArmMachine(ArmMachine):
    """The same, but it starts only what is signed."""

    FIRMWARE = pathlib.Path('/usr/share/AAVMF/AAVMF_CODE.ms.fd')
    VARIABLES = pathlib.Path('/usr/share/AAVMF/AAVMF_VARS.ms.fd')


def _text(port: pathlib.Path) -> str:
    """All that was written to a serial port."""
    return port.read_bytes().decode('utf-8', 'replace').replace('\r', '')
