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


"""The images that an upload makes in Glance, before any of them is made."""

import argparse
import dataclasses
import os
import re

from ironic_imagedeploy.cmd.images import metadata
from ironic_imagedeploy.cmd import output_files
from ironic_imagedeploy.cmd import small_files
from ironic_imagedeploy.cmd import standard_input
from ironic_imagedeploy import engine

#: Endings of file names that are not part of the name of an image.
_ENDING = re.compile(r'\.(qcow2|raw|img|vmdk|vdi|gz|xz|bz2|zst)$',
                     re.IGNORECASE)
#: Properties that Glance, or the upload itself, has a say in.
_RESERVED = re.compile(r'os_hash_\w+|os_hidden|(kernel|ramdisk)_id|id|name|'
                       r'disk_format|container_format|min_disk|visibility')
_MOST = 255


@dataclasses.dataclass(frozen=True, kw_only=True)
class BootFile:
    """A kernel or an initramfs beside an image.

    :ivar role: ``kernel`` or ``ramdisk``.
    """

    role: str
    path: str
    metadata: metadata.Metadata


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """Images of an upload, in its sequence: boot files, disk, manifest."""

    disk: metadata.Metadata
    boot_files: tuple[BootFile, ...] = ()
    manifest: metadata.Metadata | None = None


def make(args: argparse.Namespace, inspection: engine.Inspection) -> Plan:
    """The plan of an upload.

    :param inspection: of the image, which was accepted.
    """
    name = args.name or _named_after_the_image(args)
    disk = metadata.of_disk(inspection, name, visibility=args.visibility,
                            properties=stated(args))
    if 'img_type' not in disk.properties:
        args.parser.error('it does not show whether this is an image of a '
                          'disk or of a file system: --image-type')
    return Plan(
        disk=disk,
        boot_files=tuple(_boot_files(args, name)),
        manifest=(metadata.of_manifest(name, visibility=args.visibility)
                  if args.with_manifest else None))


def check_usage(args: argparse.Namespace) -> None:
    """Find out what cannot be done before anything is read."""
    if args.print and not output_files.is_local(args.source):
        args.parser.error('--print is for a file on this machine')
    stated(args)


def stated(args: argparse.Namespace) -> dict[str, str]:
    """Properties that the user states."""
    properties = {}
    for words in args.property:
        name, equals, value = words.partition('=')
        if not (name and equals) or len(words) > 2 * _MOST:
            args.parser.error(f'--property {words} is not NAME=VALUE')
        if _RESERVED.fullmatch(name):
            args.parser.error(f'--property {name} is not for users to state')
        properties[name] = value
    return properties


def _boot_files(args: argparse.Namespace, name: str) -> list[BootFile]:
    files = []
    for role in metadata.BOOT_FILES:
        path = getattr(args, role)
        if path:
            files.append(BootFile(
                role=role, path=path, metadata=metadata.of_boot_file(
                    role, f'{name}.{role}', visibility=args.visibility)))
    return files


def _named_after_the_image(args: argparse.Namespace) -> str:
    name = small_files.name(args.source)
    while name != (shorter := _ENDING.sub('', name)):
        name = shorter
    if args.source == standard_input.DASH or not name or (
            args.source.startswith('glance:')):
        args.parser.error('name the image: --name NAME')
    return os.fspath(name)[:_MOST]
