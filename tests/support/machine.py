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

"""A small virtual machine with all modules of a kernel, to run a program in.

It has the files of this computer, and what it writes is forgotten, but for
one folder where that is wanted.
"""

from collections.abc import Iterator
from collections.abc import Sequence
import pathlib
import shutil
import subprocess

from tests.support import cache
from tests.support import commands
from tests.support import debian

PROGRAM = 'qemu-system-x86_64'
#: What scripts find the drive as.
DRIVE = '/dev/nvme0n1'
_MIB = 1 << 20
#: What a script says to reach a network, by the addresses of QEMU's own.
NETWORK = '''modprobe virtio_net
card=$(ls -d /sys/class/net/e*)
ip link set lo up
ip link set "${card##*/}" up
ip address add 10.0.2.15/24 dev "${card##*/}"
ip route add default via 10.0.2.2
echo nameserver 10.0.2.3 >/etc/resolv.conf
'''
#: Without them it does not reach its files.
_MODULES = ('virtio_pci', '9pnet_virtio', '9p', 'overlay')
_ENDED = 'ENDED WITH'
_INIT = '''#!/bin/busybox sh
/bin/busybox mount -t devtmpfs devtmpfs /dev
exec >/dev/ttyS0 2>&1 </dev/null
bb=/bin/busybox
$bb mount -t proc proc /proc
# sudo complains of a name that no file knows, amid what it prints.
$bb hostname localhost
for module in $($bb cat /modules/list); do
    $bb insmod /modules/$module
done
options=trans=virtio,version=9p2000.L,msize=262144
$bb mount -t 9p -o $options,cache=loose,ro host /host
$bb mount -t tmpfs -o size=75% files /files
$bb mkdir /files/upper /files/work
$bb mount -t overlay -o \\
    lowerdir=/host,upperdir=/files/upper,workdir=/files/work new /new
$bb mount -t proc proc /new/proc
$bb mount -t sysfs sysfs /new/sys
$bb mount -t devtmpfs devtmpfs /new/dev
for place in /new/dev/shm /new/tmp /new/run; do
    $bb mkdir -p $place
    $bb mount -t tmpfs tmpfs $place
done
$bb mkdir -p /new/usr/lib/modules
$bb mount -o bind /new{modules} /new/usr/lib/modules
{mount}
$bb cp /orders /new/run/orders
$bb chroot /new /bin/bash /run/orders
echo "{ended} $?"
$bb poweroff -f
'''
_MOUNT = '$bb mkdir -p /new{0}; $bb mount -t 9p -o $options shared /new{0}'
_FOLDER = 'local,path={path},mount_tag={name},security_model=none'
#: A disk that fails as its file does; with a cache, one failed flush would
#: fail all that come.
_DISK = ('if=none,id=disk{0},format=raw,cache=none,discard=unmap,'
         'werror=report,rerror=report,file.locking=off,file={1}')


def lacking() -> str:
    """What this computer lacks; nothing, mostly."""
    return next((name for name in (PROGRAM, 'busybox', 'cpio')
                 if not shutil.which(name)), '')


def run(orders: str, directory: pathlib.Path, *, timeout: float = 1800,
        memory: int = 2560 * _MIB, drive_size: int = 64 * _MIB,
        shared: pathlib.Path | None = None,
        files: Sequence[pathlib.Path] = ()) -> tuple[int, str]:
    """Switch it on, and let it execute a script.

    :param orders: for bash, as root.
    :param directory: for its files.
    :param timeout: seconds.
    :param memory: bytes; of three quarters files can be made.
    :param drive_size: of an empty drive, bytes.
    :param shared: a folder whose changes stay.
    :param files: that are its disks ``/dev/vda``, ``/dev/vdb`` and so on.
    :returns: the status, and what was said.
    """
    kernel = cache.get('modules', [pathlib.Path(__file__),
                                   pathlib.Path(debian.__file__)], _build)
    initramfs = _initramfs(kernel, orders, directory, shared)
    folders = ['-virtfs', _FOLDER.format(name='host', path='/')
               + ',readonly=on,multidevs=remap']
    if shared:
        folders += ['-virtfs', _FOLDER.format(name='shared', path=shared)]
    attached = [option for number, path in enumerate(files) for option in (
        '-drive', _DISK.format(number, path),
        '-device', f'virtio-blk-pci,drive=disk{number}')]
    console, drive = directory / 'console', directory / 'nvme'
    with drive.open('wb') as file:
        file.truncate(drive_size)
    subprocess.run([
        PROGRAM, '-accel', 'tcg,thread=multi,tb-size=512', '-machine', 'q35',
        '-cpu', 'max', '-smp', '2', '-m', str(memory // _MIB), '-nodefaults',
        '-display', 'none', '-no-reboot', '-kernel', kernel / 'vmlinuz',
        '-initrd', initramfs, '-append', 'console=ttyS0 quiet panic=-1',
        '-serial', f'file:{console}', *folders, *attached,
        '-drive', f'if=none,id=nvme,format=raw,cache=unsafe,file={drive}',
        '-device', 'nvme,drive=nvme,serial=faulty',
        '-netdev', 'user,id=net',
        '-device', 'virtio-net-pci,netdev=net,romfile='],
        check=False, timeout=timeout, stdin=subprocess.DEVNULL)
    said, ended, status = console.read_text(errors='replace').replace(
        '\r', '').rpartition(_ENDED)
    return (int(status.split()[0]), said) if ended else (-1, said + status)


def _build(directory: pathlib.Path) -> None:
    unpacked = directory / 'unpacked'
    version = debian.kernel(unpacked, directory / 'package')
    (unpacked / f'boot/vmlinuz-{version}').rename(directory / 'vmlinuz')
    commands.run('depmod', '-b', unpacked, version)
    modules = directory / 'modules'
    modules.mkdir()
    (unpacked / 'lib/modules' / version).rename(modules / version)
    for used in (unpacked, directory / 'package'):
        shutil.rmtree(used)


def _initramfs(kernel: pathlib.Path, orders: str, directory: pathlib.Path,
               shared: pathlib.Path | None) -> pathlib.Path:
    tree = directory / 'initramfs'
    for name in ('bin', 'dev', 'proc', 'host', 'files', 'new', 'modules'):
        (tree / name).mkdir(parents=True)
    shutil.copy(shutil.which('busybox') or '', tree / 'bin/busybox')
    (tree / 'orders').write_text(orders)
    names = []
    for path in _wanted(kernel / 'modules'):
        shutil.copy(path, tree / 'modules' / path.name)
        names.append(path.name)
    (tree / 'modules/list').write_text('\n'.join(names))
    init = tree / 'init'
    init.write_text(_INIT.format(
        modules=kernel / 'modules', ended=_ENDED,
        mount=_MOUNT.format(shared) if shared else ''))
    init.chmod(0o755)
    archive = directory / 'initramfs.cpio'
    paths = '\n'.join(sorted(str(path.relative_to(tree))
                             for path in tree.rglob('*')))
    commands.run('cpio', '--quiet', '-o', '-H', 'newc', '-R', '0:0', '-O',
                 archive, cwd=tree, stdin=paths + '\n')
    return archive


def _wanted(modules: pathlib.Path) -> Iterator[pathlib.Path]:
    """Files of the modules, each after those that it depends on."""
    version, = modules.iterdir()
    depends = {}
    for line in (version / 'modules.dep').read_text().splitlines():
        path, _, others = line.partition(':')
        depends[path] = others.split()
    known = {pathlib.Path(path).name.partition('.')[0].replace('-', '_'): path
             for path in depends}
    given = set()
    for name in _MODULES:
        if name not in known:
            continue   # built into the kernel
        for path in (*depends[known[name]][::-1], known[name]):
            if path not in given:
                given.add(path)
                yield version / path
