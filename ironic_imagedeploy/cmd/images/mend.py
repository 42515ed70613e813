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

"""The command that repairs what is wrong beside the content of an image."""

import argparse
from collections.abc import Mapping
from collections.abc import Sequence
import sys
import typing
import uuid

from ironic_imagedeploy.cmd import console
from ironic_imagedeploy.cmd.images import inspected
from ironic_imagedeploy.cmd.images import metadata
from ironic_imagedeploy.cmd.images import service as services
from ironic_imagedeploy.cmd.images import summary
from ironic_imagedeploy.cmd import retries
from ironic_imagedeploy import engine

#: What Glance lets nobody change once there are bytes.
_FIXED = ('disk_format', 'container_format')
#: Properties that no image of a whole disk has.
_BESIDE = ('kernel_id', 'ramdisk_id')


def mend_image(args: argparse.Namespace) -> int:
    """Correct the metadata of an image in Glance by what is in it."""
    identifier = _identifier(args)
    glance = services.ImageService(args.os_cloud)
    record = _record(glance, identifier)
    wanted = _wanted(args, identifier, record)
    found = differences(record, wanted)
    changes = [each for each in found if each['name'] not in _FIXED]
    fixed = [each for each in found if each['name'] in _FIXED]
    result = {'image': identifier, 'differences': found, 'applied': False}
    if not args.json:
        console.show(f'{line}\n' for line in summary.differences(result))
    if changes and _is_wanted(args):
        glance.change(identifier, [_change(each) for each in changes])
        left = differences(glance.show(identifier), wanted)
        if [each for each in left if each['name'] not in _FIXED]:
            raise services.GlanceError(
                identifier, expected='the metadata as it was changed',
                found='other values', fix='Look who else changes it.')
        result['applied'] = True
    if args.json:
        console.show([console.to_json(result)])
    _advise(args, identifier, changes if not result['applied'] else [],
            fixed)
    return (0 if not fixed and (result['applied'] or not changes)
            else engine.exceptions.ImageRefused.exit_status)


def differences(record: Mapping[str, typing.Any],
                wanted: metadata.Metadata) -> list[dict[str, typing.Any]]:
    """Values of a record that are wrong: what each is and should be.

    Properties that do not follow from the content are left alone.

    :param record: of Glance.
    :param wanted: what follows from the content.
    """
    values: dict[str, typing.Any] = {
        'disk_format': wanted.disk_format,
        'container_format': wanted.container_format,
        # A larger one is somebody's choice.
        'min_disk': max(wanted.min_disk, record.get('min_disk') or 0),
        **{name: wanted.properties.get(name)
           for name in metadata.COMPUTED if name in wanted.properties}}
    if wanted.properties.get('img_type') == 'whole-disk':
        values |= dict.fromkeys(_BESIDE)
    return [{'name': name, 'is': record.get(name), 'should_be': value}
            for name, value in values.items() if record.get(name) != value]


def _identifier(args: argparse.Namespace) -> str:
    words = args.image.removeprefix('glance:')
    try:
        return str(uuid.UUID(words))
    except ValueError:
        args.parser.error(f'--image {words} is not a UUID')
        raise


def _record(glance: services.ImageService, identifier: str
            ) -> dict[str, typing.Any]:
    """The record of the image, which is what the command reads.

    :raises SourceNotFound: when there is none.
    """
    try:
        return glance.show(identifier)
    except services.NotInGlance as error:
        raise engine.exceptions.SourceNotFound(
            identifier, expected=error.expected, found=error.found,
            fix=error.fix) from error


def _wanted(args: argparse.Namespace, identifier: str,
            record: Mapping[str, typing.Any]) -> metadata.Metadata:
    """Metadata that follows from the content, whatever the record says."""
    location = f'glance:{identifier}'
    with engine.open_source(location, cloud=args.os_cloud,
                            **retries.options(location)) as source:
        # It is what is to be mended.
        source.declared_format = None
        inspection = inspected.look(source, args)
        inspection.raise_if_refused()
        return metadata.of_disk(inspection, str(record.get('name') or ''))


def _change(each: Mapping[str, typing.Any]) -> dict[str, typing.Any]:
    path = {'path': f'/{each["name"]}'}
    if each['should_be'] is None:
        return {'op': 'remove', **path}
    return {'op': 'add' if each['is'] is None else 'replace',
            'value': each['should_be'], **path}


def _is_wanted(args: argparse.Namespace) -> bool:
    """Whether the changes may be made: by --yes, or by an answer."""
    if args.yes:
        return True
    if args.json or not (sys.stdin and sys.stdin.isatty()
                         and sys.stderr.isatty()):
        return False
    sys.stderr.write('Change it in Glance? [y/N] ')
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ('y', 'yes')


def _advise(args: argparse.Namespace, identifier: str,
            changes: Sequence[Mapping[str, typing.Any]],
            fixed: Sequence[Mapping[str, typing.Any]]) -> None:
    if changes:
        console.say('nothing was changed; --yes changes it')
    for each in fixed:
        console.say(
            f'Glance does not change the {each["name"]} of an image that has '
            'bytes: upload it again, as another image: ironic-imagedeploy '
            f'upload glance:{identifier} --disk-format '
            f'{next(e["should_be"] for e in fixed)} --name NAME')
