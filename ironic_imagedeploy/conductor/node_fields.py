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

"""Fields of a node that others write, as far as deployments read them.

Ironic's API takes any JSON there.
"""

from collections.abc import Callable
import dataclasses
import re
import typing

from ironic import objects

from ironic_imagedeploy.conductor import refusals
from ironic_imagedeploy import engine

#: Characters: addresses with a signature have some 2000.
_LONGEST_TEXT = 8192
_LONGEST_NAME = 255
_NUMBER = re.compile('[0-9]{1,9}', re.ASCII)
_JSON = {bool: 'true or false', int: 'a number', float: 'a number',
         list: 'a list', dict: 'an object', str: 'text'}


@dataclasses.dataclass(frozen=True)
class _Kind:
    """Kind of a field.

    :ivar expected: in words.
    :ivar problem: tells what a value is instead, or None. It shows nothing
        of the value, which may have a secret in it.
    """

    expected: str
    problem: Callable[[typing.Any], str | None]


def _text(longest: int) -> Callable[[typing.Any], str | None]:
    def problem(value: typing.Any) -> str | None:
        if not isinstance(value, str):
            return _json(value)
        if len(value) > longest:
            return f'{len(value)} characters'
        return None if value.isprintable() else 'control characters in it'
    return problem


def _name_problem(value: typing.Any) -> str | None:
    return _text(_LONGEST_NAME)(value) or ('a URL' if '://' in value else None)


def _url_problem(value: typing.Any) -> str | None:
    if problem := _text(_LONGEST_TEXT)(value):
        return problem
    try:
        engine.redact(value)
    except engine.exceptions.SourceError as error:
        return error.found
    return None


def _number_problem(value: typing.Any) -> str | None:
    if isinstance(value, str):
        return (None if _NUMBER.fullmatch(value.strip())
                else 'text that is not such a number')
    if type(value) is not int:
        return _json(value)
    return None if 0 <= value < 10 ** 9 else 'a number out of that range'


def _object_problem(value: typing.Any) -> str | None:
    return None if isinstance(value, dict) else _json(value)


def _json(value: typing.Any) -> str:
    return _JSON.get(type(value), 'something else')


_NAME = _Kind(f'a name of {_LONGEST_NAME} printable characters at most',
              _name_problem)
_LINE = _Kind(f'text of {_LONGEST_TEXT} printable characters at most',
              _text(_LONGEST_TEXT))
_URL = _Kind('the UUID of an image, or a URL', _url_problem)
_COUNT = _Kind('a whole number from 0 to 999999999', _number_problem)
_HINTS = _Kind('an object with hints', _object_problem)

_INSTANCE_INFO = {
    'image_source': _URL, 'kernel': _URL, 'ramdisk': _URL,
    'image_checksum': _LINE, 'kernel_checksum': _LINE,
    'ramdisk_checksum': _LINE, 'image_os_hash_algo': _NAME,
    'image_os_hash_value': _LINE, 'image_disk_format': _NAME,
    'image_type': _NAME, 'image_download_source': _NAME,
    'image_request_authorization_secret': _LINE, 'image_pull_secret': _LINE,
    'kernel_append_params': _LINE, 'root_gb': _COUNT, 'swap_mb': _COUNT,
    'ephemeral_gb': _COUNT, 'root_device': _HINTS}
#: Ironic checks the numbers among the properties itself.
_PROPERTIES = {'cpu_arch': _NAME, 'capabilities': _LINE,
               'root_device': _HINTS}


def processor(node: objects.Node) -> str | None:
    """Processor of a node, as ``x86_64``; None where it is not stated.

    The baremetal operator states an empty one when nobody told it.
    """
    return node.properties.get('cpu_arch') or None


def check(node: objects.Node) -> None:
    """Check that each field that is there can be used.

    :raises InvalidParameterValue: for the first that cannot.
    """
    for place, option, kinds, values in (
            ('instance_info', '--instance-info', _INSTANCE_INFO,
             node.instance_info),
            ('properties', '--property', _PROPERTIES, node.properties)):
        for name, kind in kinds.items():
            value = values.get(name)
            if value in (None, ''):
                continue
            if problem := kind.problem(value):
                raise refusals.refused(
                    'field-invalid', f'node {node.uuid}',
                    message=f'The field {name} in {place} cannot be used.',
                    expected=kind.expected, found=problem,
                    fix=f'openstack baremetal node set {option} {name}=VALUE '
                        + node.uuid)
