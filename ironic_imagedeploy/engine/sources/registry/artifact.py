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

"""The disk image among what a name in a registry stands for.

A name leads to a manifest, or to an index of manifests, one for each
processor and kind of disk (OCI image specification 1.1, "Image Index").
Annotations ``disktype`` tell the kind, as Ironic reads them.
"""

from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
import json
import typing

from ironic_imagedeploy.engine import checksum as _checksum
from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine import findings
from ironic_imagedeploy.engine.sources.registry import client
from ironic_imagedeploy.engine.sources.registry import reference
from ironic_imagedeploy.engine import text

#: Manifests of an index that are looked at.
_MOST_MANIFESTS = 1000
#: Formats by the kind of disk, in the order of preference.
FORMATS = {'qcow2': 'qcow2', 'qemu': 'qcow2', 'raw': 'raw', 'applehv': 'raw'}
#: Names of processors by those of registries.
_PROCESSORS = {'amd64': 'x86_64', 'arm64': 'aarch64'}
#: Media types of the layers of containers: archives of files.
_ARCHIVES = ('application/vnd.oci.image.layer.',
             'application/vnd.docker.image.rootfs.')
_TITLE = 'org.opencontainers.image.title'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Blob:
    """A file in a registry.

    :ivar digest: of its bytes.
    :ivar size: bytes.
    :ivar title: name of the file that was uploaded; empty without one.
    :ivar disk_format: as the registry declares it.
    """

    digest: _checksum.Checksum
    size: int
    title: str = ''
    disk_format: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Entry:
    """A manifest that an index lists.

    :ivar processor: that it is for; None for any.
    :ivar kind: of the disk; None when nothing tells.
    """

    digest: _checksum.Checksum
    processor: str | None
    kind: str | None


def find(registry: client.Registry, image: reference.Reference, *,
         arch: str, disk_format: str | None = None) -> Blob:
    """Find the disk image that a name stands for.

    :param arch: processor that it is to be for, where there are several.
    :param disk_format: that is preferred.
    :raises SourceError: when the registry does not give it.
    :raises ChecksumMismatch: when it gives another manifest.
    :raises ImageRefused: when it is something else.
    """
    name = f'{reference.SCHEME}{image.registry}/{image.repository}'
    wanted = (reference.digest_text(image.digest) if image.digest
              else image.tag)
    manifest = _parsed(registry.manifest(wanted, image.digest), name)
    kind = _annotations(manifest).get('disktype')
    if 'manifests' in manifest:
        entry = _choose(list(_entries(manifest, name)), arch, disk_format,
                        name)
        kind = entry.kind
        manifest = _parsed(registry.manifest(
            reference.digest_text(entry.digest), entry.digest), name)
    blob = _layer(manifest, name)
    return dataclasses.replace(blob, disk_format=FORMATS.get(kind or ''))


def _parsed(content: bytes, name: str) -> Mapping[str, typing.Any]:
    try:
        manifest = json.loads(content)
    except (ValueError, RecursionError):
        manifest = None
    if not isinstance(manifest, Mapping):
        raise _invalid(name, 'something that is not a JSON object')
    return manifest


def _entries(index: Mapping[str, typing.Any], name: str) -> Iterator[_Entry]:
    """Manifests for processors, and not those that attest something."""
    listed = index['manifests']
    if not isinstance(listed, list) or len(listed) > _MOST_MANIFESTS:
        raise _invalid(name, 'an index without a list of '
                       f'{_MOST_MANIFESTS} manifests at most')
    for each in listed:
        if not isinstance(each, Mapping):
            raise _invalid(name, 'an index with something else in it')
        platform = each.get('platform')
        processor = (platform.get('architecture')
                     if isinstance(platform, Mapping) else None)
        if processor == 'unknown':
            continue
        yield _Entry(
            digest=_digest(each, name), kind=_annotations(each).get(
                'disktype'),
            processor=(_PROCESSORS.get(processor, processor)
                       if isinstance(processor, str) else None))


def _choose(entries: list[_Entry], arch: str, disk_format: str | None,
            name: str) -> _Entry:
    """The manifest of a disk image for a processor."""
    disks = [entry for entry in entries
             if entry.kind is None or entry.kind in FORMATS]
    suitable = [entry for entry in disks if entry.processor in (None, arch)]
    if len({entry.processor for entry in disks}) == 1:
        # There is no choice: whether it suits the machine is checked later.
        suitable = disks
    if not suitable:
        offered = ', '.join(sorted({
            f'{entry.processor or "any"}/{entry.kind or "?"}'
            for entry in entries})) or 'nothing'
        raise exceptions.SourceNotFound(
            name, expected=f'a disk image for {arch}, raw or qcow2',
            found=text.bounded(offered, 200),
            fix='Check the name, and the processor it is for.')
    order = [*FORMATS, None]
    return min(suitable, key=lambda entry: (
        entry.kind is None,
        bool(disk_format) and FORMATS.get(entry.kind or '') != disk_format,
        order.index(entry.kind)))


def _layer(manifest: Mapping[str, typing.Any], name: str) -> Blob:
    """The one file that a manifest is of."""
    layers = manifest.get('layers')
    if not isinstance(layers, list) or not all(
            isinstance(layer, Mapping) for layer in layers):
        raise _invalid(name, 'a manifest without layers')
    archives = sum(str(layer.get('mediaType')).startswith(_ARCHIVES)
                   for layer in layers)
    if len(layers) != 1 or archives:
        raise exceptions.ImageRefused(name, [findings.Finding(
            code='container-format',
            expected='one file, which is the image of a disk',
            found=('a container, whose layers are archives of files'
                   if archives else f'{len(layers)} files'),
            fix='Push the image of the disk alone: oras push '
                'REGISTRY/NAME:TAG FILE. A bootable container is installed '
                'by bootc.')])
    layer = layers[0]
    title = _annotations(layer).get(_TITLE, '')
    return Blob(digest=_digest(layer, name), size=_size(layer, name),
                title=text.bounded(title, 255))


def _annotations(holder: Mapping[str, typing.Any]) -> dict[str, str]:
    found = holder.get('annotations')
    if not isinstance(found, Mapping):
        return {}
    return {key: value for key, value in found.items()
            if isinstance(value, str)}


def _digest(descriptor: Mapping[str, typing.Any], name: str
            ) -> _checksum.Checksum:
    try:
        digest = _checksum.Checksum.parse(descriptor['digest'])
    except (AttributeError, KeyError, ValueError):
        digest = None
    if digest is None or digest.algorithm not in ('sha256', 'sha512'):
        raise _invalid(name, 'a digest that is not one of SHA-256 or SHA-512')
    return digest


def _size(descriptor: Mapping[str, typing.Any], name: str) -> int:
    size = descriptor.get('size')
    if type(size) is not int or not 0 <= size < 1 << 62:
        raise _invalid(name, 'a layer without a size')
    return size


def _invalid(name: str, found: str) -> exceptions.SourceError:
    return exceptions.SourceError(
        name, expected='a manifest of the OCI image specification',
        found=found, fix='Push the image again, or check the registry.')
