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

"""Disks with systems that a boot loader could start."""

import dataclasses

from tests.support import boot_files
from tests.unit.engine import systems

KERNEL = boot_files.bzimage()
#: What the menus of the systems name, and their trees lack.
NAMED = {
    'debian': {'boot/vmlinuz': KERNEL,
               'boot/initrd.img': boot_files.initramfs()},
    'ubuntu': {'initrd.img': boot_files.initramfs()},
    'suse': {'boot/initrd.img': boot_files.initramfs()},
    'fedora': {'vmlinuz-6': KERNEL,
               'initramfs-6.img': boot_files.initramfs()},
    'centos': {'vmlinuz-6': KERNEL,
               'initramfs-6.img': boot_files.initramfs()}}
#: Kernel, and the last of the options, of what starts.
STARTED = {
    'debian': ('boot/vmlinuz', 'earlyprintk=ttyS0,115200'),
    'ubuntu': ('boot/vmlinuz', 'console=ttyS0'),
    'fedora': ('boot/vmlinuz-6', 'console=ttyS0,115200n8'),
    'centos': ('boot/vmlinuz-6', 'crashkernel=1G-4G:192M'),
    'suse': ('boot/vmlinuz-5.14.21-150500.55-default', 'quiet')}


def parts(name: str) -> list[systems.Part]:
    """The partitions of a system, with all that its menu names."""
    return [dataclasses.replace(part, tree={**part.tree, **NAMED[name]})
            if part.kind != 'vfat' and any(
                path.endswith('/grub.cfg') for path in part.tree) else part
            for part in getattr(systems, name)()]
