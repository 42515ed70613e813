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

"""Images opened by Ironic's own ways to get at them."""

from keystoneauth1 import exceptions as keystone_exceptions
from oslo_utils import strutils
import requests

from ironic.common import exception
from ironic.common.glance_service import service_utils
from ironic.common import image_service
from ironic.conf import CONF
from ironic import objects

from ironic_imagedeploy.conductor import images
from ironic_imagedeploy import engine


def open_image(node: objects.Node, image: images.Stated) -> engine.Source:
    """Open the image of a node for reading.

    :raises SourceError: when it cannot be opened.
    :raises InvalidParameterValue: when there is no way to get at it.
    """
    if image.glance:
        return _open_glance(image.glance, image.href)
    if image.scheme in ('http', 'https'):
        return _open_web(node, image.href)
    if image.scheme == 'file':
        try:
            path = image_service.FileImageService().validate_href(image.href)
        except exception.ImageRefValidationFailed as error:
            raise exception.InvalidParameterValue(str(error)) from error
        return engine.open_source(path)
    raise exception.InvalidParameterValue(
        f'image_source {engine.redact(image.href)} of node '
        f'{node.uuid}: expected an image of Glance or an http, https or '
        f'file URL, found {image.scheme or "no scheme"!r}. Deploy it with '
        'the deploy interface direct.')


def _open_glance(service: image_service.GlanceImageService,
                 href: str) -> engine.Source:
    identifier = service_utils.parse_image_id(href)

    def send(headers: dict[str, str]) -> requests.Response:
        try:
            return service.client.get(
                f'/images/{identifier}/file', headers=headers, stream=True,
                raise_exc=False, timeout=CONF.webserver_connection_timeout)
        except keystone_exceptions.ClientException as error:
            raise requests.ConnectionError(type(error).__name__) from error

    def request(url: str, headers: dict[str, str]) -> requests.Response:
        answer = send(headers)
        if answer.status_code == 400:
            # What Glance says when the store behind it has no ranges.
            answer.close()
            answer = send({name: value for name, value in headers.items()
                           if name not in ('Range', 'If-Range')})
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
