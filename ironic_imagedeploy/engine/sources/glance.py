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

import re
import typing

import requests

from ironic_imagedeploy.engine import checksum
from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.sources import answer as _answer
from ironic_imagedeploy.engine.sources import base
from ironic_imagedeploy.engine.sources import clouds
from ironic_imagedeploy.engine.sources import http
from ironic_imagedeploy.engine.sources import ranges

SCHEME = 'glance:'
#: Stores of Glance that are to be read from, where they have the image.
_PREFERENCE = re.compile(r'prefer=[A-Za-z0-9_.-]+(?:,[A-Za-z0-9_.-]+)*',
                         re.ASCII)
_STORES = 'Name stores of Glance: openstack image stores info.'


class GlanceSource(http.HttpSource):
    """The stored file of an image, read by ranges from Glance's API.

    :param location: ``glance:UUID``, or ``glance:UUID?prefer=STORE,STORE``
        for the stores that are read first.
    :param cloud: name in clouds.yaml; by default OS_CLOUD or OS_* decide.
    :param timeout: seconds for the head of an answer, and of silence; for
        the whole record of the image, too.
    :param options: those of :class:`HttpSource`.
    """

    def __init__(self, location: str, *, cloud: str | None = None,
                 timeout: float = _answer.TIMEOUT, **options: typing.Any
                 ) -> None:
        identifier, _, query = location.removeprefix(SCHEME).partition('?')
        _check_query(location, query)
        service, image = _find(identifier, cloud, timeout)
        self.declared_format = image.disk_format
        if image.hash_algo and image.hash_value:
            self.declared_checksum = _checksum(location, image)
            options['checksum_stated'] = not self.declared_checksum.weak

        super().__init__(
            location, request=glance_request(service, identifier, location,
                                             query),
            timeout=timeout, **options)
        self.name = location


def glance_request(service: typing.Any, identifier: str, location: str,
                   query: str = '') -> ranges.Request:
    """A way to ask Glance for ranges of an image's file.

    :param service: the image service of openstacksdk.
    :param identifier: UUID of the image.
    :param location: how the source calls the file; other addresses are
        those that Glance redirects to, which do not get its token.
    :param query: of the requests for the file.
    """
    from keystoneauth1 import exceptions as keystone_exceptions

    def send(address: str, headers: dict[str, str], timeout: float
             ) -> requests.Response:
        known = address == location or base.may_know_secrets(
            address, of=service.get_endpoint())
        if address == location:
            address = f'/images/{identifier}/file' + (
                f'?{query}' if query else '')
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
        answer = send(address, {
            name: value for name, value in headers.items()
            if name not in ('Range', 'If-Range')}, timeout)
        if answer.status_code != 400 or not query:
            return answer
        answer.close()
        raise exceptions.SourceError(
            f'{SCHEME}{identifier}', expected='stores that this Glance has',
            found=f'HTTP status 400 for {query}', fix=_STORES)

    return request


def _check_query(location: str, query: str) -> None:
    if query and not _PREFERENCE.fullmatch(query):
        raise exceptions.SourceError(
            base.redact(location), expected='glance:UUID, or '
            'glance:UUID?prefer=STORE', found='another query',
            fix=_STORES)


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
    openstack = clouds.require_sdk(f'{SCHEME}{identifier}')
    try:
        connection = openstack.connect(cloud=cloud)
        clouds.limit_service(connection, timeout)
        service = connection.image
        return service, service.get_image(identifier)
    except openstack.exceptions.NotFoundException:
        raise exceptions.SourceNotFound(
            f'{SCHEME}{identifier}', expected='an image of that UUID',
            found='none', fix='Check the UUID, and the cloud.') from None
    except Exception as error:
        raise clouds.cloud_failure(
            error, f'{SCHEME}{identifier}', service='Glance', cloud=cloud
        ) from error
