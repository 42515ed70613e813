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

"""Summaries of what was made of images, for people."""

from collections.abc import Iterable
from collections.abc import Mapping
import typing

from ironic_imagedeploy.cmd import text


def upload(result: Mapping[str, typing.Any], source: str) -> list[str]:
    """The images that are in Glance now, in lines.

    :param result: what was made, as JSON values.
    """
    checksum, manifest = result['checksum'], result['manifest']
    disk = result['min_disk']
    return [f'{text.printable(source)}: in Glance as {result["image"]}',
            *_aligned((
                ('name', text.printable(result['name'])),
                ('format', result['disk_format']),
                ('size', text.size(result['size'])),
                ('min disk', f'{disk} GiB' if disk else ''),
                *(('property', text.printable(f'{name}={value}'))
                  for name, value in result['properties'].items()),
                ('checksum', f'{checksum["algorithm"]} of Glance is that of '
                 f'the file ({checksum["value"][:16]}...)'),
                ('manifest', manifest['image'] if manifest else ''),
                ('time', text.duration(result['seconds']))))]


def convert(result: Mapping[str, typing.Any]) -> list[str]:
    """The image that was made of another one, in lines.

    :param result: what was made, as JSON values.
    """
    checksum = result['checksum']
    return [f'{text.printable(result["source"])} '
            f'({result["source_format"]}): converted to '
            f'{text.printable(result["target"])}',
            *_aligned((
                ('format', 'qcow2, zstd clusters'),
                ('disk size', text.size(result['virtual_size'])),
                ('stored', f'{text.size(result["size"])}, before '
                 f'{text.size(result["source_size"])}'),
                ('compared', 'the disk in both is the same'),
                ('checksum', f'{checksum["algorithm"]}:{checksum["value"]}'),
                ('time', text.duration(result['seconds']))))]


def differences(result: Mapping[str, typing.Any]) -> list[str]:
    """Metadata of an image, and what it should be, in lines.

    :param result: of a comparison, as JSON values.
    """
    lines = [f'{result["image"]}: ' + (
        'the metadata is right' if not result['differences'] else
        text.counted(len(result['differences']), 'difference'))]
    for each in result['differences']:
        lines.append(f'  {text.printable(each["name"]):<18} '
                     f'{_shown(each["is"])} -> {_shown(each["should_be"])}')
    return lines


def _shown(value: str | int | None) -> str:
    return 'none' if value is None else text.printable(str(value))


def _aligned(rows: Iterable[tuple[str, str]]) -> list[str]:
    """Lines of a label and a value; those without a value are left out."""
    return [f'  {label:<12} {value}' for label, value in rows if value]
