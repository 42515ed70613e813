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

"""The way from a URL to the server that has the file."""

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import urllib.parse

import requests

from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.sources import answer
from ironic_imagedeploy.engine.sources import base
from ironic_imagedeploy.engine.sources import reasons
from ironic_imagedeploy.engine import text

#: Redirects that are followed for one request.
_MOST_REDIRECTS = 20
#: Characters of an address that an error notes.
_LONGEST_NOTE = 200
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class Route:
    """A URL, and the address that it led to.

    :param url: where the file is asked for first.
    :param request: sends one GET, with headers and a timeout in seconds.
    :param limits: time that the server may take.
    """

    def __init__(self, url: str, request: Callable[
            [str, dict[str, str], float], requests.Response],
            limits: answer.Limits) -> None:
        self.name = base.redact(url)
        self._url = url
        self._address = url
        self._request = request
        self._limits = limits

    def ask(self, headers: dict[str, str],
            check: Callable[[requests.Response], None]
            ) -> requests.Response:
        """Send a GET to the address that answered last, or to the URL.

        :param check: raises SourceError for an answer that is not wanted.
        :raises SourceError: when neither gives an answer.
        """
        if self._address != self._url:
            try:
                return self._follow(self._address, headers, check)
            except exceptions.SourceTooSlow:
                raise
            except exceptions.SourceError:
                self.start_over()
        return self._follow(self._url, headers, check)

    def start_over(self) -> None:
        """Ask the URL itself the next time."""
        self._address = self._url

    def _follow(self, url: str, headers: dict[str, str],
                check: Callable[[requests.Response], None]
                ) -> requests.Response:
        """Send a GET, and again wherever it is redirected to."""
        for _ in range(_MOST_REDIRECTS + 1):
            with self._telling(url):
                response = self._send(url, headers)
            location = response.headers.get('Location')
            if response.status_code not in _REDIRECTS or location is None:
                try:
                    with self._telling(url):
                        check(response)
                except BaseException:
                    response.close()
                    raise
                self._address = url
                return response
            response.close()
            # The first URL may be a name that the request knows.
            base_url = url if base.is_web(url) else response.url
            url = self._target(base_url, location)
        raise self._bad_address(f'more than {_MOST_REDIRECTS} redirects')

    @contextlib.contextmanager
    def _telling(self, url: str) -> Iterator[None]:
        """Note in an error which server failed, where it is another one."""
        try:
            yield
        except exceptions.SourceError as error:
            if url != self._url:
                error.add_note('it was redirected to ' + text.bounded(
                    base.redact(url), _LONGEST_NOTE))
            raise

    def _send(self, url: str, headers: dict[str, str]) -> requests.Response:
        timeout = min(self._limits.timeout,
                      self._limits.deadline.remaining(self.name))
        try:
            return self._request(
                url, {'Accept-Encoding': 'identity', **headers}, timeout)
        except (requests.exceptions.InvalidSchema,
                requests.exceptions.InvalidURL,
                requests.exceptions.MissingSchema) as error:
            raise self._bad_address(reasons.reason(error)) from error
        except answer.NETWORK_ERRORS as error:
            self._limits.deadline.remaining(self.name)
            raise answer.network_failure(self.name, error,
                                         timeout) from error
        except ValueError as error:
            # Redirects may be to anything; not all of it is parsed with care.
            raise self._bad_address(reasons.reason(error)) from error

    def _target(self, url: str, location: str) -> str:
        """The address that a redirect leads to."""
        try:
            # Header fields are latin-1 to http.client, and UTF-8 to servers.
            location = location.encode('latin-1').decode()
            target = urllib.parse.urljoin(
                url, requests.utils.requote_uri(location))
            scheme = urllib.parse.urlsplit(target).scheme
        except ValueError as error:
            raise self._bad_address(reasons.reason(error)) from error
        if not base.is_web(target):
            raise self._bad_address(f'a redirect to {scheme[:40]!r}')
        if scheme == 'http' and url.lower().startswith('https:'):
            raise exceptions.SourceError(
                self.name, expected='https to the end',
                found='a redirect from https to http',
                fix='Let the server redirect to https, or give the address '
                    'that it redirects to.')
        return target

    def _bad_address(self, found: str) -> exceptions.SourceError:
        return exceptions.SourceError(
            self.name, expected='an http(s) address, directly or after a few '
            'redirects', found=found,
            fix='Check the address and where it redirects to.')
