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

"""A separate kernel: it comes with an image, but not inside of it."""

from collections.abc import Iterator
import contextlib
import dataclasses
import typing

from oslo_log import log

from ironic_python_agent import errors

from ironic_imagedeploy.agent.boot import image_tree
from ironic_imagedeploy.agent.boot import kernel_options
from ironic_imagedeploy.agent.boot import menu
from ironic_imagedeploy.agent import image_source
from ironic_imagedeploy.agent import order as orders
from ironic_imagedeploy.agent import progress
from ironic_imagedeploy.contract import order as contract
from ironic_imagedeploy import engine
from ironic_imagedeploy.engine.contents import kernel_options as menu_options

LOG = log.getLogger(__name__)

#: Not in /boot itself, where distributions remove kernels, make an initramfs
#: for each and put all into their menu.
_FOLDER = 'boot/ironic-imagedeploy'
_ROLES = {'kernel': 'kernel', 'ramdisk': 'initramfs'}
_CHUNK = 1 << 20
#: Bytes for directories, and for what a file system needs to note files.
_SLACK = 1 << 20


@dataclasses.dataclass(frozen=True, kw_only=True)
class BootFile:
    """A kernel or an initramfs.

    :ivar role: ``kernel`` or ``ramdisk``.
    :ivar url: that it is at.
    :ivar expectation: its properties; a checksum among them.
    """

    role: str
    url: str
    expectation: engine.Expectation

    @property
    def path(self) -> str:
        """Path of it in the root file system."""
        return f'{_FOLDER}/{_ROLES[self.role]}'

    @contextlib.contextmanager
    def opened(self, download: orders.Download
               ) -> Iterator[engine.Inspection]:
        """Open it, and see that it is what it must be.

        :raises ImageRefused: when it is not.
        :raises SourceError: when it cannot be read.
        """
        with image_source.open_separate(download, self.url) as source:
            source.name = f'{self.role} {source.name}'
            inspection = engine.inspect(source, self.expectation)
            inspection.raise_if_refused()
            yield inspection


@dataclasses.dataclass(frozen=True, kw_only=True)
class BootFiles:
    """The files that an image without a kernel is booted with.

    :ivar options: of the kernel, those of the node.
    """

    kernel: BootFile
    ramdisk: BootFile
    options: tuple[str, ...]

    @classmethod
    def read(cls, order: orders.WriteOrder) -> 'BootFiles':
        """The files that the conductor ordered.

        :raises DeploymentError: when a boot menu cannot have the options.
        """
        sent = order.separate_kernel
        assert sent is not None
        if unsafe := menu_options.unsafe(sent.options):
            raise errors.DeploymentError(
                'The kernel parameters of the node cannot be written into a '
                f'boot menu: {ascii(unsafe)}')

        def boot_file(role: str, file: contract.RemoteFile) -> BootFile:
            return BootFile(role=role, url=file.url,
                            expectation=engine.Expectation(
                                image_type=role, arch=order.arch,
                                permit_weak=(order.policy
                                             .insecure_checksums_permitted),
                                checksum=file.checksum))
        return cls(kernel=boot_file('kernel', sent.kernel),
                   ramdisk=boot_file('ramdisk', sent.ramdisk),
                   options=kernel_options.safe(
                       sent.options, 'kernel_append_params'))

    def check(self, download: orders.Download) -> None:
        """Look at both, before a disk is erased for them.

        :raises ImageRefused, SourceError: as :meth:`BootFile.opened`.
        """
        for file in (self.kernel, self.ramdisk):
            with file.opened(download):
                LOG.info('A separate %s comes with the image', file.role)

    def install(self, root: image_tree.ImageTree, download: orders.Download,
                publisher: progress.Publisher) -> menu.Entry:
        """Copy both into a root file system that has no kernel.

        :param root: writable.
        :returns: the entry that the boot menu needs.
        :raises ImageRefused, SourceError: as :meth:`BootFile.opened`.
        :raises ChecksumMismatch: when they are not what was ordered.
        :raises UnsafePath: when they do not fit into the tree.
        """
        root.make_directory(_FOLDER)
        version = None
        for file in (self.kernel, self.ramdisk):
            with file.opened(download) as inspection:
                version = version or inspection.kernel_version
                _check_room(root, file, inspection.stored_size)
                root.copy(file.path, _proven(inspection, publisher))
        return menu.Entry(
            version=menu.printable(version or ''),
            kernel=_named(root, self.kernel),
            initramfs=(_named(root, self.ramdisk),),
            options=kernel_options.of_image(root) + self.options)


def no_kernel(root: image_tree.ImageTree) -> typing.NoReturn:
    """No separate kernel comes with the image.

    :raises DeploymentError: always, since the image has none.
    """
    raise errors.DeploymentError(
        'The partition image has no kernel: expected /boot/vmlinuz-* or '
        '/boot/loader/entries/*.conf, found neither. Install a kernel in the '
        'image, or give a separate one.')


def _named(root: image_tree.ImageTree, file: BootFile) -> str:
    """Path by which the menu names a file that is there now."""
    return menu.grub_path(root, f'/{file.path}') or f'/{file.path}'


def _check_room(root: image_tree.ImageTree, file: BootFile, size: int) -> None:
    free = root.free
    if size + _SLACK > free:
        raise errors.DeploymentError(
            f'The separate {_ROLES[file.role]} does not fit into the '
            f'file system of the image: expected {size + _SLACK} bytes free, '
            f'found {free} bytes. Build the image with a larger file system.')


def _proven(inspection: engine.Inspection, publisher: progress.Publisher
            ) -> Iterator[bytes]:
    """Bytes of a file; the end does not come unless they are right.

    :raises SourceError: when there are fewer.
    :raises ChecksumMismatch: when they are others.
    """
    source, total = inspection.source, inspection.stored_size
    checksum = inspection.expectation.checksum
    assert checksum is not None
    buffer, done = memoryview(bytearray(_CHUNK)), 0
    with contextlib.closing(
            engine.VerifiedStream(source, checksum)) as stream:
        while count := stream.readinto(buffer):
            done += count
            publisher(engine.Progress('boot', done, total, 0.0, 'network'))
            yield bytes(buffer[:count])
