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

"""A registry, asked as the OCI distribution specification 1.1 says."""

from collections.abc import Callable
import hashlib
import threading

import requests

from ironic_imagedeploy.engine import checksum as _checksum
from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.sources import answer
from ironic_imagedeploy.engine.sources import authorization as _authorization
from ironic_imagedeploy.engine.sources import base
from ironic_imagedeploy.engine.sources import heads
from ironic_imagedeploy.engine.sources import mirrors
from ironic_imagedeploy.engine.sources import ranges
from ironic_imagedeploy.engine.sources import reasons
from ironic_imagedeploy.engine.sources import redirects
from ironic_imagedeploy.engine.sources.registry import credentials
from ironic_imagedeploy.engine.sources.registry import reference
from ironic_imagedeploy.engine.sources.registry import tokens

#: Bytes of a manifest: what registries have to take ("Pushing manifests").
LARGEST_MANIFEST = 4 << 20
_MANIFESTS = ', '.join((
    'application/vnd.oci.image.index.v1+json',
    'application/vnd.oci.image.manifest.v1+json',
    'application/vnd.docker.distribution.manifest.list.v2+json',
    'application/vnd.docker.distribution.manifest.v2+json'))


class Registry:
    """The registry of an image.

    It is asked by https; on this machine also by http, as container tools
    do.

    :param image: its name.
    :param login: to the registry, if it asks for one.
    :param limits: time that it may take.
    :param patience: makes a count of failures that are borne.
    :param verify: as of :class:`.http.HttpSource`.
    :param session: with which it is asked; closed in the end.
    """

    def __init__(self, image: reference.Reference,
                 login: credentials.Credentials, *, limits: answer.Limits,
                 patience: Callable[[], mirrors.Patience],
                 verify: bool | str = True,
                 session: requests.Session | None = None) -> None:
        self._image = image
        self._login = login
        self._limits = limits
        self._patience = patience
        self._verify = verify
        self._url = f'https://{image.host}'
        self._lock = threading.Lock()
        self._authorization: str | None = None
        self._session = session or requests.Session()
        heads.limit_heads(self._session)

    def manifest(self, wanted: str, digest: _checksum.Checksum | None = None
                 ) -> bytes:
        """Fetch a manifest, or an index of manifests.

        :param wanted: its tag or digest.
        :param digest: of its bytes.
        :raises SourceError: when it is not given.
        :raises ChecksumMismatch: when it is another one.
        """
        patience = self._patience()
        while True:
            try:
                content = self._manifest(wanted)
                break
            except exceptions.SourceUnreachable as problem:
                if (self._image.is_local and self._url.startswith('https:')
                        and reasons.is_not_tls(problem)):
                    self._url = f'http://{self._image.host}'
                elif not patience.wait(problem):
                    raise
            except exceptions.SourceError as problem:
                if not patience.wait(problem):
                    raise
        if digest:
            digest.check(f'{self._url} (manifest {wanted})', hashlib.new(
                digest.algorithm, content).hexdigest())
        return content

    def blob_request(self, location: str, digest: _checksum.Checksum
                     ) -> ranges.Request:
        """A way to ask for ranges of a blob.

        :param location: how the source calls it; other addresses are those
            that the registry redirects to, which learn no secret of it.
        """
        blob = self._api(f'blobs/{reference.digest_text(digest)}')

        def request(address: str, headers: dict[str, str], timeout: float
                    ) -> requests.Response:
            return self._request(blob if address == location else address,
                                 headers, timeout)

        return request

    def close(self) -> None:
        """Close its connections."""
        self._session.close()

    def _api(self, path: str) -> str:
        return f'{self._url}/v2/{self._image.repository}/{path}'

    def _manifest(self, wanted: str) -> bytes:
        route = redirects.Route(self._api(f'manifests/{wanted}'),
                                self._request, self._limits)
        response = route.ask({'Accept': _MANIFESTS}, self._check_status)
        try:
            return tokens.read(response, LARGEST_MANIFEST, route.name,
                               self._limits.timeout, self._limits.deadline)
        finally:
            response.close()

    def _check_status(self, response: requests.Response) -> None:
        status = response.status_code
        if status == 200:
            return
        name, found = self._url, f'HTTP status {status}'
        if status == 404:
            raise exceptions.SourceNotFound(
                name, expected=f'{self._image.repository} with the tag or '
                'digest', found=found, fix='Check the name of the image.')
        if status in (401, 403):
            raise exceptions.SourceError(
                name, expected='permission to read '
                f'{self._image.repository}', found=found,
                fix='Check the login to the registry, and the name of the '
                    'image: many registries say so of one that they do not '
                    'have.')
        kind = (exceptions.SourceUnavailable if status in (408, 429)
                or status >= 500 else exceptions.SourceError)
        raise kind(name, expected='the manifest of the image', found=found,
                   fix='Check the registry, and try again.')

    def _request(self, url: str, headers: dict[str, str], timeout: float
                 ) -> requests.Response:
        """Send a GET, logged in where the registry asks for it."""
        if not base.may_know_secrets(url, of=self._url):
            return self._send(url, headers, timeout, None)
        used = self._authorization
        response = self._send(url, headers, timeout, used)
        if response.status_code != 401:
            return response
        offers = response.headers.get('WWW-Authenticate', '')
        response.close()
        with self._lock:
            # Another thread may have a new token already.
            if self._authorization == used:
                self._authorization = tokens.authorize(
                    offers, self._url,
                    f'repository:{self._image.repository}:pull', self._login,
                    self._session, verify=self._verify, timeout=timeout)
        return self._send(url, headers, timeout, self._authorization)

    def _send(self, url: str, headers: dict[str, str], timeout: float,
              authorization: str | None) -> requests.Response:
        return self._session.get(
            url, headers=headers, stream=True, timeout=timeout,
            verify=self._verify, allow_redirects=False,
            auth=_authorization.Authorization(authorization))
