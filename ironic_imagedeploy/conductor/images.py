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

"""What is stated about the image of a node, before its bytes are looked at."""

import dataclasses
import typing
import urllib.parse

from keystoneauth1 import exceptions as keystone_exceptions
from openstack import exceptions as sdk_exceptions

from ironic.common import checksum_utils
from ironic.common import exception
from ironic.common.glance_service import service_utils
from ironic.common import image_service
from ironic.common import images as stock_images
from ironic.conductor import task_manager
from ironic.conf import CONF
from ironic.drivers.modules import deploy_utils
from ironic import objects

from ironic_imagedeploy.conf import policy
from ironic_imagedeploy import engine

#: What a file is for: to be written, or to boot what was written.
DISK = 'disk'
BOOT_FILES = ('kernel', 'ramdisk')
#: Where images are taken from.
SCHEMES = ('glance', 'http', 'https', 'file')
_STATE_CHECKSUM = ('openstack baremetal node set --instance-info '
                   'image_os_hash_algo=sha512 --instance-info '
                   'image_os_hash_value=SHA512 ')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stated:
    """An image as Glance, or the user of the node, describes it.

    :ivar href: image_source of the node.
    :ivar glance: the service, connected, when the image is there.
    :ivar record: Glance's metadata of it.
    :ivar disk_format: the declared format.
    :ivar checksum: of the file as stored.
    :ivar partition: it is called a partition image.
    :ivar has_kernel: a kernel or initramfs comes with it.
    :ivar role: ``disk``, or the ``kernel`` or ``ramdisk`` beside one.
    :ivar of: the image whose properties in Glance name that.
    """

    href: str
    glance: image_service.GlanceImageService | None
    record: dict[str, typing.Any]
    disk_format: str | None
    checksum: engine.Checksum | None
    partition: bool
    has_kernel: bool
    role: str = DISK
    of: 'Stated | None' = None

    @property
    def scheme(self) -> str:
        """``glance``, ``http``, ``https``, ``file`` or another."""
        if self.glance:
            return 'glance'
        return urllib.parse.urlsplit(self.href).scheme.lower()

    @property
    def name(self) -> str:
        """What operators know it by, without secrets."""
        role = '' if self.role == DISK else f'{self.role} '
        if self.glance:
            return f'{role}glance:{service_utils.parse_image_id(self.href)}'
        return role + (self.path or engine.redact(self.href))

    @property
    def path(self) -> str | None:
        """Of a file of the conductor's own."""
        if self.scheme != 'file':
            return None
        return urllib.parse.urlsplit(self.href).path

    def served_by_conductor(self, node: objects.Node) -> bool:
        """What image_download_source means for it."""
        download_source = deploy_utils.get_image_download_source(node)
        if self.glance:
            return download_source != 'swift'
        return self.scheme == 'file' or download_source == 'local'

    def wrong_size(self, size: int) -> engine.Finding | None:
        """The finding for a file of another size than Glance states."""
        stated = self.record.get('size')
        if stated in (None, size):
            return None
        return engine.Finding(
            code='truncated',
            message='The store has another number of bytes than Glance '
                    'states.',
            expected=f'{stated} bytes', found=f'{size} bytes',
            fix='Upload the image again.')


def deployable(task: task_manager.TaskManager) -> bool:
    """Whether what is stated about the image lets us write it."""
    node = task.node
    if not node.instance_info.get('image_source') or (
            node.driver_internal_info.get('is_whole_disk_image') is None):
        return False
    try:
        image = stated(task)
    except exception.InvalidParameterValue:
        return False
    return (image.scheme in SCHEMES
            and image.disk_format in (
                None, *policy.Policy.from_conf(CONF).permitted_formats))


def stated(task: task_manager.TaskManager) -> Stated:
    """What Glance states, else the user of the node.

    :raises InvalidParameterValue: when Glance does not answer, or the
        checksum is none.
    """
    node, info = task.node, task.node.instance_info
    href = info['image_source']
    glance, record = None, _as_of_glance(node)
    if service_utils.is_glance_image(href):
        glance = image_service.GlanceImageService(context=task.context)
        record = _with_hash(_of_glance(glance, href))
    checksum = _stated_checksum(node, href, record)
    properties = record['properties']
    disk_format = record['disk_format']
    return Stated(
        href=href, glance=glance, record=record,
        # Ironic calls a raw disk with a GPT gpt once it looked inside.
        disk_format=('raw' if disk_format in stock_images.RAW_IMAGE_FORMATS
                     else disk_format),
        checksum=checksum,
        partition=(node.driver_internal_info.get('is_whole_disk_image')
                   is False),
        has_kernel=any(info.get(name) or properties.get(f'{name}_id')
                       for name in BOOT_FILES))


def boot_file(task: task_manager.TaskManager, image: Stated, role: str,
              href: str, *, of_properties: bool) -> Stated:
    """What is stated about a kernel or an initramfs beside an image.

    :param of_properties: the properties of the image in Glance name it.
    :raises InvalidParameterValue: when Glance does not answer, or the
        checksum is none.
    """
    node, glance = task.node, None
    try:
        engine.redact(href)
    except engine.exceptions.SourceError as error:
        raise refused(
            'image-unreadable', role, message='The address is none.',
            expected=error.expected, found=error.found,
            fix=f'openstack baremetal node set --instance-info {role}=URL '
                + node.uuid) from None
    record: dict[str, typing.Any] = {
        'os_hash_algo': None, 'os_hash_value': None, 'properties': {},
        'checksum': node.instance_info.get(f'{role}_checksum')}
    if service_utils.is_glance_image(href):
        glance = image_service.GlanceImageService(context=task.context)
        record = _with_hash(_of_glance(glance, href, f'{role} '))
    return Stated(
        href=href, glance=glance, record=record, disk_format=None,
        checksum=_stated_checksum(node, href, record, (
            f'openstack baremetal node set --instance-info {role}_checksum='
            'sha512:SHA512 ')),
        partition=False, has_kernel=False, role=role,
        of=image if of_properties else None)


def check_checksum_stated(node: objects.Node) -> None:
    """See that an image by URL comes with a checksum.

    Ironic does so too, when a deployment is asked for, but without a code.

    :raises InvalidParameterValue: when it does not.
    """
    info = node.instance_info
    href = info.get('image_source') or ''
    if (href.startswith(('http://', 'https://'))
            and not info.get('image_checksum')
            and not (info.get('image_os_hash_algo')
                     and info.get('image_os_hash_value'))):
        raise refused(
            'checksum-missing', engine.redact(href),
            message='Nothing states what the image must be.',
            expected='image_os_hash_algo and image_os_hash_value, or '
                     'image_checksum, in instance_info', found='none',
            fix=_STATE_CHECKSUM + node.uuid)


def _as_of_glance(node: objects.Node) -> dict[str, typing.Any]:
    """What the user of a node states, under Glance's names."""
    info = node.instance_info
    order = node.driver_internal_info.get(policy.KEY) or {}
    algorithm = info.get('image_os_hash_algo')
    value = info.get('image_os_hash_value')
    if order.get('checksum_is_ours') and (
            order.get('checksum') == f'{algorithm}:{value}'):
        # Of the file as it was then.
        algorithm = value = None
    return {'disk_format': info.get('image_disk_format'),
            'os_hash_algo': algorithm,
            'os_hash_value': value,
            'checksum': info.get('image_checksum'),
            'properties': {}}


def _with_hash(record: dict[str, typing.Any]) -> dict[str, typing.Any]:
    """The metadata of an image with its multihash under Glance's names.

    Ironic asks openstacksdk for os_hash_algo, which calls it hash_algo; the
    value ends up among the properties.
    """
    properties = record['properties']
    return {**record, **{
        f'os_{name}': record.get(f'os_{name}') or properties.get(name)
        for name in ('hash_algo', 'hash_value')}}


def _of_glance(glance: image_service.GlanceImageService, href: str,
               role: str = '') -> dict[str, typing.Any]:
    identifier = service_utils.parse_image_id(href)
    try:
        return glance.show(href)
    except (exception.ImageNotFound, exception.ImageUnacceptable) as error:
        raise refused(
            'image-not-found', f'{role}glance:{identifier}',
            message='Glance has no such image.',
            expected='an active image of that UUID',
            found=str(error).rstrip('.'),
            fix=f'openstack image show {identifier}') from None
    except (exception.IronicException, keystone_exceptions.ClientException,
            sdk_exceptions.SDKException) as error:
        raise refused(
            'image-unreadable', f'{role}glance:{identifier}',
            message='Glance does not tell about the image.',
            expected='its metadata', found=str(error).rstrip('.'),
            fix='Check the options of [glance], and whether openstack image '
                f'show {identifier} works.') from None


def _stated_checksum(node: objects.Node, href: str,
                     record: dict[str, typing.Any],
                     command: str = _STATE_CHECKSUM
                     ) -> engine.Checksum | None:
    algorithm, value = record['os_hash_algo'], record['os_hash_value']
    stated = record['checksum']
    try:
        if algorithm and value:
            return engine.Checksum(algorithm, value)
        if not stated:
            return None
        if checksum_utils.is_checksum_url(stated):
            stated = checksum_utils.get_checksum_from_url(stated, href)
        return engine.Checksum.parse(stated)
    except ValueError as error:
        found = str(error)
    except exception.IronicException as error:
        # What it says names the whole URL.
        found = f'{type(error).__name__} for {engine.redact(stated)}'
    raise refused(
        'checksum-invalid', engine.redact(href),
        message='The checksum of the image is none.',
        expected='a value of sha512 or sha256, or a readable file that has '
                 'one for the image', found=found,
        fix=command + node.uuid)


def refused(code: str, name: str, *, message: str, expected: str,
            found: str, fix: str) -> exception.InvalidParameterValue:
    """What Ironic's users see of an image that cannot even be described."""
    return exception.InvalidParameterValue(str(
        engine.exceptions.ImageRefused(
            name, [engine.Finding(code=code, message=message,
                                  expected=expected, found=found,
                                  fix=fix)])))
