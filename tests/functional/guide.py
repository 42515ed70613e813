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

"""The image that the user guide is about, and its pictures.

``python -m tests.functional.guide`` writes the pictures anew.
"""

import contextlib
import io
import os
import pathlib
import random
import re
import shutil
import tempfile

from ironic_imagedeploy.cmd import imagedeploy
from tests.support import boot_files
from tests.support import disks
from tests.support import images

PAGES = pathlib.Path(__file__).parents[2] / 'doc/source/user'
PAGE = PAGES / 'making-images.rst'
SCREEN = PAGES / 'check.txt'
MAP = PAGES / 'map.svg'
NAME = 'debian-13.qcow2'
MIB = 1 << 20
KERNEL = '6.12.48+deb13-cloud-amd64'
_UUID = '3c9f1e52-7d04-4b8a-9e61-{:012x}'
_ESP, _ROOT = (2 * MIB, 32 * MIB), (34 * MIB, 192 * MIB)
_END = MIB
#: Files that are not looked at, so that the picture has something to show.
_OTHERS = 60
_PARTS = f'''label-id: {_UUID.format(0)}
start=2048, size=2048, uuid={_UUID.format(1)}, name="BIOS boot", \
type=21686148-6449-6E6F-744E-656564454649
start=4096, size=65536, uuid={_UUID.format(2)}, name="EFI system", type=uefi
start=69632, size=393216, uuid={_UUID.format(3)}, name="root", type=linux
'''
_GRUB = f'''menuentry 'Debian GNU/Linux' {{
  linux /boot/vmlinuz-{KERNEL} root=UUID={_UUID.format(4)} ro \
console=tty0 console=ttyS0,115200
  initrd /boot/initrd.img-{KERNEL}
}}
'''
#: What a system has, as far as a look at it goes.
_FILES = {
    'etc/os-release': 'ID=debian\nVERSION_ID="13"\n'
                      'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\n',
    'etc/fstab': f'UUID={_UUID.format(4)} / ext4 defaults 0 1\n',
    'etc/machine-id': '',
    'etc/passwd': 'root:x:0:0:root:/root:/bin/bash\n',
    'etc/shadow': 'root:*:20000:0:99999:7:::\n',
    'etc/cloud/cloud.cfg': 'datasource_list: [ConfigDrive, OpenStack, None]\n',
    'usr/bin/growpart': '#!/bin/sh\n',
    'usr/sbin/grub-install': '#!/bin/sh\n',
    'boot/grub/grub.cfg': _GRUB,
    f'boot/initrd.img-{KERNEL}': 'an initramfs',
    f'usr/lib/modules/{KERNEL}/modules.builtin': 'kernel/fs/ext4/ext4.ko\n',
    f'usr/lib/modules/{KERNEL}/modules.dep':
        'kernel/drivers/block/virtio_blk.ko:\n'
        'kernel/drivers/net/virtio_net.ko:\n'
        'kernel/drivers/nvme/host/nvme.ko:\n',
    f'usr/lib/modules/{KERNEL}/modules.alias':
        'alias virtio:d00000002v* virtio_blk\n'}


def make(folder: pathlib.Path) -> pathlib.Path:
    """The image, with a raw one beside it."""
    tree = folder / 'tree'
    for name, content in _FILES.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(content)
    (tree / f'boot/vmlinuz-{KERNEL}').write_bytes(
        boot_files.bzimage(version=KERNEL))
    dice = random.Random(13)
    (tree / 'usr/share').mkdir()
    for number in range(_OTHERS):
        (tree / f'usr/share/{number}').write_bytes(
            images.content(dice, dice.randrange(1, 3 * MIB)))
    raw = folder / 'debian-13.raw'
    with raw.open('wb') as file:
        file.truncate(sum(_ROOT) + _END)
    images.partition(raw, 'gpt', _PARTS)
    images.fill_esp(raw, start=_ESP[0], size=_ESP[1])
    disks.run('mke2fs', '-q', '-t', 'ext4', '-U', _UUID.format(4), '-E',
              f'offset={_ROOT[0]},hash_seed={_UUID.format(5)}', '-d', tree,
              raw, f'{_ROOT[1] // 1024}k')
    with raw.open('r+b') as file:
        file.write(images.BOOT_CODE)
    shutil.rmtree(tree)
    return images.convert(raw, folder / NAME, 'compression_type=zstd',
                          compress=True)


def screen(folder: pathlib.Path) -> str:
    """What ``check`` shows of the image."""
    shown = io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(shown):
        imagedeploy.main(['check', NAME])
    return shown.getvalue()


def picture(folder: pathlib.Path) -> str:
    """What ``map`` draws of the image."""
    with contextlib.chdir(folder):
        imagedeploy.main(['map', NAME, '--svg', 'map.svg'])
    return (folder / 'map.svg').read_text()


def steady(text: str) -> str:
    """The text without the amounts that tools of other versions change."""
    text = re.sub(r'stored +.*', 'stored', text)
    return re.sub(r'>[^<]*(?:stored|extents?\b)[^<]*<|(?:x|width)="[\d.]+"',
                  '', text)


def main() -> None:
    """Write the pictures."""
    os.umask(0o022)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        make(folder)
        SCREEN.write_text(screen(folder))
        MAP.write_text(picture(folder))


if __name__ == '__main__':
    main()
