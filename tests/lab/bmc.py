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

"""A Redfish BMC for the lab's machines: sushy-tools' emulator, with qemu.

Run as ``python -m tests.lab.bmc FILE``, where FILE is the JSON text that
:func:`configuration` makes.
"""

from collections.abc import Sequence
import json
import pathlib
import subprocess
import sys
import threading

from sushy_tools.emulator import main as emulator
from sushy_tools.emulator.resources.systems import fakedriver
from sushy_tools import error
from werkzeug import serving

from tests.lab import machine

PORT = 8000


def configuration(machines: Sequence[machine.Machine], address: str,
                  accelerated: bool, state: pathlib.Path) -> str:
    """The text of the BMC's configuration file.

    :param accelerated: the machines run under KVM
    :param state: a directory for what the BMC remembers
    """
    return json.dumps({
        'address': address, 'accelerated': accelerated, 'state': str(state),
        'machines': [{**vars(each), 'directory': str(each.directory)}
                     for each in machines]})


class PoweredMachine:
    """A machine and the qemu that it is while its power is on."""

    def __init__(self, hardware: machine.Machine, accelerated: bool) -> None:
        self._hardware = hardware
        self._accelerated = accelerated
        self._qemu: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()

    @property
    def is_on(self) -> bool:
        """Whether the power is on; a machine may switch itself off."""
        return self._qemu is not None and self._qemu.poll() is None

    def switch_on(self, boot_device: str, media: str | None) -> None:
        """Switch it on, if it is off."""
        with self._lock:
            if self.is_on:
                return
            with (self._hardware.directory / 'qemu.log').open('ab') as log:
                self._qemu = subprocess.Popen(
                    self._hardware.command(boot_device, media,
                                           self._accelerated),
                    stdin=subprocess.PIPE, stdout=log, stderr=log, text=True)

    def switch_off(self) -> None:
        """Cut the power, if it is on."""
        with self._lock:
            if self._qemu is not None:
                self._qemu.kill()
                self._qemu.wait()
                self._qemu = None

    def press_power_button(self) -> None:
        """Ask the operating system to shut down."""
        with self._lock:
            if self._qemu and self._qemu.stdin and self.is_on:
                self._qemu.stdin.write('system_powerdown\n')
                self._qemu.stdin.flush()


class QemuDriver(fakedriver.FakeDriver):
    """The systems of the emulator, with real power."""

    #: uuid of a system -> its machine
    machines: dict[str, PoweredMachine] = {}

    @property
    def driver(self) -> str:
        """The name that the emulator logs."""
        return '<qemu>'

    def get_power_state(self, identity: str) -> str:
        """On or Off."""
        uuid = self._get(identity)['uuid']
        return 'On' if self.machines[uuid].is_on else 'Off'

    def set_power_state(self, identity: str, state: str) -> None:
        """Do what Redfish calls ComputerSystem.Reset."""
        system = self._get(identity)
        powered = self.machines[system['uuid']]
        if state == 'GracefulShutdown':
            powered.press_power_button()
        elif state in ('On', 'ForceOn', 'ForceOff', 'ForceRestart',
                       'GracefulRestart', 'PowerCycle'):
            if state not in ('On', 'ForceOn'):
                powered.switch_off()
            if state != 'ForceOff':
                media, _, _ = self.get_boot_image(identity, 'Cd')
                powered.switch_on(self.get_boot_device(identity), media)
        else:
            raise error.NotSupportedError(f'no power state {state}')


def main() -> None:
    """Serve Redfish until the process is ended."""
    settings = json.loads(pathlib.Path(sys.argv[1]).read_text())
    machines = [
        machine.Machine(**{**each, 'directory':
                           pathlib.Path(each['directory'])})
        for each in settings['machines']]
    QemuDriver.machines = {
        each.uuid: PoweredMachine(each, settings['accelerated'])
        for each in machines}
    # The emulator names its driver classes itself and offers no choice.
    fakedriver.FakeDriver = QemuDriver
    emulator.app.configure(extra_config={
        'SUSHY_EMULATOR_FAKE_DRIVER': True,
        'SUSHY_EMULATOR_STATE_DIR': settings['state'],
        'SUSHY_EMULATOR_FAKE_SYSTEMS': [
            {'uuid': each.uuid, 'name': each.name, 'power_state': 'Off',
             'nics': [{'mac': each.mac, 'ip': ''}]} for each in machines]})
    serving.run_simple(settings['address'], PORT, emulator.app,
                       threaded=True)


if __name__ == '__main__':
    main()
