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

"""A partition image of Linux for arm64, which nobody here could install.

Debian's packages are unpacked, none of their programs run: its signed kernel,
shim and grub2, and busybox as all else. Booted, it executes what the disk
with the serial ``orders`` says.
"""

from collections.abc import Sequence
import dataclasses
import pathlib
import shutil

from tests.support import cache
from tests.support import commands
from tests.support import debian_system

_KERNEL = 'linux-image-cloud-arm64'
_PACKAGES = ('busybox-static', 'grub-efi-arm64-bin', 'grub-efi-arm64-signed',
             'shim-signed')
_MODULES = ('virtio_pci', 'virtio_blk')
_SIZE = 256 << 20
_GRUB = 'usr/lib/grub/arm64-efi'

_BEGIN = '''#!/bin/busybox sh
bb=/bin/busybox
$bb mount -t devtmpfs dev /dev
$bb mount -t proc proc /proc
$bb mount -t sysfs sys /sys
'''
#: Of the initramfs, and of the root file system.
_FIRST = '''for module in $($bb cat /modules); do $bb insmod $module; done
for option in $($bb cat /proc/cmdline); do
    case $option in root=*) root=${option#root=};; esac
done
until device=$($bb findfs $root); do $bb sleep 1; done
$bb mount -o ro $device /root
exec $bb switch_root /root /sbin/init
'''
_INIT = '''$bb mount -t tmpfs tmp /bin-of-busybox
$bb --install -s /bin-of-busybox
export PATH=/bin-of-busybox
for disk in /sys/block/vd*; do
    grep -qx orders $disk/serial && exec sh /dev/${disk##*/}
done
'''


@dataclasses.dataclass(frozen=True)
class System:
    """What it takes to deploy it.

    :ivar image: the root file system, qcow2.
    :ivar modules: of grub2, as a ramdisk for arm64 has them.
    """

    image: pathlib.Path
    modules: pathlib.Path


def system() -> System:
    """The same one at each call."""
    inputs = [pathlib.Path(__file__), pathlib.Path(debian_system.__file__)]
    found = cache.get('bootable-arm64', inputs, _build)
    return System(found / 'image.qcow2', found / 'arm64-efi')


def _build(directory: pathlib.Path) -> None:
    tree = directory / 'tree'
    _unpack(tree, directory / 'packages')
    (tree / _GRUB).rename(directory / 'arm64-efi')
    _make_initramfs(tree, directory / 'initramfs')
    for name in ('dev', 'proc', 'sys', 'root', 'bin-of-busybox', 'sbin'):
        (tree / name).mkdir(exist_ok=True)
    _script(tree / 'sbin/init', _INIT)
    (tree / 'etc/default').mkdir(parents=True, exist_ok=True)
    (tree / 'etc/os-release').write_text('ID=debian\n')
    (tree / 'etc/default/grub').write_text(
        'GRUB_CMDLINE_LINUX="console=ttyAMA0"\n')
    debian_system.pack(directory, tree, 'arm-root', _SIZE)


def _unpack(tree: pathlib.Path, work: pathlib.Path) -> None:
    """Get packages of another architecture, and leave this machine's apt."""
    for name in ('state/lists/partial', 'cache/archives/partial'):
        (work / name).mkdir(parents=True)
    (work / 'state/status').touch()
    (work / 'apt.conf').write_text(
        'APT::Architecture "arm64";\nAPT::Architectures { "arm64"; };\n'
        'APT::Sandbox::User "root";\n'
        f'Dir::State "{work}/state";\nDir::Cache "{work}/cache";\n'
        f'Dir::State::status "{work}/state/status";\n')
    apt = {'APT_CONFIG': str(work / 'apt.conf')}
    commands.run('apt-get', 'update', env=apt)
    depends = commands.run('apt-cache', 'depends', _KERNEL, env=apt)
    kernel = next(line.split()[1] for line in depends.splitlines()
                  if line.strip().startswith('Depends: linux-image-'))
    commands.run('apt-get', 'download', kernel, *_PACKAGES, cwd=work, env=apt)
    for package in work.glob('*.deb'):
        commands.run('dpkg', '-x', package, tree)
    shutil.rmtree(work)


def _make_initramfs(tree: pathlib.Path, work: pathlib.Path) -> None:
    version = next((tree / 'lib/modules').iterdir()).name
    commands.run('depmod', '-b', tree, version)
    for name in ('bin', 'dev', 'proc', 'sys', 'root'):
        (work / name).mkdir(parents=True)
    shutil.copy(tree / 'bin/busybox', work / 'bin')
    modules = _in_order(tree, version)
    for module in modules:
        shutil.copy(module, work)
    (work / 'modules').write_text(
        '\n'.join(f'/{module.name}' for module in modules))
    _script(work / 'init', _FIRST)
    archive = tree / f'boot/initrd.img-{version}'
    names = '\n'.join(str(path.relative_to(work)) for path in work.rglob('*'))
    commands.run('cpio', '--quiet', '-o', '-H', 'newc', '-O', archive,
                 cwd=work, stdin=names)
    shutil.rmtree(work)


def _in_order(tree: pathlib.Path, version: str) -> Sequence[pathlib.Path]:
    """Files of the modules, each behind those that it needs."""
    said = ''.join(commands.run('modprobe', '-d', tree, '-S', version,
                                '--show-depends', name)
                   for name in _MODULES)
    paths = [pathlib.Path(line.split()[1]) for line in said.splitlines()
             if line.startswith('insmod')]
    return list(dict.fromkeys(paths))


def _script(path: pathlib.Path, text: str) -> None:
    path.write_text(_BEGIN + text)
    path.chmod(0o755)
