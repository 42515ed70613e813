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

"""Tokens that a registry asks for before it gives an image.

A registry answers with the address of its token service. It may be told the
login to the registry, as docker and podman do, so it has to speak https; only
one that is asked by http may have its service there, too, on the same host.
"""

import json
import re
import typing
import urllib.parse

import requests

from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.sources import answer
from ironic_imagedeploy.engine.sources import authorization as _authorization
from ironic_imagedeploy.engine.sources import heads
from ironic_imagedeploy.engine.sources.registry import challenge
from ironic_imagedeploy.engine.sources.registry import credentials

#: Bytes of the answer of a token service.
_LARGEST = 64 << 10
#: Bytes that are read at once.
_BUFFER = 64 << 10
_TOKEN = re.compile(r'[!-~]+', re.ASCII)
_CLIENT = 'ironic-imagedeploy'
_RETRIED_STATUS = frozenset({429, 500, 502, 503, 504})


def authorize(offers: str, registry: str, scope: str,
              login: credentials.Credentials, session: requests.Session, *,
              verify: bool | str, timeout: float) -> str:
    """Value of the Authorization header that a registry asks for.

    :param offers: its WWW-Authenticate header.
    :param registry: URL of its API.
    :param scope: what is to be done, where the registry does not say it.
    :param timeout: seconds for the answer of a token service.
    :raises SourceError: when there is no way to log in.
    """
    found = {offer.scheme: offer.parameters
             for offer in reversed(challenge.parse(offers))}
    if 'bearer' in found:
        parameters = {'scope': scope, **found['bearer']}
        token = _Service(registry, parameters, verify, timeout).token(
            login, session)
        return f'Bearer {token}'
    if 'basic' in found and login.basic:
        return login.basic
    raise exceptions.SourceError(
        registry, expected='permission to read',
        found='a registry that asks for a login, and '
        + (f'none that can be read: {login.elsewhere}, which is not run'
           if login.elsewhere else 'none that suits'),
        fix='Log in: podman login REGISTRY; or choose the file with the login '
            'by REGISTRY_AUTH_FILE.')


class _Service:
    """The token service of a registry.

    :param parameters: realm, service and scope, by the registry.
    """

    def __init__(self, registry: str, parameters: dict[str, str],
                 verify: bool | str, timeout: float) -> None:
        self._registry = registry
        self._realm = _checked(parameters.get('realm', ''), registry)
        self._query = {name: parameters[name] for name in ('service', 'scope')
                       if parameters.get(name)}
        self._verify = verify
        self._timeout = timeout

    def token(self, login: credentials.Credentials, session: requests.Session
              ) -> str:
        """Token for the registry; without a login one for everybody."""
        if login.identity_token:
            response = self._send(session, 'POST', None, data={
                **self._query, 'grant_type': 'refresh_token',
                'client_id': _CLIENT, 'refresh_token': login.identity_token})
        else:
            response = self._send(session, 'GET', login.basic,
                                  params=self._query)
        try:
            self._check_status(response)
            content = read(response, _LARGEST, self._name, self._timeout)
        finally:
            response.close()
        return self._of(content)

    def _send(self, session: requests.Session, method: str,
              authorization: str | None, **options: typing.Any
              ) -> requests.Response:
        try:
            return session.request(
                method, self._realm, stream=True, allow_redirects=False,
                timeout=self._timeout, verify=self._verify,
                headers={'Accept-Encoding': 'identity'},
                auth=_authorization.Authorization(authorization), **options)
        except answer.NETWORK_ERRORS as error:
            raise answer.network_failure(self._name, error, self._timeout
                                         ) from error
        except ValueError as error:
            raise _bad_realm(self._registry) from error

    @property
    def _name(self) -> str:
        return f'{self._registry} (its token service)'

    def _check_status(self, response: requests.Response) -> None:
        status = response.status_code
        if status == 200:
            return
        kind = (exceptions.SourceUnavailable if status in _RETRIED_STATUS
                else exceptions.SourceError)
        raise kind(
            self._name, expected='a token for the image',
            found=f'HTTP status {status}',
            fix='Check the login to the registry: podman login REGISTRY, and '
                'whether it may read the image.')

    def _of(self, content: bytes) -> str:
        try:
            values = json.loads(content)
            token = values.get('token') or values.get('access_token')
        except (AttributeError, ValueError, RecursionError):
            token = None
        if isinstance(token, str) and _TOKEN.fullmatch(token):
            return token
        raise exceptions.SourceError(
            self._name, expected='a token for the image',
            found='an answer without one', fix='Check the registry.')


def read(response: requests.Response, most: int, name: str, timeout: float,
         deadline: answer.Deadline | None = None) -> bytes:
    """The whole of a small answer.

    :param most: bytes that it may have.
    :param name: of what was asked for, without secrets.
    :param timeout: seconds of silence.
    :param deadline: of the look that it is a part of.
    :raises SourceError: when it does not come, or is larger.
    """
    deadline = deadline or answer.Deadline(timeout)
    content, buffer = bytearray(), memoryview(bytearray(_BUFFER))
    while True:
        deadline.remaining(name)
        try:
            count = heads.receive(response.raw, buffer)
        except answer.NETWORK_ERRORS as error:
            raise answer.network_failure(name, error, timeout) from error
        if not count:
            break
        content += buffer[:count]
        if len(content) > most:
            raise exceptions.SourceError(
                name, expected=f'an answer of {most} bytes at most',
                found='a larger one', fix='Check the registry.')
    length = response.headers.get('Content-Length', '')
    if length.isascii() and length.isdigit() and int(
            length[:18]) != len(content):
        raise exceptions.ConnectionDropped(
            name, expected=f'{length[:18]} bytes',
            found=f'{len(content)}, and the end of the connection',
            fix='Check the server and what lies between.')
    return bytes(content)


def _checked(realm: str, registry: str) -> str:
    """The address of a token service, if it may be told a login."""
    try:
        parts = urllib.parse.urlsplit(realm)
        host = parts.hostname
    except ValueError:
        raise _bad_realm(registry) from None
    known = urllib.parse.urlsplit(registry)
    is_safe = parts.scheme == 'https' or (
        parts.scheme == known.scheme == 'http' and host == known.hostname)
    if not host or not is_safe or parts.username is not None:
        raise _bad_realm(registry)
    return urllib.parse.urlunsplit(parts._replace(fragment=''))


def _bad_realm(registry: str) -> exceptions.SourceError:
    return exceptions.SourceError(
        registry, expected='a token service that is asked by https',
        found='another address for it', fix='Check the registry: its answer '
        'names where logins are sent to.')
