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


"""Metadata in Glance that follows from what is in an image."""

from collections.abc import Mapping
import dataclasses
import re
import typing

from ironic_imagedeploy import engine
from ironic_imagedeploy.engine.contents import efi_programs

#: Formats of Glance for what comes beside an image of a root file system.
#: Glance lets a kernel of these formats begin like a boot sector.
BOOT_FILES: Mapping[str, str] = {'kernel': 'aki', 'ramdisk': 'ari'}
#: Property of an image that names the one with its manifest.
MANIFEST = 'imagedeploy_manifest'
#: Properties that a command computes, so that no other value is kept.
COMPUTED = ('hw_architecture', 'hw_firmware_type', 'img_type', 'os_distro',
            'os_version')
_GIB = 1 << 30
#: Names of a system as Glance writes them, where os-release has others.
_DISTROS = {'opensuse-leap': 'opensuse', 'opensuse-tumbleweed': 'opensuse'}
#: A name or a version that is one: os-release is hostile text.
_WORD = re.compile(r'[A-Za-z0-9][A-Za-z0-9._-]{0,63}')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Metadata:
    """Metadata of one image in Glance.

    :ivar min_disk: GiB that a disk must have.
    :ivar properties: what Glance has no column for.
    """

    name: str
    disk_format: str
    container_format: str = 'bare'
    min_disk: int = 0
    visibility: str | None = None
    properties: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def to_dict(self) -> dict[str, typing.Any]:
        """As the body of a request to Glance."""
        values: dict[str, typing.Any] = {
            'name': self.name, 'disk_format': self.disk_format,
            'container_format': self.container_format,
            'min_disk': self.min_disk, **self.properties}
        if self.visibility:
            values['visibility'] = self.visibility
        return values

    def extended(self, **properties: str) -> 'Metadata':
        """The same with more properties."""
        return dataclasses.replace(
            self, properties={**self.properties, **properties})


def of_disk(inspection: engine.Inspection, name: str, *,
            visibility: str | None = None,
            properties: Mapping[str, str] | None = None) -> Metadata:
    """Metadata of an accepted image of a disk or a root file system.

    :param properties: that somebody states; they win.
    """
    return Metadata(
        name=name, disk_format=str(inspection.format),
        min_disk=_min_disk(inspection), visibility=visibility,
        properties={**dict(_properties(inspection)), **(properties or {})})


def of_boot_file(role: str, name: str, *, visibility: str | None = None
                 ) -> Metadata:
    """Metadata of a kernel or an initramfs.

    :param role: ``kernel`` or ``ramdisk``.
    """
    return Metadata(name=name, disk_format=BOOT_FILES[role],
                    container_format=BOOT_FILES[role], visibility=visibility)


def of_manifest(name: str, *, visibility: str | None = None) -> Metadata:
    """Metadata of a manifest, which is an image of its own."""
    return Metadata(name=f'{name}.manifest', disk_format='raw',
                    visibility=visibility)


def _min_disk(inspection: engine.Inspection) -> int:
    """GiB of the smallest disk; 0 where only the whole file would tell."""
    size = max(inspection.virtual_size or 0, inspection.least_disk)
    return -(-size // _GIB)


def _properties(inspection: engine.Inspection
                ) -> typing.Iterator[tuple[str, str]]:
    """Properties that are known; what is not certain is left out."""
    kind = inspection.image_type or inspection.expectation.image_type
    if kind:
        yield 'img_type', kind
    modes = inspection.boot_modes
    if kind == 'whole-disk' and len(modes) == 1:
        yield 'hw_firmware_type', modes[0]
    if arch := architecture(inspection):
        yield 'hw_architecture', arch
    system = inspection.contents and inspection.contents.system
    if system:
        distro = _DISTROS.get(system.id, system.id)
        if _WORD.fullmatch(distro):
            yield 'os_distro', distro
        if _WORD.fullmatch(system.version):
            yield 'os_version', system.version


def architecture(inspection: engine.Inspection) -> str | None:
    """The processor of an image, by its kernels or else its EFI programs.

    None where they tell of none, or of several.
    """
    contents = inspection.contents
    by_kernels = {kernel.arch for kernel in (
        contents.kernels if contents and contents.kernels else ())}
    found = (by_kernels - {None}) or set(inspection.efi_programs or ())
    known = sorted(name for name in found
                   if name in efi_programs.ARCHITECTURES)
    return known[0] if len(known) == len(found) == 1 else None
