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

"""Kernels that an installed system can boot, and grub2's menu of them."""

from collections.abc import Iterator
import dataclasses
import re

from oslo_log import log

from ironic_python_agent import errors

from ironic_imagedeploy.agent.boot import image_tree
from ironic_imagedeploy.agent.boot import kernel_options
from ironic_imagedeploy.engine.contents import boot_entries
from ironic_imagedeploy.engine.contents import boot_files
from ironic_imagedeploy.engine.contents import kernels

LOG = log.getLogger(__name__)

_BOOT = 'boot'
#: Of Debian; of Fedora, Arch and Gentoo; of SUSE; of Alpine and genkernel.
_INITRAMFS = ('initrd.img{}', 'initramfs{}.img', 'initrd{}', 'initramfs{}',
              'initrd{}.img', 'initrd{}.gz')
_UUID = re.compile(r'[0-9A-Za-z]{1,16}(?:-[0-9A-Za-z]{1,16})*')
_MOST_ENTRIES = 32
#: Files that describe entries.
_MOST_FILES = 256
_TIMEOUT = 5
#: Parts of a version, a later one sorts after: 6.1~rc1, 6.1, 6.1a, 6.1.2.
#: A kernel that "make install" replaced is called 6.1.old.
_PRE_RELEASE, _END, _LETTERS, _NUMBER = range(4)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Entry:
    """A kernel and what it is started with.

    :ivar version: what the kernel is sorted by.
    :ivar kernel: its path in the root file system.
    :ivar initramfs: paths, in the order in which they are loaded.
    :ivar options: of the kernel, without the root.
    """

    version: str
    kernel: str
    initramfs: tuple[str, ...]
    options: tuple[str, ...]

    def sort_key(self) -> tuple[bool, bool, list[tuple[int, int, str]]]:
        """Greater is newer, and boots.

        A rescue system is never the newest, and where other kernels have an
        initramfs, one without is half installed, or no kernel at all.
        """
        return ('rescue' not in self.version, bool(self.initramfs),
                _version_key(self.version))


def find_entries(root: image_tree.ImageTree) -> list[Entry]:
    """Kernels of the system, the newest first; none when it has none.

    :raises UnsafePath: when something that is needed is not a plain file.
    """
    options = kernel_options.of_image(root)
    kernels = list(_kernels(root, options))
    entries = list(_described(root, options))
    known = {entry.kernel for entry in entries}
    entries += [entry for entry in kernels if entry.kernel not in known]
    return sorted(entries, key=Entry.sort_key,
                  reverse=True)[:_MOST_ENTRIES]


def check_processor(root: image_tree.ImageTree, entries: list[Entry], arch: str
                    ) -> None:
    """See that the processor runs the kernel that comes first.

    :param arch: of the processor.
    :raises DeploymentError: when it is for another one.
    """
    for entry in entries[:1]:
        found = kernels.kernel(
            root.front(entry.kernel[1:], kernels.HEADER) or b'')
        if found and found.arch not in (None, arch):
            raise errors.DeploymentError(
                f'The kernel {entry.kernel} of the image is for another '
                f'processor: expected {arch}, found {found.arch}. Deploy an '
                'image for the processor of the node.')


def printable(version: str) -> str:
    """Name of a kernel in the menu, whatever its header says."""
    return (version if boot_entries.NAME.fullmatch(version)
            else 'of unknown version')


def write(entries: list[Entry], *, uuid: str, partition_uuid: str,
          by_partition: bool = False, prefix: str = '',
          options: tuple[str, ...] = ()) -> str:
    """Text of grub.cfg.

    :param uuid: of the root file system.
    :param partition_uuid: of the partition that it is in; a kernel alone
        finds it by this one only.
    :param by_partition: let an initramfs find it by that one, too, as the
        other is not unique.
    :param prefix: of all paths, as grub2 sees the file system.
    :param options: of all kernels; those of an entry come later, and win.
    """
    for identifier in (uuid, partition_uuid):
        if not _UUID.fullmatch(identifier):
            raise errors.DeploymentError(
                'The root file system or its partition has no usable UUID: '
                f'expected letters, digits and hyphens, found '
                f'{ascii(identifier)}')
    lines = ['# Written by ironic-imagedeploy; update-grub replaces it.',
             'set default=0', f'set timeout={_TIMEOUT}',
             f'search --no-floppy --fs-uuid --hint=$root --set=root {uuid}',
             '']
    for entry in entries:
        root = [] if by_partition else [f'root=UUID={uuid}']
        if by_partition or not entry.initramfs:
            # The last one wins, and is all that a kernel alone understands.
            root.append(f'root=PARTUUID={partition_uuid}')
        lines += [f'menuentry {_quoted("Linux " + entry.version)} {{',
                  '  ' + ' '.join(
                      ['linux', _quoted(prefix + entry.kernel), *root, 'ro',
                       *map(_quoted, options + entry.options)])]
        if entry.initramfs:
            lines.append('  ' + ' '.join(['initrd', *(
                _quoted(prefix + path) for path in entry.initramfs)]))
        lines += ['}', '']
    return '\n'.join(lines)


def _quoted(word: str) -> str:
    """Literal word of grub2's script language."""
    if "'" in word or not word.isprintable():
        raise errors.DeploymentError(
            f'{ascii(word)} cannot be written into a boot menu')
    return f"'{word}'"


def _kernels(root: image_tree.ImageTree, options: tuple[str, ...]
             ) -> Iterator[Entry]:
    """Kernels in /boot, by their names."""
    names = [name for name in root.names(_BOOT)
             if boot_files.KERNEL.fullmatch(name)]
    versions = {name: match[1] for name in names
                if (match := boot_files.KERNEL.fullmatch(name))}
    # A name without a version is a link to the kernel of some version.
    if any(versions.values()):
        names = [name for name in names if versions[name]]
    for name in names:
        if path := _kernel_path(root, name):
            suffix = f'-{versions[name]}' if versions[name] else ''
            yield Entry(version=versions[name] or name, kernel=path,
                        options=options,
                        initramfs=tuple(_initramfs(root, suffix)))


def _kernel_path(root: image_tree.ImageTree, name: str) -> str | None:
    if not boot_entries.NAME.fullmatch(name):
        LOG.warning('The kernel /boot/%s of the image is not in the boot '
                    'menu: its name has unsafe characters', ascii(name))
        return None
    return _file(root, f'/{_BOOT}/{name}')


def _initramfs(root: image_tree.ImageTree, suffix: str) -> Iterator[str]:
    for pattern in _INITRAMFS:
        if path := _file(root, f'/{_BOOT}/{pattern.format(suffix)}'):
            yield path
            return


def grub_path(root: image_tree.ImageTree, path: str) -> str | None:
    """Path by which grub2 finds what is in the tree; None without it.

    grub2 would look for the end of an absolute symbolic link at the top of
    the file system, which is not that of the system in a subvolume.

    :raises UnsafePath: when it has a name that no boot menu can have.
    """
    real = root.real_path(path[1:])
    if real is None:
        return None
    if root.is_beneath(path[1:]):
        return path
    if not boot_entries.PATH.fullmatch(f'/{real}'):
        raise image_tree.UnsafePath(
            f'{path} of the image cannot be named in a boot menu: expected '
            f'letters, digits and ._+~@%:,=- in /{ascii(real)[1:-1]}')
    return f'/{real}'


def _file(root: image_tree.ImageTree, path: str) -> str | None:
    """Path by which a menu names a file; None when there is none to name."""
    try:
        return grub_path(root, path) if root.size(path[1:]) else None
    except image_tree.UnsafePath as reason:
        LOG.warning('A file is not in the boot menu: %s', reason.details)
        return None


def _described(root: image_tree.ImageTree, options: tuple[str, ...]
               ) -> Iterator[Entry]:
    """Entries of the Boot Loader Specification, type 1."""
    for name in root.optional_names(boot_entries.FOLDER, _MOST_FILES):
        if not name.endswith('.conf'):
            continue
        path = f'{boot_entries.FOLDER}/{name}'
        keys = boot_entries.keys(
            root.optional(path, boot_entries.MOST_TEXT) or b'')
        kernel = _path(root, boot_entries.kernel(keys))
        initramfs = [_path(root, word)
                     for word in boot_entries.initramfs(keys)]
        if not kernel or None in initramfs:
            LOG.warning('/%s of the image is not in the boot menu: it names '
                        'no kernel, or files that the image does not have',
                        path)
            continue
        text = ' '.join(keys.get('options', []))
        own = kernel_options.safe(' '.join(boot_entries.words([text])),
                                  f'/{path}')
        if not own or '$kernelopts' in text.split():
            own = options + own
        version = ' '.join(keys.get('version', [])) or kernel
        if not boot_entries.NAME.fullmatch(version):
            version = kernel
        yield Entry(version=version, kernel=kernel, options=own,
                    initramfs=tuple(filter(None, initramfs)))


def _path(root: image_tree.ImageTree, named: str) -> str | None:
    """The file in the root file system that an entry names."""
    return next(filter(None, (_file(root, path)
                              for path in boot_entries.paths(named))), None)


def _version_key(version: str) -> list[tuple[int, int, str]]:
    key = []
    for part in re.findall(r'\d+|[A-Za-z]+|~', version):
        if part.isdigit():
            key.append((_NUMBER, int(part), ''))
        elif part in ('rc', '~', 'old'):
            key.append((_PRE_RELEASE, 0, part))
        else:
            key.append((_LETTERS, 0, part))
    return [*key, (_END, 0, '')]
