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

"""The image of a node: what is stated about it, and whether it is true."""

import dataclasses
import typing
import urllib.parse

from oslo_utils import strutils
from oslo_utils import units
import requests

from ironic.common import checksum_utils
from ironic.common import exception
from ironic.common.glance_service import service_utils
from ironic.common import image_service
from ironic.common import images as stock_images
from ironic.conductor import task_manager
from ironic.conf import CONF
from ironic.drivers.modules import boot_mode_utils
from ironic.drivers.modules import deploy_utils
from ironic import objects

from ironic_imagedeploy.conf import policy
from ironic_imagedeploy import engine

_WEB = ('http', 'https')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stated:
    """What is stated about an image, before a byte of it is looked at.

    :ivar href: image_source of the node.
    :ivar glance: the service, connected, when the image is there.
    :ivar record: Glance's metadata of it.
    :ivar disk_format: the declared format.
    :ivar checksum: of the file as stored.
    :ivar partition: it is called a partition image.
    :ivar has_kernel: a kernel or initramfs comes with it.
    """

    href: str
    glance: image_service.GlanceImageService | None
    record: dict[str, typing.Any]
    disk_format: str | None
    checksum: engine.Checksum | None
    partition: bool
    has_kernel: bool

    @property
    def scheme(self) -> str:
        """``glance``, ``http``, ``https``, ``file`` or another."""
        if self.glance:
            return 'glance'
        return urllib.parse.urlsplit(self.href).scheme.lower()


def deployable(task: task_manager.TaskManager) -> bool:
    """Whether what is stated about the image lets us write it."""
    node = task.node
    if not (node.instance_info.get('image_source')
            and node.driver_internal_info.get('is_whole_disk_image')):
        return False
    try:
        image = stated(task)
    except exception.InvalidParameterValue:
        return False
    return (image.scheme in ('glance', 'file', *_WEB)
            and image.disk_format in (
                None, *policy.Policy.from_conf(CONF).permitted_formats))


def check(task: task_manager.TaskManager) -> engine.Inspection:
    """Look at the image and hold it against its metadata and the node.

    Reads its head and its tables only.

    :raises InvalidParameterValue: with the reason, when it cannot be read
        or must not be deployed to this node.
    """
    image = stated(task)
    try:
        with _open(task, image) as source:
            inspection = engine.inspect(source, _expectation(task.node, image))
        inspection.findings += tuple(_against_node(task.node, image))
        inspection.raise_if_refused()
    except engine.exceptions.ImageDeployError as error:
        raise exception.InvalidParameterValue(str(error)) from error
    return inspection


def stated(task: task_manager.TaskManager) -> Stated:
    """What Glance states, else the user of the node.

    :raises InvalidParameterValue: when Glance does not answer, or the
        checksum is none.
    """
    node, info = task.node, task.node.instance_info
    href = info['image_source']
    glance, record = None, _as_of_glance(info)
    try:
        if service_utils.is_glance_image(href):
            glance = image_service.GlanceImageService(context=task.context)
            record = glance.show(href)
        checksum = _stated_checksum(href, record)
    except (exception.IronicException, ValueError) as error:
        raise exception.InvalidParameterValue(
            f'Image {_without_secrets(href)} of node {node.uuid}: {error}'
        ) from error
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
                       for name in ('kernel', 'ramdisk')))


def _as_of_glance(info: dict[str, typing.Any]) -> dict[str, typing.Any]:
    """What the user of a node states, under Glance's names."""
    return {'disk_format': info.get('image_disk_format'),
            'os_hash_algo': info.get('image_os_hash_algo'),
            'os_hash_value': info.get('image_os_hash_value'),
            'checksum': info.get('image_checksum'),
            'properties': {}}


def _stated_checksum(href: str, record: dict[str, typing.Any]
                     ) -> engine.Checksum | None:
    algorithm, value = record['os_hash_algo'], record['os_hash_value']
    bare = record['checksum']
    if algorithm and value:
        return engine.Checksum(algorithm, value)
    if not bare:
        return None
    if checksum_utils.is_checksum_url(bare):
        bare = checksum_utils.get_checksum_from_url(bare, href)
    return engine.Checksum.parse(bare)


def _expectation(node: objects.Node, image: Stated) -> engine.Expectation:
    return engine.Expectation(
        disk_format=image.disk_format,
        image_type='partition' if image.partition else 'whole-disk',
        checksum=image.checksum,
        # Of a file of its own the conductor computes the checksum.
        require_checksum=image.scheme != 'file',
        permit_weak=CONF.agent.allow_md5_checksum,
        permitted=policy.Policy.from_conf(CONF).permitted_formats,
        disk_size=_disk_size(node),
        boot_mode=boot_mode_utils.get_boot_mode(node),
        arch=node.properties.get('cpu_arch'),
        has_kernel=image.partition and image.has_kernel)


def _against_node(node: objects.Node, image: Stated
                  ) -> typing.Iterator[engine.Finding]:
    """What the bytes of the image do not show."""
    if image.partition:
        yield engine.Finding(
            code='image-type-unsupported',
            message='imagedeploy writes whole-disk images.',
            expected='a whole-disk image', found='a partition image',
            fix='openstack baremetal node set --deploy-interface direct '
                f'{node.uuid}')
    needed = (image.record.get('min_disk') or 0) * units.Gi
    size = _disk_size(node)
    if size is not None and needed > size:
        yield engine.Finding(
            code='too-large',
            message='The disk is smaller than the min_disk of the image.',
            expected=f'a disk of {needed} bytes', found=f'{size} bytes',
            fix='Use a node with a larger disk, or correct min_disk of the '
                'image.')


def _disk_size(node: objects.Node) -> int | None:
    """The most that the root disk can hold, in bytes, where it is known."""
    if deploy_utils.get_root_device_for_deploy(node):
        return None
    local_gb = int(node.properties.get('local_gb') or 0)
    # Inspection rounds down and leaves one GiB out.
    return (local_gb + 2) * units.Gi if local_gb else None


def _open(task: task_manager.TaskManager, image: Stated) -> engine.Source:
    """The image, by Ironic's own ways to get at it.

    :raises SourceError: when it cannot be opened.
    :raises InvalidParameterValue: when there is no way to get at it.
    """
    if image.glance:
        return _open_glance(image.glance, image.href)
    if image.scheme in _WEB:
        return _open_web(task.node, image.href)
    if image.scheme == 'file':
        try:
            path = image_service.FileImageService().validate_href(image.href)
        except exception.ImageRefValidationFailed as error:
            raise exception.InvalidParameterValue(str(error)) from error
        return engine.open_source(path)
    raise exception.InvalidParameterValue(
        f'image_source {_without_secrets(image.href)} of node '
        f'{task.node.uuid}: expected an image of Glance or an http, https or '
        f'file URL, found {image.scheme or "no scheme"!r}. Deploy it with '
        'the deploy interface direct.')


def _open_glance(service: image_service.GlanceImageService,
                 href: str) -> engine.Source:
    identifier = service_utils.parse_image_id(href)

    def request(url: str, headers: dict[str, str]) -> requests.Response:
        answer = service.client.get(
            f'/images/{identifier}/file', headers=headers, stream=True,
            raise_exc=False, timeout=CONF.webserver_connection_timeout)
        if answer.status_code == 400 and headers.pop('Range', None):
            # What Glance says when the store behind it has no ranges.
            answer.close()
            return request(url, headers)
        return answer

    source = engine.open_source(
        f'{service.endpoint}/v2/images/{identifier}/file', request=request,
        timeout=CONF.webserver_connection_timeout)
    source.name = f'glance:{identifier}'
    return source


def _open_web(node: objects.Node, url: str) -> engine.Source:
    service = image_service.HttpImageService()
    login = service.gen_auth_from_conf_user_pass(url)
    supplied = node.instance_info.get('image_request_authorization_secret')
    try:
        verify = strutils.bool_from_string(CONF.webserver_verify_ca,
                                           strict=True)
    except ValueError:
        verify = CONF.webserver_verify_ca

    def request(url: str, headers: dict[str, str]) -> requests.Response:
        if supplied:
            headers = {**headers, 'Authorization': supplied}
        return service.session.get(
            url, headers=headers, stream=True, verify=verify,
            auth=None if supplied else login,
            timeout=CONF.webserver_connection_timeout)

    return engine.open_source(url, request=request,
                              timeout=CONF.webserver_connection_timeout)


def _without_secrets(href: str) -> str:
    return href.partition('?')[0].rpartition('@')[2]
