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

"""A virtual machine with empty disks, as its BMC starts it."""

from collections.abc import Iterator
import contextlib
import dataclasses
import os
import pathlib
import shutil
import subprocess
import time

_FIRMWARE = pathlib.Path('/usr/share/OVMF/OVMF_CODE_4M.fd')
_FIRMWARE_VARIABLES = pathlib.Path('/usr/share/OVMF/OVMF_VARS_4M.fd')

_EMULATED = ('-accel', 'tcg,thread=multi,tb-size=512', '-cpu', 'max')
_VIRTUALIZED = ('-accel', 'kvm', '-cpu', 'host')

_DISK_DEVICES = {'virtio': 'virtio-blk-pci', 'nvme': 'nvme', 'sata': 'ide-hd',
                 'pvscsi': 'scsi-hd'}
#: On the PCI bus, of the first disk, or of the adapter for all
_DISK_SLOT = 16


@dataclasses.dataclass(frozen=True, kw_only=True)
class Machine:
    """A machine, its files in a directory of its own.

    :ivar boot_mode: uefi or bios
    :ivar disk_size: of each disk, bytes
    :ivar disk_bus: virtio, nvme, sata, or pvscsi: a SCSI adapter
    :ivar sector_size: of the disks, bytes
    :ivar sampled: it has a second serial port, for the ramdisk's sampler
    """

    name: str
    number: int
    directory: pathlib.Path
    disk_count: int = 1
    disk_size: int = 6 << 30
    memory_mib: int = 3072
    sampled: bool = False
    boot_mode: str = 'uefi'
    disk_bus: str = 'virtio'
    sector_size: int = 512

    @property
    def uuid(self) -> str:
        """What Redfish and the firmware call the machine."""
        return f'7d3c0b1e-1ab0-4000-8000-{self.number:012x}'

    @property
    def mac(self) -> str:
        """The address of its only network interface."""
        return f'52:54:00:42:00:{self.number:02x}'

    @property
    def tap(self) -> str:
        """The host's end of that interface."""
        return f'lab{self.number}'

    @property
    def disk(self) -> pathlib.Path:
        """The raw file that is the machine's first disk."""
        return self.disks[0]

    @property
    def disks(self) -> list[pathlib.Path]:
        """The raw files that are the disks of a complete machine."""
        return [self.directory / f'disk-{number}.raw'
                for number in range(1, self.disk_count + 1)]

    @property
    def console(self) -> pathlib.Path:
        """All that was written to the serial port since the start."""
        return self.directory / 'console.log'

    @property
    def samples(self) -> pathlib.Path:
        """All that was written to the second serial port, if any."""
        return self.directory / 'samples.log'

    def create(self) -> None:
        """Make the directory, and in it the machine as it comes."""
        self.directory.mkdir(parents=True)
        self.blank()

    def blank(self) -> None:
        """Make it as new, while it is off: the disks are full of zeroes."""
        for path in self.disks:
            with path.open('wb') as disk:
                disk.truncate(self.disk_size)
        shutil.copy(_FIRMWARE_VARIABLES, self.directory / 'variables.fd')
        for port in (self.console, self.samples):
            port.write_bytes(b'')

    def _place(self, index: int) -> str:
        """Place of a disk on its bus."""
        if self.disk_bus == 'sata':
            return f'bus=ide.{index}'
        if self.disk_bus == 'pvscsi':
            return f'bus=scsi.0,scsi-id={index}'
        return f'addr={_DISK_SLOT + index:#x}'

    @contextlib.contextmanager
    def without(self, disk: pathlib.Path) -> Iterator[None]:
        """Take one of several disks away, while the machine is off.

        What it writes meanwhile is lost: two disks that went on without each
        other would be no mirror any more when both are back.
        """
        away = disk.with_suffix('.away')
        disk.rename(away)
        try:
            yield
        finally:
            away.rename(disk)

    def command(self, boot_device: str, media: str | None,
                accelerated: bool) -> list[str]:
        """The command line that switches the machine on.

        :param boot_device: what Redfish calls it: Hdd, Cd
        :param media: an ISO image in the virtual CD drive
        :param accelerated: by KVM
        """
        order = {'Cd': 9, 'Hdd': 9} | {boot_device: 1}
        command = [
            'qemu-system-x86_64', '-name', self.name, '-uuid', self.uuid,
            '-machine', 'q35', '-smp', '2', '-m', str(self.memory_mib),
            *(_VIRTUALIZED if accelerated else _EMULATED),
            '-nodefaults', '-display', 'none', '-monitor', 'stdio',
            '-chardev', f'file,id=serial,path={self.console},append=on',
            '-serial', 'chardev:serial',
            '-netdev', f'tap,id=net,ifname={self.tap},script=no,'
                       'downscript=no',
            '-device', f'virtio-net-pci,netdev=net,mac={self.mac},romfile=',
            '-device', 'virtio-rng-pci']
        if self.disk_bus == 'pvscsi':
            command += ['-device', f'pvscsi,id=scsi,addr={_DISK_SLOT:#x}']
        for index, path in enumerate(self.disks):
            if not path.exists():
                command.append('-snapshot')
                continue
            command += [
                '-drive', f'if=none,id={path.stem},format=raw,cache=unsafe,'
                          f'discard=unmap,file={path}',
                # Firmware knows disks by their place.
                '-device', f'{_DISK_DEVICES[self.disk_bus]},drive={path.stem},'
                           f'{self._place(index)},'
                           f'bootindex={order["Hdd"] + index},'
                           f'serial={self.name}-{path.stem},'
                           f'logical_block_size={self.sector_size},'
                           f'physical_block_size={self.sector_size}']
        if self.boot_mode == 'uefi':
            command += [
                '-drive', f'if=pflash,format=raw,readonly=on,file={_FIRMWARE}',
                '-drive', 'if=pflash,format=raw,'
                          f'file={self.directory / "variables.fd"}']
        if self.sampled:
            command += [
                '-chardev', f'file,id=samples,path={self.samples},append=on',
                '-serial', 'chardev:samples']
        if media:
            command += [
                '-drive', 'if=none,id=cd,media=cdrom,readonly=on,format=raw,'
                          f'file={media}',
                '-device', f'ide-cd,drive=cd,bootindex={order["Cd"]}']
        return command


def virtualization_works(kernel: pathlib.Path, log: pathlib.Path,
                         timeout: float = 10) -> bool:
    """Whether a stock kernel starts under KVM on this machine.

    A device node proves nothing: there are machines whose KVM exists and
    boots no kernel.

    :param kernel: a Linux kernel
    :param log: a file for the serial port
    :param timeout: seconds
    """
    if not os.access('/dev/kvm', os.R_OK | os.W_OK):
        return False
    log.touch()
    probe = subprocess.Popen(
        ['qemu-system-x86_64', *_VIRTUALIZED, '-machine', 'q35', '-m', '512',
         '-nodefaults', '-display', 'none', '-no-reboot',
         '-kernel', kernel, '-append', 'console=ttyS0 earlyprintk=ttyS0',
         '-serial', f'file:{log}'],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL)
    end = time.monotonic() + timeout
    try:
        while time.monotonic() < end and probe.poll() is None:
            time.sleep(0.2)
            if b'Linux version' in log.read_bytes():
                return True
        return b'Linux version' in log.read_bytes()
    finally:
        probe.kill()
        probe.wait()
