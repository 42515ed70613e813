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


"""Glance, as the commands that change it use it."""

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import re
import typing

from ironic_imagedeploy.cmd import text
from ironic_imagedeploy import engine

#: Seconds for an answer of the cloud, where clouds.yaml has none.
_TIMEOUT = 60.0
#: Seconds for the answer to an upload: what Glance does with the last bytes.
_STORED = 600.0
_TAGS = re.compile(r'<[^>]*>')
_PATCH = 'application/openstack-images-v2.1-json-patch'


class CloudError(engine.exceptions.SourceError):
    """A cloud without a Glance that can be asked."""

    summary = 'Glance cannot be asked'


class GlanceError(engine.exceptions.TargetError):
    """Glance did not do what it was asked for."""

    summary = 'Glance did not do it'


class NotInGlance(GlanceError):
    """Glance has no such image."""

    summary = 'Glance does not have it'


class ImageService:
    """The image service of a cloud.

    :param cloud: name in clouds.yaml; by default OS_CLOUD or OS_* decide.
    :raises CloudError: when there is none.
    """

    def __init__(self, cloud: str | None) -> None:
        self._cloud = cloud
        openstack = engine.require_sdk('Glance', CloudError)
        try:
            connection = openstack.connect(cloud=cloud)
            engine.limit_service(connection, _TIMEOUT)
            self._service: typing.Any = connection.image
        except Exception as error:
            raise self._unusable(error, 'Glance', CloudError) from error

    def create(self, identifier: str, values: Mapping[str, typing.Any]
               ) -> None:
        """Make the record of an image that has no bytes yet.

        :param identifier: UUID that it gets, so that it can be removed
            whatever becomes of the answer.
        :raises GlanceError: when Glance does not take it.
        """
        self._ask('post', '/images', json={'id': identifier, **values},
                  subject=str(values['name']))

    def send(self, identifier: str, body: bytes | Iterable[bytes]) -> None:
        """Give the bytes of an image, once.

        :param body: all bytes, in pieces; its length is their number.
        :raises GlanceError: when Glance does not take them.
        """
        self._ask('put', f'/images/{identifier}/file', data=body,
                  headers={'Content-Type': 'application/octet-stream'},
                  timeout=_STORED, subject=identifier)

    def show(self, identifier: str) -> dict[str, typing.Any]:
        """The record of an image.

        :raises NotInGlance: when there is none.
        :raises GlanceError: when Glance does not tell.
        """
        answer = self._ask('get', f'/images/{identifier}', subject=identifier)
        try:
            record = answer.json()
        except ValueError:
            record = None
        if not isinstance(record, dict):
            raise GlanceError(
                identifier, expected='the record of an image',
                found='another answer', fix='Check the endpoint of Glance.')
        return record

    def change(self, identifier: str,
               changes: Sequence[Mapping[str, typing.Any]]) -> None:
        """Change the record of an image.

        :param changes: as of RFC 6902, with one name in each path.
        :raises GlanceError: when Glance does not take them.
        """
        self._ask('patch', f'/images/{identifier}', json=list(changes),
                  headers={'Content-Type': _PATCH}, subject=identifier)

    def delete(self, identifier: str) -> None:
        """Delete an image; one that is not there is not an error.

        :raises GlanceError: when Glance does not do it.
        """
        try:
            self._ask('delete', f'/images/{identifier}', subject=identifier)
        except NotInGlance:
            return

    def _ask(self, method: str, path: str, *, subject: str,
             **options: typing.Any) -> typing.Any:
        """The answer to one request, which is not repeated."""
        try:
            answer = getattr(self._service, method)(
                path, raise_exc=False, redirect=False, connect_retries=0,
                status_code_retries=0,
                # What was sent once in pieces is not there again.
                allow_reauth='data' not in options, **options)
        except engine.exceptions.ImageDeployError:
            raise
        except Exception as error:
            raise self._unusable(error, subject) from error
        if answer.status_code >= 300:
            raise self._refused(answer, subject)
        return answer

    def _refused(self, answer: typing.Any, subject: str) -> GlanceError:
        status = answer.status_code
        if status == 404:
            return NotInGlance(
                subject, expected='an image of that UUID', found='none',
                fix='Check the UUID, and the cloud.')
        # Glance answers with a page for browsers.
        words = text.printable(' '.join(_TAGS.sub(
            ' ', answer.text[:4096]).split()))
        return GlanceError(
            subject, expected='that Glance takes it',
            found=f'HTTP status {status}' + (f': {words}' if words else ''),
            fix='Check credentials, quota and policy of the image service.')

    def _unusable(self, error: Exception, subject: str,
                  kind: type[engine.exceptions.ImageDeployError] = GlanceError
                  ) -> engine.exceptions.ImageDeployError:
        return engine.cloud_failure(error, subject, service='Glance',
                                    cloud=self._cloud, kind=kind)
