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

"""Checks of an image's kernel and initramfs against devices of a machine."""

from collections.abc import Iterable
from collections.abc import Iterator

from ironic_imagedeploy.engine.contents.system import contents as _contents
from ironic_imagedeploy.engine.contents.system import installed_kernels
from ironic_imagedeploy.engine import findings
from ironic_imagedeploy.engine import hardware

Contents = _contents.Contents
Device = hardware.Device
Finding = findings.Finding
InstalledKernel = installed_kernels.InstalledKernel


def check(contents: Contents, devices: Iterable[Device]) -> Iterator[Finding]:
    """Findings about the newest kernel, one for each kind of device.

    :param devices: of the machine, which it needs drivers for.
    """
    kernel = next(iter(contents.kernels or ()), None)
    if kernel is None:
        return
    # The disk for the image comes first.
    known = sorted(devices, key=lambda device: not device.is_root)
    missing = [device for device in known if _is_undriven(device, kernel)]
    for kind, case in ((hardware.Kind.DISK, ''),
                       (hardware.Kind.NETWORK, 'network')):
        device = next((each for each in missing if each.kind is kind), None)
        if device:
            yield Finding(
                code='driver-missing', case=case,
                severity=(findings.Severity.ERROR
                          if device.is_root and _none_drives(device, contents)
                          else findings.Severity.WARNING),
                expected=f'a driver for {device.alias}, which {device.name} '
                         'needs', found=f'none in {kernel.version}',
                data={'device': device.name, 'alias': device.alias,
                      'driver': device.driver or None,
                      'version': kernel.version})
    if contents.firmware_missing:
        yield Finding(
            code='firmware-missing', found='none of them',
            expected=' or '.join(contents.firmware_missing[:2])
            + ' in /lib/firmware',
            data={'file': contents.firmware_missing[0]})
    yield from _check_initramfs(contents, kernel, known)


def _is_undriven(device: Device, kernel: InstalledKernel) -> bool:
    """Whether a kernel says that it has no driver for a device."""
    known, drivers = kernel.devices, kernel.drivers
    if known is None or drivers is None or (
            known.by_device.get(device.alias) != frozenset()):
        return False
    # What is built in may not say what it drives: its name tells.
    return (device.driver not in drivers if device.driver
            else known.is_certain)


def _none_drives(device: Device, contents: Contents) -> bool:
    """Whether an older kernel has not got the driver either."""
    return all(
        kernel.drivers is not None and bool(device.driver)
        and device.driver not in kernel.drivers
        for kernel in (contents.kernels or ())[1:])


def _check_initramfs(contents: Contents, kernel: InstalledKernel,
                     devices: Iterable[Device]) -> Iterator[Finding]:
    """Findings about what the initramfs of the newest kernel has not."""
    lacks = contents.initramfs_lacks or ()
    severity = (findings.Severity.ERROR if len(contents.kernels or ()) == 1
                else findings.Severity.WARNING)
    known = kernel.devices.by_device if kernel.devices else {}
    for device in devices:
        drivers = known.get(device.alias)
        if device.is_root is not False and drivers in lacks:
            yield Finding(
                code='initramfs-without-driver',
                severity=(severity if device.is_root
                          else findings.Severity.WARNING),
                expected=f'{" or ".join(sorted(drivers or ()))}, for '
                         f'{device.name}', found=f'/{kernel.initramfs} '
                                                 'without it',
                data={'device': device.name, 'alias': device.alias,
                      'path': f'/{kernel.initramfs}',
                      'version': kernel.version})
            break
    if _contents.MDADM in lacks:
        yield Finding(
            code='no-raid-support', severity=severity, expected='mdadm',
            found=f'/{kernel.initramfs} without it',
            data={'path': f'/{kernel.initramfs}',
                  'version': kernel.version})


def check_raid(contents: Contents, esp: int, room: int | None
               ) -> Iterator[Finding]:
    """Findings about a whole disk that is to be a software RAID.

    :param esp: bytes of the EFI system partition.
    :param room: bytes for one on each disk; None without a RAID.
    """
    if room is None:
        return
    if esp > room:
        yield Finding(
            code='esp-too-large', expected=f'{room} bytes at most',
            found=f'{esp} bytes', data={'limit': room, 'size': esp})
    if contents.grub_reads_raid is False:
        yield Finding(
            code='no-raid-support', case='grub', found='none',
            severity=findings.Severity.WARNING,
            expected='grub2 for UEFI with its module mdraid1x')


def check_modules(contents: Contents, version: str | None
                  ) -> Iterator[Finding]:
    """Findings about a kernel that comes beside the image.

    :param version: of the kernel; None without one, or when it is not known.
    """
    known = contents.module_versions
    if version and known is not None and version not in known:
        yield Finding(
            code='modules-missing', expected=f'/lib/modules/{version}',
            found=', '.join(known[:3]) or 'none',
            data={'version': version})
