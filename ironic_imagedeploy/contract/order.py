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

"""The order of a conductor, as it travels in driver_internal_info."""

from collections.abc import Mapping
import dataclasses
import re
import typing

from ironic_imagedeploy.contract import neighbours as _neighbours
from ironic_imagedeploy.contract import policy as _policy
from ironic_imagedeploy.engine import checksum as _checksum
from ironic_imagedeploy.engine import exceptions

#: Version of the order. It grows when an agent that does not know what is
#: new would write a wrong disk; a key that may be ignored needs no version.
#: Orders without one are of version 1.
VERSION = 1
_BOOT_FILES = 'boot_files'
_MANIFEST = 'manifest'
_DISK_MANIFEST = 'disk_manifest'
_ROOT = re.compile('[0-9a-f]{64}', re.ASCII)
_NEIGHBOURS = 'neighbours'
_MEMBER = 'member'
_PUBLIC = 'public'
_START_JUDGED = 'start_judged'
_OWN_BOOT_LOADER = 'own_boot_loader'
#: Keys of what is secret, or of use, only for as long as it is valid.
SECRET_KEYS = (_BOOT_FILES, _MANIFEST, _DISK_MANIFEST, _NEIGHBOURS, _MEMBER)


class InvalidOrder(exceptions.ImageDeployError):
    """An order that this release cannot carry out."""

    summary = "the conductor's order cannot be carried out"


@dataclasses.dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """A file that the agent fetches.

    :ivar url: which may be secret for as long as it is valid.
    :ivar checksum: of its bytes.
    """

    url: str
    checksum: _checksum.Checksum

    @classmethod
    def from_dict(cls, sent: typing.Any) -> 'RemoteFile':
        """The file that :meth:`to_dict` gave.

        :raises ValueError: when it is not one.
        """
        if not isinstance(sent, Mapping) or not all(
                isinstance(sent.get(key), str) for key in ('url', 'checksum')):
            raise ValueError('a file without URL or checksum')
        return cls(url=sent['url'],
                   checksum=_checksum.Checksum.parse(sent['checksum']))

    def to_dict(self) -> dict[str, typing.Any]:
        """The file as JSON values."""
        return {'url': self.url, 'checksum': _text(self.checksum)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class SeparateKernel:
    """A kernel and an initramfs for a partition image without a kernel.

    :ivar options: kernel parameters of the node.
    """

    kernel: RemoteFile
    ramdisk: RemoteFile
    options: str = ''

    @classmethod
    def from_dict(cls, sent: typing.Any) -> 'SeparateKernel':
        """The files that :meth:`to_dict` gave.

        :raises InvalidOrder: when they are not.
        """
        try:
            options = sent.get('options') or ''
            if not isinstance(options, str):
                raise ValueError(f'options {ascii(options)[:80]}')
            return cls(kernel=RemoteFile.from_dict(sent.get('kernel')),
                       ramdisk=RemoteFile.from_dict(sent.get('ramdisk')),
                       options=options)
        except (AttributeError, ValueError) as error:
            raise InvalidOrder(
                'order for a separate kernel',
                expected='URL and checksum of a kernel and of a ramdisk',
                found=str(error),
                fix='Use the same release of ironic-imagedeploy in the '
                    'conductor and in the deploy ramdisk.') from None

    def to_dict(self) -> dict[str, typing.Any]:
        """The files as JSON values."""
        return {'options': self.options, 'kernel': self.kernel.to_dict(),
                'ramdisk': self.ramdisk.to_dict()}


@dataclasses.dataclass(frozen=True, kw_only=True)
class RemoteManifest:
    """The manifest of the image, which the agent fetches.

    :ivar url: of its encoding.
    :ivar root: SHA-256 of the encoding, in hexadecimal digits.
    :ivar size: bytes of the encoding; None when nobody stated it.
    """

    url: str
    root: str
    size: int | None

    @classmethod
    def from_dict(cls, sent: typing.Any) -> 'RemoteManifest':
        """The manifest that :meth:`to_dict` gave.

        :raises InvalidOrder: when it is not one.
        """
        values = dict(sent) if isinstance(sent, Mapping) else {}
        url, root, size = (values.get(name) for name in ('url', 'root',
                                                         'size'))
        if (not isinstance(url, str) or not isinstance(root, str)
                or not _ROOT.fullmatch(root)
                or type(size) is not int or size <= 0):
            raise InvalidOrder(
                'order for a manifest',
                expected='its URL, the SHA-256 of its bytes, and how many '
                'they are', found='something else',
                fix='Use the same release of ironic-imagedeploy in the '
                    'conductor and in the deploy ramdisk, or set '
                    '[imagedeploy]verify = file.')
        return cls(url=url, root=root, size=size)

    def to_dict(self) -> dict[str, typing.Any]:
        """The manifest as JSON values."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DeployOrder:
    """An accepted image, and how it is to be written.

    :ivar policy: what the operator allows and asks for.
    :ivar disk_format: the format that the image must have, when the
        conductor has seen it.
    :ivar checksum: what its stored bytes must hash to.
    :ivar checksum_is_ours: nobody stated one: the conductor computed it.
    :ivar separate_kernel: for an image that may have no kernel.
    :ivar manifest: of the image, when the conductor serves one.
    :ivar disk_manifest: of the disk in it, beside that.
    :ivar public: everybody may read the image.
    :ivar start_judged: the conductor has looked at how the system starts, but
        for the devices of the node, which the agent knows better.
    :ivar own_boot_loader: whoever sends the order asks the agent whether an
        image of a whole disk has its boot loader, before it lets
        ironic-python-agent install one. Without it, that one does.
    :ivar neighbours: other nodes that write this image; None to leave them
        alone.
    """

    policy: _policy.Policy
    disk_format: str | None = None
    checksum: _checksum.Checksum | None = None
    checksum_is_ours: bool = False
    separate_kernel: SeparateKernel | None = None
    manifest: RemoteManifest | None = None
    disk_manifest: RemoteManifest | None = None
    public: bool = False
    start_judged: bool = False
    own_boot_loader: bool = False
    neighbours: _neighbours.Neighbours | None = None

    @classmethod
    def from_dict(cls, sent: Mapping[str, typing.Any],
                  policy: _policy.Policy) -> 'DeployOrder':
        """The order that a conductor of this or another release sent.

        :param sent: empty when it sent none.
        :param policy: of the ramdisk, for what the conductor did not send.
        :raises InvalidOrder: when it cannot be carried out.
        """
        _check_version(sent.get('version', 1))
        boot_files = sent.get(_BOOT_FILES)
        return cls(
            policy=_policy_in(sent, policy),
            disk_format=_disk_format(sent), checksum=_checksum_in(sent),
            checksum_is_ours=bool(sent.get('checksum_is_ours')),
            separate_kernel=(SeparateKernel.from_dict(boot_files)
                             if boot_files else None),
            manifest=_manifest(sent.get(_MANIFEST)),
            disk_manifest=_manifest(sent.get(_DISK_MANIFEST)),
            start_judged=sent.get(_START_JUDGED) is True,
            own_boot_loader=sent.get(_OWN_BOOT_LOADER) is True,
            neighbours=_neighbours.Neighbours.from_dict(
                sent.get(_NEIGHBOURS)))

    def to_dict(self) -> dict[str, typing.Any]:
        """The order as JSON values."""
        order = {
            'version': VERSION, **self.policy.to_dict(),
            'disk_format': self.disk_format,
            'checksum': self.checksum and _text(self.checksum),
            'checksum_is_ours': self.checksum_is_ours}
        if self.separate_kernel:
            order[_BOOT_FILES] = self.separate_kernel.to_dict()
        if self.manifest:
            order[_MANIFEST] = self.manifest.to_dict()
        if self.disk_manifest:
            order[_DISK_MANIFEST] = self.disk_manifest.to_dict()
        if self.public:
            order[_PUBLIC] = True
        if self.start_judged:
            order[_START_JUDGED] = True
        if self.own_boot_loader:
            order[_OWN_BOOT_LOADER] = True
        if self.neighbours:
            order[_NEIGHBOURS] = self.neighbours.to_dict()
        return order


def has_separate_kernel(sent: Mapping[str, typing.Any]) -> bool:
    """Whether an order, as it was sent, names a separate kernel."""
    return bool(sent.get(_BOOT_FILES))


def relocated(sent: Mapping[str, typing.Any], *,
              separate_kernel: SeparateKernel | None = None,
              manifest: RemoteManifest | None = None,
              disk_manifest: RemoteManifest | None = None
              ) -> dict[str, typing.Any]:
    """The order as it was sent, with its files at other URLs.

    :param separate_kernel: None to leave that as it is.
    :param manifest: None when there is none any longer.
    :param disk_manifest: as that.
    """
    order = {name: value for name, value in sent.items()
             if name not in (_MANIFEST, _DISK_MANIFEST)}
    if separate_kernel:
        order[_BOOT_FILES] = separate_kernel.to_dict()
    if manifest:
        order[_MANIFEST] = manifest.to_dict()
    if disk_manifest:
        order[_DISK_MANIFEST] = disk_manifest.to_dict()
    return order


def root(sent: Mapping[str, typing.Any]) -> str | None:
    """Root of the manifest that an order names; None without one."""
    return (sent.get(_MANIFEST) or {}).get('root')


def is_public(sent: Mapping[str, typing.Any]) -> bool:
    """Whether everybody may read the image of an order."""
    return sent.get(_PUBLIC) is True


def beside(sent: Mapping[str, typing.Any],
           neighbours: _neighbours.Neighbours,
           member: Mapping[str, typing.Any]) -> dict[str, typing.Any]:
    """The order as it was sent, with these neighbours.

    :param member: the node itself, as conductors know it: no agent reads it.
    """
    return {**sent, _NEIGHBOURS: neighbours.to_dict(),
            _MEMBER: dict(member)}


def alone(sent: Mapping[str, typing.Any]) -> dict[str, typing.Any]:
    """The order as it was sent, without neighbours."""
    return {name: value for name, value in sent.items()
            if name not in (_NEIGHBOURS, _MEMBER)}


def membership(sent: Mapping[str, typing.Any]
               ) -> tuple[typing.Any, typing.Any]:
    """The member and the neighbours that :func:`beside` added."""
    return sent.get(_MEMBER), sent.get(_NEIGHBOURS)


def has_secrets(sent: Mapping[str, typing.Any]) -> bool:
    """Whether an order, as it was sent, has URLs or tokens in it."""
    return any(name in sent for name in SECRET_KEYS)


def fulfilled(sent: Mapping[str, typing.Any]) -> dict[str, typing.Any]:
    """The order as it was sent, without URLs and tokens that are secret."""
    return {name: value for name, value in sent.items()
            if name not in SECRET_KEYS}


def _manifest(sent: typing.Any) -> RemoteManifest | None:
    return RemoteManifest.from_dict(sent) if sent else None


def _check_version(version: typing.Any) -> None:
    if type(version) is int and 1 <= version <= VERSION:
        return
    raise InvalidOrder(
        'order', expected=f'version {VERSION} at most',
        found=f'version {ascii(version)[:32]}',
        fix='Update ironic-imagedeploy in the deploy ramdisk: the conductor '
            'has a later release. The disk was not touched.')


def _policy_in(sent: Mapping[str, typing.Any], policy: _policy.Policy
               ) -> _policy.Policy:
    try:
        return policy.updated(sent)
    except ValueError as error:
        raise _unusable('the options of a conductor', str(error)) from None


def _checksum_in(sent: Mapping[str, typing.Any]
                 ) -> _checksum.Checksum | None:
    stated = sent.get('checksum')
    try:
        return _checksum.Checksum.parse(stated) if stated else None
    except (AttributeError, ValueError) as error:
        raise _unusable('a usable checksum', str(error)) from None


def _disk_format(sent: Mapping[str, typing.Any]) -> str | None:
    stated = sent.get('disk_format')
    if stated is None or isinstance(stated, str):
        return stated
    raise _unusable('the name of a format', ascii(stated)[:80])


def _unusable(expected: str, found: str) -> InvalidOrder:
    return InvalidOrder('order', expected=expected, found=found,
                        fix='Deploy the node again.')


def _text(checksum: _checksum.Checksum) -> str:
    return f'{checksum.algorithm}:{checksum.value}'
