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

"""Checksums that Glance or the user of a node declares for an image."""

import posixpath
import urllib.parse

from ironic.common import checksum_utils
from ironic.common import exception
from ironic import objects

from ironic_imagedeploy.conductor.cache import access
from ironic_imagedeploy.conductor import refusals
from ironic_imagedeploy.contract import names
from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import checksum_list

_SET = 'openstack baremetal node set --instance-info '
_SET_IMAGE = (f'{_SET}image_os_hash_algo=sha512 --instance-info '
              'image_os_hash_value=SHA512 ')
_WEB = ('http://', 'https://')
#: Bytes of a file of checksums: those of distributions have some KiB.
_LARGEST_FILE = 1 << 20


def stated(node: objects.Node) -> tuple[str | None, str | None]:
    """Multihash that the user of a node states: its algorithm and value.

    One that the conductor computed is of the file as it was then.
    """
    info = node.instance_info
    algorithm = info.get('image_os_hash_algo')
    value = info.get('image_os_hash_value')
    order = node.driver_internal_info.get(names.KEY) or {}
    if order.get('checksum_is_ours') and (
            order.get('checksum') == f'{algorithm}:{value}'):
        return None, None
    return algorithm, value


def of_node(node: objects.Node, href: str) -> engine.Checksum | None:
    """Checksum that the user of a node states; None when there is none.

    :raises InvalidParameterValue: when it is not the checksum of anything.
    """
    algorithm, value = stated(node)
    other = node.instance_info.get('image_checksum')
    if algorithm and value and value.lower().startswith(_WEB):
        # As direct takes it. The file tells what its values are.
        algorithm, value, other = None, None, value
    return declared(node, href, algorithm=algorithm, value=value, other=other)


def declared(node: objects.Node, href: str, *, algorithm: str | None,
             value: str | None, other: str | None,
             role: str | None = None) -> engine.Checksum | None:
    """Checksum of the file as stored; None when nothing declares one.

    :param algorithm: of the multihash.
    :param value: of the multihash.
    :param other: a checksum, or the URL of a file that lists it, for an
        image without a multihash.
    :param role: ``kernel`` or ``ramdisk`` for one of these.
    :raises InvalidParameterValue: when it is not the checksum of anything.
    """
    in_file = False
    try:
        if algorithm and value:
            return engine.Checksum(algorithm, value)
        if not other:
            return None
        in_file = checksum_utils.is_checksum_url(other)
        if in_file:
            return _in_file(node, other, href)
        return engine.Checksum.parse(other)
    except ValueError as error:
        found, fix = str(error), ''
        if not in_file and any(text and '://' in text
                               for text in (algorithm, value, other)):
            # It may have a login or a signature in it.
            found = 'a URL in its place'
    except engine.exceptions.SourceError as error:
        found = f'{engine.redact(str(other))}: {error.found}'
        fix = f'{error.fix} Or: '
    except exception.ImageChecksumURLNotSupported:
        found = ('the URL of a file, and '
                 '[conductor]disable_support_for_checksum_files is set')
        fix = ''
    raise refusals.refused(
        'checksum-invalid', engine.redact(href),
        message=f'The checksum of the {role or "image"} is not usable.',
        expected='a value of sha512 or sha256, or a readable file that has '
                 'one for the image', found=found.rstrip('.'),
        fix=fix + (f'{_SET}{role}_checksum=sha512:SHA512 ' if role
                   else _SET_IMAGE) + node.uuid)


def _in_file(node: objects.Node, url: str, href: str) -> engine.Checksum:
    """Checksum that a file of checksums lists for an image.

    :raises SourceError: when the file cannot be read.
    :raises ValueError: when it has no usable checksum of the image.
    """
    with access.open_web(node, url) as source:
        if source.size > _LARGEST_FILE:
            raise ValueError(
                f'{source.name}, a file of {source.size} bytes, and not of '
                f'{_LARGEST_FILE} at most')
        text = source.read_at(0, source.size).decode('utf-8', 'replace')
        name = posixpath.basename(urllib.parse.urlsplit(href).path)
        try:
            return checksum_list.find(text, urllib.parse.unquote(name))
        except ValueError as error:
            raise ValueError(f'{source.name} with {error}') from None


def check_boot_file(node: objects.Node, role: str, href: str) -> None:
    """Check that a kernel or initramfs by URL comes with a checksum.

    :raises InvalidParameterValue: when it does not, before it is opened.
    """
    if (not node.instance_info.get(f'{role}_checksum')
            and href.lower().startswith(_WEB)):
        raise refusals.refused(
            'checksum-missing', f'{role} {engine.redact(href)}',
            message=f'Nothing states what the {role} must be.',
            expected=f'{role}_checksum in instance_info', found='none',
            fix=f'{_SET}{role}_checksum=sha512:SHA512 {node.uuid}')


def check_given(node: objects.Node) -> None:
    """Check that an image by URL comes with a checksum.

    Ironic does so too, when a deployment is asked for, but without a code.

    :raises InvalidParameterValue: when it does not.
    """
    info = node.instance_info
    href = info.get('image_source') or ''
    if (href.lower().startswith(_WEB)
            and not info.get('image_checksum')
            and not (info.get('image_os_hash_algo')
                     and info.get('image_os_hash_value'))):
        raise refusals.refused(
            'checksum-missing', engine.redact(href),
            message='Nothing states what the image must be.',
            expected='image_os_hash_algo and image_os_hash_value, or '
                     'image_checksum, in instance_info', found='none',
            fix=_SET_IMAGE + node.uuid)
