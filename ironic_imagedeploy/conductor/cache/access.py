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

"""Sources of images, opened by Ironic's own services."""

import typing

from oslo_utils import strutils
import requests

from ironic.common import exception
from ironic.common import image_service
from ironic.conf import CONF
from ironic import objects

from ironic_imagedeploy.conductor import images
from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import text

#: Requests that a look is given the time for. Ironic's option is for one, and
#: a store may be slow with each: head, tables and partitions are a dozen.
REQUESTS = 12
#: Schemes that Ironic knows for what a BMC reads; no deploy interface fetches
#: an image by them.
_SHARES = ('nfs', 'cifs', 'smb')


def open_image(image: images.InstanceImage) -> engine.Source:
    """Open the image of a node for reading.

    :raises SourceError: when it cannot be opened.
    :raises InvalidParameterValue: when there is no way to get at it.
    """
    if image.glance:
        source = _open_glance(image.glance, image.glance_id, image.checksum)
    elif image.registry:
        source = _open_registry(image.registry, image.checksum)
    elif image.scheme in ('http', 'https'):
        source = open_web(image.node, image.href, checksum=image.checksum)
    elif image.scheme == 'file':
        source = engine.open_source(_permitted_path(image.href))
    else:
        raise exception.InvalidParameterValue(_not_supported(image))
    source.name = image.name
    return source


def _not_supported(image: images.InstanceImage) -> str:
    setting, fix = 'image_source', 'Put it where one of these leads to'
    if image.role != images.DISK:
        setting = image.role
    if image.scheme in _SHARES:
        fix = ('Mount the share on the conductors, permit its directory by '
               '[conductor]file_url_allowed_paths, and name the file: '
               f'openstack baremetal node set --instance-info {setting}='
               f'file:///PATH {image.node.uuid}')
    href = text.bounded(engine.redact(image.href))
    schemes = 'http, https or file URL'
    if image.role == images.DISK:
        schemes = 'http, https, file or oci URL'
    return (f'{setting} {href} of node {image.node.uuid}: '
            f'expected an image of Glance or an {schemes}, '
            f'found {image.scheme or "no scheme"!r}. {fix}.')


def _permitted_path(href: str) -> str:
    try:
        return image_service.FileImageService().validate_href(href)
    except exception.ImageRefValidationFailed as error:
        raise engine.exceptions.SourceError(
            href, expected='a file that exists in one of the directories '
            'of [conductor]file_url_allowed_paths',
            found=str(error).rstrip('.'),
            fix='Move the file there, or permit its directory.') from None


def _open_glance(service: image_service.GlanceImageService,
                 identifier: str, checksum: engine.Checksum | None
                 ) -> engine.Source:
    url = f'{service.endpoint}/v2/images/{identifier}/file'
    source = engine.open_source(
        url, request=engine.glance_request(service.client, identifier, url),
        **_options(checksum))
    source.name = f'glance:{identifier}'
    return source


def _open_registry(blob: images.RegistryBlob,
                   checksum: engine.Checksum | None) -> engine.Source:
    def request(address: str, headers: dict[str, str], timeout: float
                ) -> requests.Response:
        return blob.session.get(
            address, headers=headers, stream=True, timeout=timeout,
            verify=blob.session.verify, allow_redirects=False,
            auth=engine.Authorization(
                blob.authorization if engine.may_know_secrets(
                    address, of=blob.url) else None))

    return engine.open_source(blob.url, request=request, **_options(checksum))


def open_web(node: objects.Node, url: str, *,
             checksum: engine.Checksum | None = None) -> engine.Source:
    """Open a file on a web server for reading, with what a node may tell it.

    :param checksum: that the whole file is compared with in the end.
    :raises SourceError: when it cannot be opened.
    """
    info = node.instance_info
    service = image_service.HttpImageService()
    engine.limit_heads(service.session)
    login = _login(url)
    supplied = None
    # A secret for the image is not told to another server.
    if engine.origin(url) == engine.origin(info['image_source']):
        supplied = info.get('image_request_authorization_secret')
    try:
        verify = strutils.bool_from_string(CONF.webserver_verify_ca,
                                           strict=True)
    except ValueError:
        verify = CONF.webserver_verify_ca

    def request(address: str, headers: dict[str, str], timeout: float
                ) -> requests.Response:
        known = engine.may_know_secrets(address, of=url)
        if supplied and known:
            headers = {**headers, 'Authorization': supplied}
        return service.session.get(
            address, headers=headers, stream=True, verify=verify,
            auth=login if known and not supplied else None,
            timeout=timeout, allow_redirects=False)

    return engine.open_source(url, request=request, **_options(checksum))


def _login(url: str) -> requests.auth.AuthBase | None:
    """The conductor's own, where Ironic sends it to that server."""
    try:
        return image_service.HttpImageService.gen_auth_from_conf_user_pass(
            url)
    except exception.ImageRefValidationFailed:
        raise engine.exceptions.SourceError(
            engine.redact(url), expected='image_server_user and '
            'image_server_password in [deploy], for its '
            'image_server_auth_strategy', found='one of them missing',
            fix='Set both, and restart ironic-conductor.') from None


def _options(checksum: engine.Checksum | None) -> dict[str, typing.Any]:
    """Patience with a server, in seconds, and trust in its answers."""
    # Some releases of Ironic have no such option.
    seconds = getattr(CONF, 'webserver_verify_timeout', None)
    return {'timeout': CONF.webserver_connection_timeout,
            'look_timeout': (REQUESTS * seconds if seconds
                             else engine.LOOK_TIMEOUT),
            'checksum_stated': bool(checksum and not checksum.weak)}
