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

"""The deploy ramdisk: Debian, ironic-python-agent, and the checkout on top.

The kernel of the ramdisk unpacks archives that follow each other, so the
costly base is cached and the small layer with our own package is made anew.
"""

from collections.abc import Iterable
import configparser
import dataclasses
import importlib.metadata
import os
import pathlib
import shutil
import sys

from tests.support import cache
from tests.support import commands
from tests.support import debian

_PACKAGES = (
    'busybox-static', 'ca-certificates', 'dmidecode', 'dmsetup', 'dosfstools',
    'e2fsprogs', 'efibootmgr', 'ethtool', 'gdisk', 'grub-common',
    'grub-efi-amd64-bin', 'grub-pc-bin', 'hdparm', 'iproute2', 'kexec-tools',
    'kmod', 'lshw', 'lsscsi', 'mdadm', 'mount', 'mtools', 'nvme-cli', 'parted',
    'pciutils', 'procps', 'psmisc', 'python3', 'qemu-utils', 'udev',
    'util-linux', 'xfsprogs')

_MODULES = (
    'virtio_pci', 'virtio_blk', 'virtio_net', 'virtio_scsi', 'virtio_rng',
    'vmw_pvscsi', 'nvme', 'ahci', 'sd_mod', 'sr_mod', 'usb_storage', 'uas',
    'xhci_pci', 'loop', 'dm_mod', 'md_mod', 'raid1', 'efivarfs', 'ext4', 'xfs',
    'btrfs', 'isofs', 'vfat', 'nls_cp437', 'nls_ascii', 'nls_utf8',
    'nls_iso8859_1',
    # No module names them, and ext4 does not mount without one of them.
    'crc32c_generic', 'crc32c_intel')

_SITE = f'usr/local/lib/python{debian.PYTHON}/dist-packages'

_FILES = pathlib.Path(__file__).parent / 'files'


@dataclasses.dataclass(frozen=True)
class Ramdisk:
    """The two files that a machine boots to be deployed."""

    kernel: pathlib.Path
    initramfs: pathlib.Path


def build(checkout: pathlib.Path, work: pathlib.Path,
          programs: Iterable[pathlib.Path] = ()) -> Ramdisk:
    """Build the ramdisk with the agent side of the checkout in it.

    :param work: where the ramdisk and the layer are written
    :param programs: are started just before the agent, and run beside it
    """
    base = _base(checkout)
    layer = _build_layer(checkout, work / 'layer', programs)
    initramfs = work / 'ramdisk'
    with initramfs.open('wb') as output:
        for part in (base / 'ramdisk', layer):
            with part.open('rb') as archive:
                shutil.copyfileobj(archive, output, 1 << 20)
            # An archive begins at a multiple of 4 bytes.
            output.write(bytes(-output.tell() % 4))
    return Ramdisk(base / 'vmlinuz', initramfs)


def build_and_add(checkout: pathlib.Path, work: pathlib.Path) -> Ramdisk:
    """The ramdisk without the agent side, which our command adds.

    :param work: where the ramdisk is written
    """
    base = _base(checkout)
    initramfs = work / 'ramdisk'
    shutil.copy(base / 'ramdisk', initramfs)
    print(commands.run(
        pathlib.Path(sys.executable).with_name('ironic-imagedeploy'),
        'ramdisk', 'add', initramfs), flush=True)
    return Ramdisk(base / 'vmlinuz', initramfs)


def _base(checkout: pathlib.Path) -> pathlib.Path:
    requirements = _requirements(checkout)
    return cache.get(
        'ramdisk', [pathlib.Path(__file__), pathlib.Path(debian.__file__),
                    *sorted(_FILES.glob('ramdisk-*')), *requirements,
                    sys.version],
        lambda directory: _build_base(directory, requirements))


def _requirements(checkout: pathlib.Path) -> list[str]:
    """What pip puts into the base: the agent and what our package needs."""
    version = importlib.metadata.version('ironic-python-agent')
    lines = [f'ironic-python-agent=={version}']
    for line in (checkout / 'requirements.txt').read_text().splitlines():
        lines.append(line.split('#')[0].strip())
    setup = configparser.ConfigParser()
    setup.read(checkout / 'setup.cfg')
    for line in setup['extras']['fast'].splitlines():
        # pbr writes the marker behind a colon.
        lines.append(line.replace(':', ';', 1))
    return [line for line in lines if line]


def _build_base(directory: pathlib.Path, requirements: list[str]) -> None:
    tree = directory / 'tree'
    debian.bootstrap(tree, _PACKAGES)
    version = debian.kernel(directory / 'kernel', directory / 'package')
    unpacked = directory / 'kernel'
    shutil.copy(unpacked / f'boot/vmlinuz-{version}', directory / 'vmlinuz')
    _copy_modules(unpacked / 'lib/modules' / version,
                  tree / 'usr/lib/modules' / version)
    commands.run('depmod', '-b', tree, version)
    _pip_install(tree / _SITE, requirements)
    for name, path in (('ramdisk-init', 'init'),
                       ('ramdisk-udhcpc', 'etc/udhcpc'),
                       ('ramdisk-poweroff', 'usr/local/sbin/poweroff'),
                       ('ramdisk-poweroff', 'usr/local/sbin/reboot')):
        shutil.copy(_FILES / name, tree / path)
        (tree / path).chmod(0o755)
    _archive(tree, directory / 'ramdisk.cpio')
    commands.run('zstd', '-q', '-T0', '-9', '--rm',
                 directory / 'ramdisk.cpio', '-o', directory / 'ramdisk')
    for used in (tree, unpacked, directory / 'package'):
        shutil.rmtree(used)


def _build_layer(checkout: pathlib.Path, work: pathlib.Path,
                 programs: Iterable[pathlib.Path]) -> pathlib.Path:
    # setuptools builds in the source tree, and takes along what an earlier
    # build left there: never build in the checkout itself.
    source = work / 'source'
    shutil.copytree(checkout, source, ignore=shutil.ignore_patterns(
        '.*', '*.egg-info', 'build', 'dist', 'tests', '__pycache__'))
    environment = {
        'PBR_VERSION': importlib.metadata.version('ironic-imagedeploy')}
    tree = work / 'tree'
    _pip_install(tree / _SITE, ['--no-deps', '--no-build-isolation', source],
                 environment)
    place = tree / 'etc/ramdisk.d'
    place.mkdir(parents=True)
    for program in programs:
        shutil.copy(program, place)
        (place / program.name).chmod(0o755)
    archive = work / 'layer.cpio'
    _archive(tree, archive)
    return archive


def _pip_install(target: pathlib.Path,
                 what: Iterable[str | os.PathLike[str]],
                 environment: dict[str, str] | None = None) -> None:
    command: list[str | os.PathLike[str]] = [
        sys.executable, '-m', 'pip', 'install', '-q', '--target', target]
    if sys.version_info[:2] != tuple(map(int, debian.PYTHON.split('.'))):
        command += ['--python-version', debian.PYTHON,
                    '--only-binary', ':all:']
    commands.run(*command, *what, env=environment, timeout=900)


def _copy_modules(source: pathlib.Path, target: pathlib.Path) -> None:
    """Copy the wanted modules and those that they depend on."""
    commands.run('depmod', '-b', source.parents[2], source.name)
    depends = {}
    for line in (source / 'modules.dep').read_text().splitlines():
        path, _, others = line.partition(':')
        depends[path] = others.split()
    names = {pathlib.Path(path).stem.replace('-', '_'): path
             for path in depends}
    for wanted in _MODULES:
        if wanted not in names:
            continue   # built into the kernel
        for path in (names[wanted], *depends[names[wanted]]):
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source / path, target / path)
    for name in ('modules.builtin', 'modules.builtin.modinfo',
                 'modules.order'):
        shutil.copy(source / name, target / name)


def _archive(tree: pathlib.Path, output: pathlib.Path) -> None:
    names = '\n'.join(sorted(
        str(path.relative_to(tree)) for path in tree.rglob('*')))
    commands.run('cpio', '--quiet', '-o', '-H', 'newc', '-R', '0:0',
                 '-O', output, cwd=tree, stdin=names + '\n')
