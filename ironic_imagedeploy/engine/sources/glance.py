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

"""Images of a Glance, with credentials as openstacksdk finds them."""

import os
import typing

import requests

from ironic_imagedeploy.engine import checksum
from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.sources import base
from ironic_imagedeploy.engine.sources import heads
from ironic_imagedeploy.engine.sources import http
from ironic_imagedeploy.engine.sources import ranges

SCHEME = 'glance:'
#: openstacksdk's name of a cloud when there is none.
_NO_NAME = 'defaults'


class GlanceSource(http.HttpSource):
    """The stored file of an image, read by ranges from Glance's API.

    :param location: ``glance:UUID``.
    :param cloud: name in clouds.yaml; by default OS_CLOUD or OS_* decide.
    :param timeout: seconds for the head of an answer, and of silence; for
        the whole record of the image, too.
    :param options: those of :class:`HttpSource`.
    """

    def __init__(self, location: str, *, cloud: str | None = None,
                 timeout: float = 60.0, **options: typing.Any) -> None:
        identifier = location.removeprefix(SCHEME)
        service, image = _find(identifier, cloud, timeout)
        self.declared_format = image.disk_format
        if image.hash_algo and image.hash_value:
            self.declared_checksum = _checksum(location, image)
            options['checksum_stated'] = not self.declared_checksum.weak

        super().__init__(
            location, request=glance_request(service, identifier, location),
            timeout=timeout, **options)
        self.name = location


def limit_glance(service: typing.Any, timeout: float) -> None:
    """Bound the answers that openstacksdk waits for.

    :param service: a connection of openstacksdk, or one of its services.
    :param timeout: seconds for the head of an answer, for the body of a
        document, and of silence, where its session has none.
    """
    session = service.session
    heads.limit_heads(session.session)
    if session.timeout is None:
        session.timeout = timeout


def glance_request(service: typing.Any, identifier: str, location: str
                   ) -> ranges.Request:
    """A way to ask Glance for ranges of an image's file.

    :param service: the image service of openstacksdk.
    :param identifier: UUID of the image.
    :param location: how the source calls the file; other addresses are
        those that Glance redirects to, which do not get its token.
    """
    from keystoneauth1 import exceptions as keystone_exceptions

    def send(address: str, headers: dict[str, str], timeout: float
             ) -> requests.Response:
        known = address == location or base.may_know_secrets(
            address, of=service.get_endpoint())
        if address == location:
            address = f'/images/{identifier}/file'
        try:
            answer: requests.Response = service.get(
                address, headers=headers, stream=True,
                authenticated=None if known else False, redirect=False,
                raise_exc=False, timeout=timeout, connect_retries=0,
                status_code_retries=0)
        except keystone_exceptions.ConnectTimeout as error:
            raise requests.ConnectTimeout(type(error).__name__) from error
        except keystone_exceptions.ClientException as error:
            raise requests.ConnectionError(type(error).__name__) from error
        return answer

    def request(address: str, headers: dict[str, str], timeout: float
                ) -> requests.Response:
        answer = send(address, headers, timeout)
        if answer.status_code != 400:
            return answer
        # Glance says so when the store behind it has no ranges.
        answer.close()
        return send(address, {
            name: value for name, value in headers.items()
            if name not in ('Range', 'If-Range')}, timeout)

    return request


def _checksum(location: str, image: typing.Any) -> checksum.Checksum:
    try:
        return checksum.Checksum(image.hash_algo, image.hash_value)
    except ValueError as error:
        raise exceptions.SourceError(
            location, expected='a multihash in the record of the image',
            found=str(error), fix='Upload the image again.') from None


def _find(identifier: str, cloud: str | None, timeout: float
          ) -> tuple[typing.Any, typing.Any]:
    """Glance's proxy and the image's record."""
    try:
        from keystoneauth1.exceptions import auth_plugins
        import openstack
    except ImportError:
        raise exceptions.SourceError(
            f'{SCHEME}{identifier}', expected='openstacksdk',
            found='no such package',
            fix="Install ironic-imagedeploy with its extra 'glance'."
        ) from None
    try:
        connection = openstack.connect(cloud=cloud)
        limit_glance(connection, timeout)
        service = connection.image
        return service, service.get_image(identifier)
    except openstack.exceptions.NotFoundException:
        raise exceptions.SourceNotFound(
            f'{SCHEME}{identifier}', expected='an image of that UUID',
            found='none', fix='Check the UUID, and the cloud.') from None
    except (openstack.exceptions.ConfigException,
            auth_plugins.AuthPluginException) as error:
        raise _no_cloud(f'{SCHEME}{identifier}', cloud) from error
    except Exception as error:
        # Discovery, clouds.yaml and Keystone fail with unrelated types.
        raise exceptions.SourceError(
            f'{SCHEME}{identifier}', expected='an answer from Glance',
            found=type(error).__name__,
            fix='Check the cloud, its credentials and its endpoints.'
        ) from error


def _no_cloud(location: str, cloud: str | None) -> exceptions.SourceError:
    """Error that says which clouds there are."""
    import openstack

    chosen = cloud or os.environ.get('OS_CLOUD')
    try:
        names = openstack.config.OpenStackConfig().get_cloud_names()
    except openstack.exceptions.ConfigException:
        names = []
    known = ', '.join(name for name in names if name != _NO_NAME)
    if chosen in names:
        found = f'no usable credentials for the cloud {chosen!r}'
    elif chosen:
        found = f'no cloud {chosen!r}'
    else:
        found = 'that no cloud is configured'
    return exceptions.SourceError(
        location, expected='a cloud, by its name or by OS_AUTH_URL and its '
        'like', found=found + (
            f'; clouds.yaml has: {known}' if known else ''),
        fix='Choose one with OS_CLOUD or --os-cloud.' if known else
        'Write a clouds.yaml, or set OS_AUTH_URL and its like.')
