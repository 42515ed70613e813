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

"""Partition images that are made here, and disks that get them."""

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import os
import pathlib
import tempfile
import typing

from ironic_python_agent import config  # noqa: F401 (before disk_utils)
from ironic_python_agent import disk_utils

from ironic_imagedeploy.agent.boot import mounts
from tests.functional import base
from tests.support import commands
from tests.support import disks
from tests.support import images
from tests.support import ramdisk

MIB = base.MIB
#: mkfs.xfs makes none below 300 MiB.
SIZES = {'ext4': 64 * MIB, 'xfs': 320 * MIB, 'btrfs': 128 * MIB}
_MAKERS = {'ext4': ('mke2fs', '-q', '-t', 'ext4', '-b', '4096', '-F'),
           'xfs': ('mkfs.xfs', '-q', '-f'), 'btrfs': ('mkfs.btrfs', '-q')}

Change = Callable[[pathlib.Path], None]


def debian(tree: pathlib.Path) -> None:
    """What a Debian system has of a kernel and of grub2."""
    put(tree, 'boot/vmlinuz-6.1.0-9-amd64', b'the older kernel')
    put(tree, 'boot/initrd.img-6.1.0-9-amd64', b'its initramfs')
    put(tree, 'boot/vmlinuz-6.1.0-10-amd64', b'the kernel')
    put(tree, 'boot/initrd.img-6.1.0-10-amd64', b'the initramfs')
    put(tree, 'usr/sbin/grub-install', b'#!/bin/sh\n', mode=0o755)
    put(tree, 'etc/fstab', b'LABEL=root / ext4 defaults 0 1\n')
    put(tree, 'usr/lib/os-release', b'NAME="Debian"\nID=debian\n')
    (tree / 'etc/os-release').symlink_to('../usr/lib/os-release')
    put(tree, 'etc/default/grub',
        b'GRUB_DISTRIBUTOR=`lsb_release -i -s 2> /dev/null || echo Debian`\n'
        b'GRUB_CMDLINE_LINUX_DEFAULT="quiet"\n'
        b"GRUB_CMDLINE_LINUX='console=ttyS0,115200n8'\n")
    (tree / 'boot/grub').mkdir()


def put(tree: pathlib.Path, path: str, content: bytes, *, mode: int = 0o644
        ) -> None:
    """Make a file and the directories that it is in."""
    (tree / path).parent.mkdir(parents=True, exist_ok=True)
    (tree / path).write_bytes(content)
    (tree / path).chmod(mode)


def make_file_system(path: pathlib.Path, kind: str, *changes: Change
                     ) -> pathlib.Path:
    """A file system in a file, filled by functions."""
    disks.fill(path, SIZES[kind], 0)
    disks.run(*_MAKERS[kind], path)
    with tempfile.TemporaryDirectory() as place:
        disks.run('mount', '-o', 'loop', path, place)
        try:
            for change in changes:
                change(pathlib.Path(place))
        finally:
            disks.run('umount', place)
    return path


class PartitionImageTestCase(ramdisk.AgentTestCase):
    """The agent with a disk that is a loop device."""

    SIZE = 768 * MIB
    SECTOR_SIZE = 512

    def setUp(self) -> None:
        if os.geteuid() != 0:
            self.skipTest('loop devices are for root only')
        super().setUp()
        self.conf.config(partprobe_attempts=1, efi_system_partition_size=64,
                         group='disk_utils')

    def _replace_disk_tools(self) -> None:
        self.backing = self.directory / 'backing'
        disks.fill(self.backing, self.SIZE, 0)
        self.device = self._attach()
        self.machine.set_disk(self.device)
        # It asks fuser, which fails where it may not look at process 1.
        self.patched(disk_utils, 'wait_for_disk_to_become_available')

    def _attach(self) -> str:
        """The device that is the disk."""
        self.addCleanup(self._detach)
        return disks.attach(self.backing, sector_size=self.SECTOR_SIZE)

    def _detach(self) -> None:
        with contextlib.suppress(commands.CommandFailed):
            disks.run('partx', '-d', self.device)
        disks.run('losetup', '-d', self.device)

    def use(self, *changes: Change, kind: str = 'ext4',
            boot_mode: str = 'bios', **capabilities: str) -> None:
        """Deploy an image like this, with that firmware."""
        self.guest = make_file_system(self.directory / 'root', kind, *changes)
        self.image = images.convert(self.guest, self.directory / 'disk.qcow2')
        self.node['properties'] = {'capabilities': ','.join(
            f'{name}:{value}' for name, value in {
                'boot_mode': boot_mode, **capabilities}.items())}

    def image_info(self, **info: typing.Any) -> dict[str, typing.Any]:
        return super().image_info(**{
            'image_type': 'partition', 'root_mb': 400, 'swap_mb': 0,
            'ephemeral_mb': 0, 'ephemeral_format': None,
            'preserve_ephemeral': False, **info})

    def partition(self, what: str = 'root') -> str:
        """The device of a partition."""
        return self.standby.partition_uuids['partitions'][what]

    @contextlib.contextmanager
    def root(self, kind: str = 'ext4') -> Iterator[mounts.Root]:
        """What is on the root partition now."""
        with mounts.mounted(self.partition(), kind) as root:
            yield root

    def menu(self, path: str = 'boot/grub/grub.cfg', kind: str = 'ext4'
             ) -> str:
        """The menu that was written."""
        with self.root(kind) as root:
            return (root.read(path) or b'').decode()

    def esp(self, path: str) -> bytes:
        """A file in the EFI system partition."""
        output = self.directory / 'of-esp'
        disks.run('mcopy', '-n', '-o', '-i',
                  self.partition('efi system partition'), f'::{path}', output)
        return output.read_bytes()
