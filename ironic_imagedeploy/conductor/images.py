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

"""Images on their way to nodes."""

from collections.abc import Mapping
import dataclasses
import os
import typing
import urllib.parse

import requests

from ironic.common.glance_service import service_utils
from ironic.common import image_service
from ironic.common import images as stock_images
from ironic.conf import CONF
from ironic.drivers.modules import deploy_utils
from ironic import objects

from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import hardware

#: Roles of files: one is written, the others boot what was written.
DISK = 'disk'
BOOT_FILES = ('kernel', 'ramdisk')
#: Roles of the manifests of what is written, and of the disk in that.
MANIFEST = 'manifest'
DISK_MANIFEST = 'disk-manifest'


@dataclasses.dataclass(frozen=True, kw_only=True)
class DeclaredImage:
    """Metadata of an image, from Glance or from the user of the node.

    :ivar disk_format: the declared one.
    :ivar checksum: of the file as stored.
    :ivar size: bytes of the file, by Glance.
    :ivar public: everybody may read it, by Glance.
    :ivar container_format: by Glance.
    :ivar min_disk: GiB that the disk must have, by Glance.
    :ivar architectures: property to the processor that it names.
    :ivar firmware_type: property hw_firmware_type.
    :ivar boot_files: role to what the properties name as that file.
    :ivar start_findings: properties about how the system in it starts.
    :ivar instance_info: keys that the interface direct keeps in
        instance_info for an image of Glance.
    """

    disk_format: str | None = None
    checksum: engine.Checksum | None = None
    size: int | None = None
    public: bool = False
    container_format: str | None = None
    min_disk: int = 0
    architectures: Mapping[str, str] = dataclasses.field(default_factory=dict)
    firmware_type: str | None = None
    boot_files: Mapping[str, str] = dataclasses.field(default_factory=dict)
    start_findings: Mapping[str, str] = dataclasses.field(
        default_factory=dict)
    instance_info: Mapping[str, typing.Any] = dataclasses.field(
        default_factory=dict)

    def wrong_size(self, size: int) -> engine.Finding | None:
        """Finding for a file of another size than Glance states.

        :param size: bytes in the store.
        """
        if self.size in (None, size):
            return None
        return engine.Finding(
            code='truncated', case='store', data={'size': size},
            expected=f'{self.size} bytes', found=f'{size} bytes')


@dataclasses.dataclass(frozen=True, kw_only=True)
class RegistryBlob:
    """A file in an OCI registry.

    :ivar url: of its bytes.
    :ivar session: asks the registry as Ironic does, without a login.
    :ivar authorization: header with a login or token for the registry.
    """

    url: str
    session: requests.Session = dataclasses.field(repr=False)
    authorization: str | None = dataclasses.field(default=None, repr=False)


@dataclasses.dataclass(frozen=True, kw_only=True)
class InstanceImage:
    """File on its way to a node: its image, or a kernel or initramfs.

    :ivar node: to which it goes.
    :ivar href: of the file, as the user or Glance names it.
    :ivar glance: the service, connected, when the file is there.
    :ivar declared: its metadata.
    :ivar registry: where the file is, when it is in an OCI registry.
    :ivar partition: it is declared to be a partition image.
    :ivar has_kernel: a kernel or initramfs comes separately.
    :ivar devices: of the node, which the system needs drivers for.
    :ivar role: ``disk``, or the ``kernel`` or ``ramdisk`` for one.
    :ivar of: the image whose properties in Glance name this boot file.
    """

    node: objects.Node
    href: str
    glance: image_service.GlanceImageService | None
    declared: DeclaredImage
    registry: RegistryBlob | None = None
    partition: bool = False
    has_kernel: bool = False
    devices: tuple[hardware.Device, ...] = ()
    role: str = DISK
    of: 'InstanceImage | None' = None

    @property
    def scheme(self) -> str:
        """``glance``, ``http``, ``https``, ``file``, ``oci`` or another."""
        if self.glance:
            return 'glance'
        return urllib.parse.urlsplit(self.href).scheme.lower()

    @property
    def glance_id(self) -> str:
        """UUID of an image in Glance."""
        return service_utils.parse_image_id(self.href)

    @property
    def address(self) -> str:
        """Name that tells the file from others: a tag may move to another."""
        return self.registry.url if self.registry else self.href

    @property
    def name(self) -> str:
        """Name for operators, without secrets."""
        if self.glance:
            return named(f'glance:{self.glance_id}', self.role)
        return named(self.path or engine.redact(self.href), self.role)

    @property
    def path(self) -> str | None:
        """Path of a file of the conductor's own."""
        if self.scheme != 'file':
            return None
        return urllib.parse.urlsplit(self.href).path

    @property
    def disk_format(self) -> str | None:
        """Declared format, under the engine's name."""
        # Ironic calls a raw disk with a GPT gpt once it looked inside.
        if self.declared.disk_format in stock_images.RAW_IMAGE_FORMATS:
            return 'raw'
        return self.declared.disk_format

    @property
    def checksum(self) -> engine.Checksum | None:
        """Declared checksum of the file as stored."""
        return self.declared.checksum

    @property
    def served_by_conductor(self) -> bool:
        """Whether image_download_source has the node get it from here.

        What a registry asks a token for is always served here: the token
        would be over before the node asks, and stays here.
        """
        download_source = deploy_utils.get_image_download_source(self.node)
        if self.glance:
            return download_source != 'swift'
        return (self.scheme == 'file' or download_source == 'local'
                or bool(self.registry and self.registry.authorization))

    @property
    def instance_file(self) -> str:
        """Path at which Ironic keeps the file for the node."""
        return os.path.join(CONF.pxe.images_path, self.node.uuid, self.role)

    @property
    def manifest_file(self) -> str:
        """Path at which the manifest of that file is kept for the node."""
        return os.path.join(os.path.dirname(self.instance_file), MANIFEST)

    @property
    def disk_manifest_file(self) -> str:
        """Path at which the manifest of its disk is kept for the node."""
        return os.path.join(os.path.dirname(self.instance_file),
                            DISK_MANIFEST)


def named(name: str, role: str) -> str:
    """Name of a file, after its role unless that is to be written."""
    return name if role == DISK else f'{role} {name}'
