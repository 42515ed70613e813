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


"""Images that the user guide builds, by its own command.

A whole disk takes device mapper and vfat, so it is built in a small virtual
machine with all modules of a kernel.
"""

import importlib.metadata
import os
import pathlib
import re
import shutil
import sys

from ironic_imagedeploy.cmd.build import recipes
from tests.support import cache
from tests.support import commands
from tests.support import debian
from tests.support import machine
from tests.support import progress

#: Of the page.
_RELEASE = 'trixie'
#: What elements install. An emulated processor would take an hour for it, so
#: it is in the root that diskimage-builder finds in its cache.
_PACKAGES = ('linux-image-amd64', 'netbase', 'openssh-server', 'cloud-init',
             'curl', 'sudo', 'python3', 'busybox', 'efibootmgr', 'grub-efi',
             'grub-pc-bin', 'shim-signed')
_ROOT = f'debootstrap-debian-{_RELEASE}-amd64.tar.gz'
#: Variables of diskimage-builder with their addresses, and the ending of the
#: release there.
_ARCHIVES = (('DIB_DISTRIBUTION_MIRROR', ''),
             ('DIB_DISTRIBUTION_MIRROR', '-updates'),
             ('DIB_DEBIAN_SECURITY_MIRROR', '-security'))
_CHECKOUT = pathlib.Path(__file__).parents[2]
_PAGE = _CHECKOUT / 'doc/source/user/making-images.rst'
#: Of this environment.
PROGRAMS = pathlib.Path(sys.executable).parent
_GIB = 1 << 30
#: Seconds of an emulated machine, on a computer that does other things too.
_LONGEST = 7200
_INSTALL = '''set -e
export DEBIAN_FRONTEND=noninteractive
unset TMPDIR
mount -t proc proc /proc
echo "$SOURCES" >/etc/apt/sources.list
apt-get -q update
apt-get -qy upgrade
apt-get -qy --no-install-recommends install $PACKAGES
apt-get clean
rm -rf /etc/apt/sources.list /etc/apt/sources.list.d
'''
_ORDERS = f'''set -eu
export PATH={{path}} PYTHONPATH={{checkout}} PYTHONDONTWRITEBYTECODE=1
export HOME=/root LANG=C.UTF-8
ln -sf /proc/self/fd /dev/fd
mkdir -p /dev/pts
mount -t devpts devpts /dev/pts
{{network}}for module in nvme loop dm-mod ext4 vfat nls_cp437 nls_ascii
do modprobe $module; done
/usr/lib/systemd/systemd-udevd --daemon
until [ -b {machine.DRIVE} ]; do sleep 1; done
mkfs.ext4 -q -O ^has_journal {machine.DRIVE}
mkdir -p /mnt
mount {machine.DRIVE} /mnt
mkdir /mnt/tmp /mnt/cache
ln -s {{root}} /mnt/cache/{_ROOT}
cd /mnt
export TMPDIR=/mnt/tmp DIB_IMAGE_CACHE=/mnt/cache DIB_NO_TMPFS=1
export DIB_DEBIAN_USE_DEBOOTSTRAP_CACHE=1 {{variables}}
status=0
{{command}} || status=$?
cp -r {{name}}.* {{shared}}
exit $status
'''


def command(verb: str, name: str) -> str:
    """The command of the page that builds or uploads an image.

    Where the page has it with ``--print`` alone, it is the one without.

    :param verb: build or upload.
    :param name: a word of the command.
    """
    page = _PAGE.read_text().replace('\\\n', '')
    lines = re.findall(rf'^   [$#] (ironic-imagedeploy {verb} .*)$', page,
                       re.MULTILINE)
    for line in sorted(lines, key=lambda line: '--print' in line):
        words = line.split()
        if name in words:
            return ' '.join(word for word in words if word != '--print')
    raise commands.CommandFailed(f'{_PAGE} has no {verb} of {name}')


def get(name: str) -> pathlib.Path:
    """The path of a qcow2 image that a command of the page built.

    :param name: of the image, without its ending.
    """
    words = command('build', name)
    build = _here if '--type partition' in words else _in_machine
    directory = cache.get(
        f'guide-{name}', [
            words, _printed(words), _ORDERS, _INSTALL,
            importlib.metadata.version('diskimage-builder')],
        lambda directory: build(directory, words, name))
    return directory / f'{name}.qcow2'


def _printed(words: str) -> str:
    """What a command of the page hands to diskimage-builder."""
    program, *options = words.split()
    return commands.run(PROGRAMS / program, *options, '--print')


def _variables() -> dict[str, str]:
    """The archives that this computer uses, for diskimage-builder."""
    found = {'DIB_DISTRIBUTION_MIRROR': debian.mirror()}
    for codename, address in debian.sources().items():
        if codename.endswith('-security'):
            # The element names the folders of a release itself.
            found['DIB_DEBIAN_SECURITY_MIRROR'] = address
    return found


def _here(directory: pathlib.Path, words: str, name: str) -> None:
    program, *options = words.split()
    work = directory / 'work'
    work.mkdir()
    print(commands.run(
        PROGRAMS / program, *options, cwd=work, timeout=_LONGEST,
        env={**_variables(), 'TMPDIR': str(work),
             'XDG_CACHE_HOME': str(work / 'cache')}), flush=True)
    _keep(work, directory, name)


def _root() -> pathlib.Path:
    """A folder with the root that diskimage-builder begins with."""
    packages = [*_PACKAGES, *recipes.SYSTEMS['debian'].cloud_init]
    archives = _variables()
    # What is not up to date in here is replaced in the machine, slowly.
    sources = [f'deb {archives[name]} {_RELEASE}{ending} main'
               for name, ending in _ARCHIVES if name in archives]

    def build(directory: pathlib.Path) -> None:
        tree = directory / 'tree'
        commands.run('debootstrap', '--variant=minbase', _RELEASE, tree,
                     debian.mirror(), timeout=_LONGEST)
        policy = tree / 'usr/sbin/policy-rc.d'
        policy.write_text('#!/bin/sh\nexit 101\n')
        policy.chmod(0o755)
        commands.run(
            'unshare', '--mount', 'chroot', tree, 'sh', '-c', _INSTALL,
            timeout=_LONGEST, env={'PACKAGES': ' '.join(packages),
                                   'SOURCES': '\n'.join(sources)})
        policy.unlink()
        commands.run('tar', '--numeric-owner', '-C', tree, '-czf',
                     directory / _ROOT, '.', timeout=_LONGEST)
        shutil.rmtree(tree)

    return cache.get('guide-root', [pathlib.Path(debian.__file__), _RELEASE,
                                    _INSTALL, *packages], build)


def _in_machine(directory: pathlib.Path, words: str, name: str) -> None:
    lacking = machine.lacking()
    if lacking:
        raise commands.CommandFailed(f'no {lacking}')
    work, shared = directory / 'work', directory / 'shared'
    for folder in (work, shared):
        folder.mkdir()
    status, said = machine.run(_ORDERS.format(
        path=os.environ['PATH'], checkout=_CHECKOUT, shared=shared, name=name,
        root=_root() / _ROOT,
        network=machine.NETWORK, command=words, variables=' '.join(
            f'{key}={value}' for key, value in _variables().items())),
        work, timeout=_LONGEST, memory=4 * _GIB, drive_size=16 * _GIB,
        shared=shared)
    if status:
        log = shared / f'{name}.log'
        raise commands.CommandFailed(
            f'status {status}: {said[-4000:]}'
            + (log.read_text(errors='replace')[-8000:] if log.exists()
               else ''))
    progress.say(said)
    _keep(shared, directory, name)
    shutil.rmtree(work)


def _keep(source: pathlib.Path, target: pathlib.Path, name: str) -> None:
    """Keep the image, and what is beside it, of all that was made."""
    for ending in ('qcow2', 'vmlinuz', 'initrd'):
        made = source / f'{name}.{ending}'
        if made.exists():
            made.rename(target / made.name)
    shutil.rmtree(source)
