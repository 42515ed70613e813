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

"""Codes about how the system in an image starts on a machine.

By themselves they are warnings, as the image may be meant for one machine
only; but for a disk that is known, and that the kernel does not find.
"""

from collections.abc import Mapping

from ironic_imagedeploy.engine.catalogue import entry

Case = entry.Case
Topic = entry.Topic


def _warning(*, meaning: str, message: str, fix: str,
             cases: Mapping[str, Case] | None = None) -> entry.Entry:
    return entry.Entry(
        topic=Topic.START, severity=entry.Severity.WARNING, meaning=meaning,
        message=message, fix=fix, cases=cases or {})


ENTRIES: Mapping[str, entry.Entry] = {
    'kernel-for-virtual-machines': _warning(
        meaning='No kernel in the image has a driver for a SATA, SAS or RAID '
                'controller, nor for a network card by Intel or Broadcom: '
                "Debian's cloud kernel has not, for one. NVMe disks and "
                'other cards may work.',
        message='The kernel is made for virtual machines.',
        fix='Install the usual kernel of the distribution (Debian: '
            'linux-image-amd64 or linux-image-arm64) and build its '
            'initramfs.'),
    'driver-missing': entry.Entry(
        topic=Topic.START,
        unless='it is a network card, a disk that is not the one for the '
               'image, or one that an older kernel in the image finds',
        meaning='The newest kernel in the image has no driver for the '
                'controller of a disk, or for a network card, of the machine '
                'that it was compared with.',
        message='The kernel in the image does not find the disk.',
        fix='Install the usual kernel of the distribution, with all of its '
            'modules, and build its initramfs; or use another machine.',
        cases={'network': Case(
            message='The kernel in the image does not find a network card.',
            fix='Install the usual kernel of the distribution, with all of '
                'its modules.')}),
    'firmware-missing': _warning(
        meaning='A network card of the machine does nothing without firmware '
                'that its driver loads, and the image has none of it.',
        message='The image has no firmware for a network card.',
        fix='Install the firmware package of the distribution (Debian: '
            'firmware-bnx2, firmware-bnx2x or firmware-qlogic; others: '
            'linux-firmware).'),
    'modules-missing': _warning(
        meaning='The image has no modules for the kernel that comes beside '
                'it: the system may find its disk by the initramfs, but no '
                'network card.',
        message='The image has no modules for the kernel beside it.',
        fix='Use the kernel and the initramfs that were built with the image, '
            'or install the modules of that kernel in the image.'),
    'initramfs-without-driver': entry.Entry(
        topic=Topic.START,
        unless='the image has several kernels, or the disk may not be the one '
               'for the image',
        meaning='The initramfs of the newest kernel has not got the module '
                'for the controller of the disk: it was made in a virtual '
                'machine, for that alone, and the kernel finds no root.',
        message='The initramfs in the image does not find the disk.',
        fix='Make it for all machines: dracut --no-hostonly --regenerate-all '
            '--force; Debian: MODULES=most in '
            '/etc/initramfs-tools/initramfs.conf, then update-initramfs -u '
            '-k all.'),
    'no-raid-support': entry.Entry(
        topic=Topic.START,
        unless='the image has several kernels',
        meaning='The disk is a software RAID, which the initramfs of the '
                'newest kernel has no mdadm for.',
        message='The initramfs in the image does not assemble a software '
                'RAID.',
        fix='Install mdadm in the image, and build its initramfs: dracut '
            '--no-hostonly --regenerate-all --force, with the module mdraid; '
            'Debian: update-initramfs -u -k all.',
        cases={'grub': Case(
            message='grub2 in the image does not read a software RAID.',
            fix='Put mdraid1x among the modules of grub2 for UEFI, or use a '
                'partition image, for which grub2 is made on the node.')}),
    'esp-too-large': entry.Entry(
        topic=Topic.START,
        meaning='The disk is a software RAID: the agent puts a copy of the '
                'EFI system partition on each of its disks, where it made '
                'room for a smaller one.',
        message='The EFI system partition is too large for the disks of a '
                'software RAID.',
        fix='Build the image with a smaller one, or use a partition image.'),
    'unsigned-loader': entry.Entry(
        topic=Topic.START,
        meaning='The machine boots with secure boot, and the programs for '
                'its firmware in the image have no signature.',
        message='With secure boot, the firmware starts nothing of this image.',
        fix='Install the signed shim and grub2 of the distribution (Debian: '
            'shim-signed and grub-efi-amd64-signed), or turn secure boot '
            'off.'),
    'unsigned-kernel': _warning(
        meaning='The machine boots with secure boot, and the newest kernel in '
                'the image has no signature, or an addon of a unified kernel '
                'has none. Whose signature it is is not looked at: the keys '
                'of the machine are not known.',
        message='With secure boot, the newest kernel is not started.',
        fix='Install the signed kernel of the distribution, or sign it with a '
            'key that the machine has; or turn secure boot off.',
        cases={'addon': Case(
            message='With secure boot, the kernel options of an addon do not '
                    'count.',
            fix='Sign it with a key that the machine has (ukify build '
                '--secureboot-private-key ...), or build the unified kernel '
                'with these options.')}),
    'unstable-device-name': _warning(
        meaning='A boot menu or the fstab names a disk by a name that '
                'depends on its controller, its place or its serial number, '
                'or on the order of the disks.',
        message='A disk is named by a name that another machine has not.',
        fix='Name it by its UUID, which blkid shows: UUID=...',
        cases={'menu': Case(
            message='The boot menu names the root by a name that another '
                    'machine has not.',
            fix='Name it by its UUID: root=UUID=...; for grub2, let '
                'update-grub or grub2-mkconfig write the menu again.')}),
    'device-missing': _warning(
        meaning='A boot loader, its menu or the fstab names a UUID that '
                'nothing on the disk in the image has, or the menu a label '
                'of the root. The system stops, or waits for it.',
        message='The fstab waits for a disk that is not in the image.',
        fix='Correct the UUID, which blkid shows, or give the line the '
            'option nofail.',
        cases={'loader': Case(
            message='grub2 looks for its menu on a file system that is not in '
                    'the image, and ends at its prompt.',
            fix='Correct the UUID in grub.cfg on the EFI system partition, '
                'or let grub-install write that again.'),
            'kernel': Case(
            message='grub2 looks for the kernel on a file system that is not '
                    'in the image.',
            fix='Correct the UUID in grub.cfg, which blkid shows: let '
                'update-grub or grub2-mkconfig write the menu again.'),
            'menu': Case(
            message='The boot menu names a root that is not in the image.',
            fix='Correct the name, which blkid shows: let update-grub or '
                'grub2-mkconfig write the menu again.')}),
    'serial-console-only': _warning(
        meaning='The kernel writes to a serial port only: on the screen of a '
                'server, nothing is to be seen after the boot loader.',
        message='The kernel writes to a serial port only.',
        fix='Add the console of the screen before the other: console=tty0',
        cases={'speed': Case(
            message='The kernel writes to a serial port only, with 9600 baud, '
                    'which few servers expect.',
            fix='Name the speed, and the console of the screen before it: '
                'console=tty0 console=ttyS0,115200')}),
    'network-old-name': _warning(
        meaning='The network is configured for a card by a name such as '
                'eth0, but systemd gives cards names by their places, such '
                'as eno1 or enp1s0f0: the card is not configured.',
        message='The network is configured for a card by an old name.',
        fix='Let {path} match all cards, or let cloud-init write it; or boot '
            'with net.ifnames=0.'),
    'network-pinned': _warning(
        meaning='The configuration of the network is for a card with a '
                'certain MAC address, which another machine has not.',
        message='The network is configured for the card of one machine.',
        fix='Remove {path} from the image, or the address from it.'),
    'no-first-boot-agent': _warning(
        meaning='Nothing in the image sets the system up when it first '
                'starts (cloud-init, ignition, glean, and the like): nobody '
                'reads the config drive, with its keys and its network.',
        message='Nothing in the image reads a config drive.',
        fix='Install cloud-init, or glean (diskimage-builder: the element '
            'cloud-init or simple-init).'),
    'no-config-drive-source': _warning(
        meaning='cloud-init is told to look for its data in other places '
                'than a config drive or the metadata service of OpenStack.',
        message='cloud-init looks neither for a config drive nor for '
                'OpenStack.',
        fix='Name them in /etc/cloud/cloud.cfg.d/99-openstack.cfg: '
            'datasource_list: [ConfigDrive, OpenStack, None], in one line; '
            'name no other one by the kernel option ds, nor in '
            '/etc/cloud/ds-identify.cfg.'),
    'no-login': _warning(
        meaning='No account has a password or a key, and nothing in the '
                'image takes one from a config drive.',
        message='Nobody can log in to the system.',
        fix='Install cloud-init, or put a key into '
            '/root/.ssh/authorized_keys.'),
    'host-keys-left': _warning(
        meaning='The secret keys of an SSH server are in the image, and '
                'nothing makes new ones: all machines have the same, and so '
                'has everybody who has the image.',
        message='The secret keys of an SSH server are in the image.',
        fix='Remove /etc/ssh/ssh_host_*_key* from the image, and have new '
            'ones made at the first start.'),
    'machine-id-left': _warning(
        meaning='/etc/machine-id has the identifier of one machine. By DHCP, '
                'machines with the same may get the same address.',
        message='The image has the identifier of one machine.',
        fix='Empty it: truncate -s 0 /etc/machine-id; and remove '
            '/var/lib/dbus/machine-id.'),
    'traces-left': _warning(
        meaning='Leases of addresses, or commands that somebody typed, are '
                'in the image.',
        message='Traces of another machine are in the image.',
        fix='Remove them; virt-sysprep does.'),
    'root-not-last': _warning(
        meaning='Another partition lies after the root, so that it cannot '
                'become as large as the disk.',
        message='The root cannot grow: another partition lies after it.',
        fix='Build the image with the root as the last partition.'),
    'root-does-not-grow': _warning(
        meaning='Nothing in the image makes the root partition as large as '
                'the disk (growpart by cloud-init, growroot, '
                'systemd-repart): the rest of the disk is not used.',
        message='Nothing makes the root as large as the disk.',
        fix='Install growpart beside cloud-init (Debian: cloud-guest-utils; '
            'Red Hat: cloud-utils-growpart), or configure systemd-repart.'),
    'file-system-in-use': _warning(
        meaning='The root was not unmounted: changes wait in its journal, or '
                'were never written. The image may be of a running system.',
        message='The root file system was not unmounted.',
        fix='Shut the system down before it becomes an image.'),
    'hibernated': _warning(
        meaning='Swap space has the memory of a machine that hibernates. '
                'Another machine cannot go on with it.',
        message='The image is of a machine that hibernates.',
        fix='Start it and shut it down, before it becomes an image.'),
    'no-fallback-loader': _warning(
        meaning='The EFI system partition has boot programs, but none where '
                'firmware looks without a boot entry: when the entries are '
                'lost, the machine does not start.',
        message='UEFI finds no boot program without a boot entry.',
        fix='Copy shim and grub2 to EFI/BOOT as well (Debian: grub-install '
            '--force-extra-removable).'),
}
