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

"""Images from web servers, asked for as the agent asks for them."""

import base64
from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import dataclasses

from oslo_config import cfg
from oslo_log import log
import requests

from ironic_python_agent import config  # noqa: F401 (before utils)
from ironic_python_agent import utils

from ironic_imagedeploy.agent import order as orders
from ironic_imagedeploy.contract import order as contract
from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import manifest

CONF = cfg.CONF
LOG = log.getLogger(__name__)
_REGISTRY = 'oci:'


@contextlib.contextmanager
def open_image(download: orders.Download) -> Iterator[engine.Source]:
    """Open the image with the agent's TLS, proxy and login options.

    :raises SourceError: when no URL of the image can be opened.
    """
    is_named = download.urls[0].lower().startswith(_REGISTRY)
    opened = _open_registry if is_named else _open_web
    with opened(download) as source:
        yield source


def _open_registry(download: orders.Download) -> engine.Source:
    """Open an image that a registry names, whose digest is its checksum."""
    session = utils.get_requests_session()
    return engine.open_source(
        download.urls[0], session=session, verify=session.verify,
        timeout=CONF.image_download_connection_timeout,
        minimum_speed=download.minimum_speed,
        retries=CONF.image_download_connection_retries)


@contextlib.contextmanager
def _open_web(download: orders.Download) -> Iterator[engine.Source]:
    login = _login(download)
    timeout = CONF.image_download_connection_timeout
    with utils.get_requests_session() as session:
        engine.limit_heads(session)

        def request(url: str, headers: dict[str, str], timeout: float
                    ) -> requests.Response:
            answer: requests.Response = session.get(
                url, headers=headers, stream=True,
                auth=login if engine.may_know_secrets(url, of=location)
                else None,
                # Else REQUESTS_CA_BUNDLE would win over the option insecure.
                verify=session.verify, allow_redirects=False,
                timeout=timeout, proxies=_proxies(url, download))
            return answer

        location, *mirrors = download.urls
        with engine.open_source(
                location, mirrors=mirrors, request=request, timeout=timeout,
                minimum_speed=download.minimum_speed,
                checksum_stated=download.checksum_stated,
                retries=CONF.image_download_connection_retries) as source:
            yield source


@contextlib.contextmanager
def open_separate(download: orders.Download, url: str
                  ) -> Iterator[engine.Source]:
    """Open a file that comes with the image, from wherever it is.

    :raises SourceError: when it cannot be opened.
    """
    separate = dataclasses.replace(download, urls=(url,),
                                   checksum_stated=False)
    if engine.origin(url) != engine.origin(download.urls[0]):
        # Logins for the image are not told to another server.
        separate = dataclasses.replace(separate, authorization=None,
                                       login=None)
    with open_image(separate) as source:
        yield source


@contextlib.contextmanager
def open_ordered(order: orders.WriteOrder) -> Iterator[engine.Source]:
    """Open the image of an order, verified by its manifest if it has one.

    A server that gives no ranges gives no single chunks: there the checksum
    of the whole file verifies the image.

    :raises SourceError: when one of them cannot be opened.
    :raises InvalidManifest: when they do not belong together.
    """
    with open_image(order.download) as source:
        chunks = fetch_manifest(order, source)
        if chunks is None or not source.random_access:
            yield source
        else:
            yield engine.ChunkedSource(
                chunks, source, disk=fetch_disk_manifest(order))


def fetch_manifest(order: orders.WriteOrder, image: engine.Source
                   ) -> manifest.Manifest | None:
    """Fetch the manifest of an image; None when none was ordered.

    :param image: open.
    :raises SourceError: when it cannot be fetched.
    :raises InvalidManifest: when it is not the one that was ordered, or of
        another image.
    """
    remote = order.manifest
    if remote is None:
        return None
    return manifest.Manifest.decode(
        _encoded(order, remote), root=remote.root, size=image.size,
        checksum=order.checksum)


def fetch_disk_manifest(order: orders.WriteOrder
                        ) -> manifest.Manifest | None:
    """Fetch the manifest of the disk in an image; None without one.

    It only saves bytes: the image is written without it where it cannot be
    fetched.

    :raises InvalidManifest: when it is not the one that was ordered, or of
        another image.
    """
    remote = order.disk_manifest
    if remote is None:
        return None
    try:
        encoded = _encoded(order, remote)
    except engine.exceptions.SourceError as problem:
        LOG.warning('What the disk holds of the image is not looked for: '
                    '%s', problem)
        return None
    return manifest.Manifest.decode(encoded, root=remote.root,
                                    checksum=order.checksum)


def _encoded(order: orders.WriteOrder, remote: contract.RemoteManifest
             ) -> bytes:
    with open_separate(order.download, remote.url) as source:
        if (remote.size not in (None, source.size)
                or source.size > manifest.MOST_BYTES):
            stated = (f'{remote.size} bytes, and ' if remote.size
                      else '')
            raise engine.exceptions.InvalidManifest(
                source.name, expected=f'{stated}{manifest.MOST_BYTES} at most',
                found=f'{source.size} bytes', fix='Deploy the node again.')
        return _whole(source)


def _whole(source: engine.Source) -> bytes:
    """Bytes of a small file."""
    encoded = bytearray(source.size)
    view, done = memoryview(encoded), 0
    with contextlib.closing(source.open_stream()) as stream:
        while count := stream.readinto(view[done:]):
            done += count
    return bytes(encoded[:done])


def _login(download: orders.Download) -> requests.auth.AuthBase | None:
    if download.authorization:
        return engine.Authorization(
            base64.b64decode(download.authorization).decode())
    if download.login:
        return requests.auth.HTTPBasicAuth(*download.login)
    if CONF.image_server_auth_strategy == 'http_basic':
        return requests.auth.HTTPBasicAuth(CONF.image_server_user or '',
                                           CONF.image_server_password or '')
    return None


def _proxies(url: str, download: orders.Download) -> Mapping[str, str]:
    # Given proxies win over the environment, no_proxy included: ask here.
    if download.no_proxy and requests.utils.should_bypass_proxies(
            url, download.no_proxy):
        return {}
    return download.proxies
