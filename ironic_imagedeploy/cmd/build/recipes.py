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

"""Orders to diskimage-builder for images that start on metal."""

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import shlex

#: Processors, as distributions call them, with their names as of ``uname -m``.
ARCHITECTURES: Mapping[str, str] = {'amd64': 'x86_64', 'arm64': 'aarch64'}
PROGRAM = 'disk-image-create'
#: The serial console that most servers have, by processor.
CONSOLES: Mapping[str, str] = {'amd64': 'ttyS0,115200',
                               'arm64': 'ttyAMA0,115200'}


@dataclasses.dataclass(frozen=True, kw_only=True)
class System:
    """An operating system, as the elements of diskimage-builder make it.

    :ivar element: that makes its root file system.
    :ivar kernels: packages of its usual kernel, with all drivers, by
        processor.
    :ivar firmware: packages of firmware, where the kernel brings none along.
    :ivar cloud_init: packages that let cloud-init configure the network, and
        grow the root.
    :ivar programs: that the element runs on the machine that builds, with the
        package of Debian that each is in.
    :ivar keyring: keys of its archive, which are looked for on that machine,
        and the package of Debian that they are in; empty where the element
        brings its own.
    :ivar interfaces: variable of the element that configures cards by old
        names.
    :ivar variables: that its element reads.
    """

    element: str
    kernels: Mapping[str, str]
    cloud_init: Sequence[str]
    firmware: Sequence[str] = ()
    programs: Mapping[str, str]
    keyring: tuple[str, str] = ('', '')
    interfaces: str = 'DIB_APT_MINIMAL_CREATE_INTERFACES'
    variables: Mapping[str, str] = dataclasses.field(default_factory=dict)


SYSTEMS: Mapping[str, System] = {
    'debian': System(
        element='debian-minimal',
        kernels={'amd64': 'linux-image-amd64', 'arm64': 'linux-image-arm64'},
        # cloud-init writes /etc/network/interfaces, which ifupdown reads.
        cloud_init=('cloud-guest-utils', 'ifupdown', 'dhcpcd-base'),
        programs={'debootstrap': 'debootstrap'},
        keyring=('/usr/share/keyrings/debian-archive-keyring.gpg',
                 'debian-archive-keyring'),
        # The element has the address of a single host without its folder.
        variables={'DIB_DEBIAN_SECURITY_MIRROR':
                   'http://deb.debian.org/debian-security/'}),
    'ubuntu': System(
        element='ubuntu-minimal',
        # It depends on linux-modules-extra and on linux-firmware.
        kernels=dict.fromkeys(ARCHITECTURES, 'linux-image-generic'),
        cloud_init=('cloud-guest-utils', 'netplan.io'),
        programs={'debootstrap': 'debootstrap'},
        keyring=('/usr/share/keyrings/ubuntu-archive-keyring.gpg',
                 'ubuntu-keyring')),
    'rocky': System(
        element='rocky-container',
        kernels=dict.fromkeys(ARCHITECTURES, 'kernel'),
        firmware=('linux-firmware',),
        cloud_init=('cloud-utils-growpart',),
        programs={'podman': 'podman'},
        interfaces='DIB_YUM_MINIMAL_CREATE_INTERFACES'),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """An image that is to be built.

    :ivar release: of the system; empty for the usual one.
    :ivar image_type: ``whole-disk`` or ``partition``.
    :ivar firmware: ``uefi``, ``bios`` or ``both``; a partition image is for
        both.
    :ivar network: ``cloud-init`` or ``dhcp``.
    :ivar console: serial device, as ``ttyS0,115200``; empty for none.
    :ivar mirror: that packages come from; empty for the usual one.
    :ivar elements: that the user adds.
    :ivar packages: that the user adds.
    """

    system: str
    release: str = ''
    image_type: str = 'whole-disk'
    firmware: str = 'both'
    arch: str = 'amd64'
    network: str = 'cloud-init'
    console: str = CONSOLES['amd64']
    mirror: str = ''
    elements: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()

    @property
    def is_whole_disk(self) -> bool:
        """Whether it has a partition table and a boot loader."""
        return self.image_type == 'whole-disk'

    @property
    def boot_modes(self) -> tuple[str, ...]:
        """Firmware that must be able to start a whole-disk image."""
        if not self.is_whole_disk:
            return ()
        return {'both': ('bios', 'uefi')}.get(self.firmware,
                                              (self.firmware,))

    def command(self, output: str) -> list[str]:
        """The command of diskimage-builder.

        :param output: name of the image, without its ending.
        """
        packages = [*self._packages(), *self.packages]
        return [PROGRAM, '-a', self.arch, '-t', 'qcow2', '-o', output,
                '--qemu-img-options', 'compression_type=zstd',
                '-p', ','.join(packages),
                *dict.fromkeys([*self._elements(), *self.elements])]

    def variables(self) -> dict[str, str]:
        """Variables that the elements read."""
        return dict(self._variables())

    def shell(self, output: str) -> list[str]:
        """The same as lines for a shell."""
        return [*(f'export {name}={shlex.quote(value)}'
                  for name, value in self.variables().items()),
                shlex.join(self.command(output))]

    def _elements(self) -> Iterator[str]:
        yield SYSTEMS[self.system].element
        if not self.is_whole_disk:
            # The node installs the boot loader, by what grub2 brings along;
            # of the other one it takes the kernel options.
            yield from ('baremetal', 'grub2', 'bootloader')
        else:
            # The layout for UEFI has a place for the loader of BIOS, too.
            yield from ('vm', 'block-device-mbr' if self.firmware == 'bios'
                        else 'block-device-efi')
        # No keys of a server in the image: each machine makes its own.
        yield 'openssh-server'
        if self.network == 'cloud-init':
            yield from ('cloud-init', 'cloud-init-datasources')
        else:
            yield from ('dhcp-all-interfaces', 'growroot')

    def _packages(self) -> Iterator[str]:
        system = SYSTEMS[self.system]
        yield system.kernels[self.arch]
        yield from system.firmware
        if self.network == 'cloud-init':
            yield from system.cloud_init

    def _variables(self) -> Iterator[tuple[str, str]]:
        if self.release:
            yield 'DIB_RELEASE', self.release
        yield from SYSTEMS[self.system].variables.items()
        if self.mirror:
            yield 'DIB_DISTRIBUTION_MIRROR', self.mirror
        if self.network == 'cloud-init':
            yield 'DIB_CLOUD_INIT_DATASOURCES', 'ConfigDrive, OpenStack'
        # Cards of a machine are not called eth0 and eth1.
        yield SYSTEMS[self.system].interfaces, '0'
        # The usual kernel options are for virtual machines.
        yield 'DIB_BOOTLOADER_DEFAULT_CMDLINE', 'nofb'
        yield 'DIB_NO_TIMER_CHECK', 'False'
        yield 'DIB_BOOTLOADER_VIRTUAL_TERMINAL', 'tty0'
        yield 'DIB_BOOTLOADER_USE_SERIAL_CONSOLE', str(bool(self.console))
        if self.console:
            yield 'DIB_BOOTLOADER_SERIAL_CONSOLE', self.console
        if not self.is_whole_disk:
            # Of the loaders for BIOS and UEFI it would install both.
            yield 'DIB_SKIP_GRUB_PACKAGE_INSTALL', 'True'
