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

"""A partition image of Debian with its signed kernel, shim and grub2.

Booted, it executes what the disk with the serial ``orders`` says.
"""

import pathlib
import shutil

from tests.support import cache
from tests.support import commands
from tests.support import debian

#: Both kinds of grub2, as their packages for one of them exclude the other.
_PACKAGES = ('linux-image-cloud-amd64', 'systemd-sysv', 'udev', 'kmod',
             'initramfs-tools', 'zstd', 'util-linux', 'mount', 'e2fsprogs',
             'grub2-common', 'grub-pc-bin', 'grub-efi-amd64-bin',
             'grub-efi-amd64-signed', 'shim-signed', 'mokutil', 'efibootmgr')
_LABEL = 'debian-root'
_MIB = 1 << 20
#: Room for a second initramfs and what else the tests write.
_SPARE = 160 * _MIB
_SERVICE = r'''[Unit]
Requires=dev-disk-by\x2did-virtio\x2dorders.device
After=dev-disk-by\x2did-virtio\x2dorders.device local-fs.target

[Service]
Type=oneshot
ExecStart=/bin/sh /dev/disk/by-id/virtio-orders

[Install]
WantedBy=multi-user.target
'''
#: They take time on a machine that lives for a minute.
_MASKED = ('apt-daily.timer', 'apt-daily-upgrade.timer',
           'dpkg-db-backup.timer', 'e2scrub_all.timer',
           'e2scrub_reap.service', 'fstrim.timer')


def image() -> pathlib.Path:
    """The path of a qcow2 image of the root file system."""
    inputs = [pathlib.Path(__file__), pathlib.Path(debian.__file__)]
    return cache.get('bootable', inputs, _build) / 'image.qcow2'


def _build(directory: pathlib.Path) -> None:
    tree = directory / 'tree'
    debian.bootstrap(tree, _PACKAGES)
    _configure(tree)
    used = int(commands.run('du', '-sk', tree).split()[0]) * 1024
    pack(directory, tree, _LABEL, used * 5 // 4 + _SPARE)


def pack(directory: pathlib.Path, tree: pathlib.Path, label: str, size: int
         ) -> None:
    """Turn a tree into a file system in image.qcow2.

    :param size: of the file system, bytes
    """
    raw = directory / 'image.raw'
    # grub 2.06 does not read the newer features.
    commands.run('mke2fs', '-q', '-t', 'ext4', '-L', label, '-d', tree, '-O',
                 '^metadata_csum_seed,^orphan_file', raw, f'{size // 1024}k')
    commands.run('qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', '-c', raw,
                 directory / 'image.qcow2')
    raw.unlink()
    shutil.rmtree(tree)


def _configure(tree: pathlib.Path) -> None:
    (tree / 'etc/fstab').write_text(f'LABEL={_LABEL} / ext4 defaults 0 1\n')
    (tree / 'etc/hostname').write_text('deployed\n')
    (tree / 'etc/default/grub').write_text(
        'GRUB_DISTRIBUTOR=`lsb_release -i -s 2>/dev/null || echo Debian`\n'
        'GRUB_TIMEOUT=1\n'
        'GRUB_CMDLINE_LINUX_DEFAULT="quiet"\n'
        'GRUB_CMDLINE_LINUX="console=ttyS0"\n'
        'GRUB_TERMINAL=console\n')
    # Devices and services take their time on an emulated processor.
    patience = tree / 'etc/systemd/system.conf.d/patience.conf'
    patience.parent.mkdir(exist_ok=True)
    patience.write_text('[Manager]\nDefaultTimeoutStartSec=10min\n')
    units = tree / 'etc/systemd/system'
    (units / 'orders.service').write_text(_SERVICE)
    wants = units / 'multi-user.target.wants'
    wants.mkdir(exist_ok=True)
    (wants / 'orders.service').symlink_to('../orders.service')
    for unit in _MASKED:
        (units / unit).unlink(missing_ok=True)
        (units / unit).symlink_to('/dev/null')
