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

"""Images in OCI registries, found by Ironic's own client of them."""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import typing
import urllib.parse

import requests

from ironic.common import exception
from ironic.common import image_service
from ironic.drivers.modules import deploy_utils
from ironic import objects

from ironic_imagedeploy.conductor import checksums
from ironic_imagedeploy.conductor import images
from ironic_imagedeploy.conductor import node_fields
from ironic_imagedeploy.conductor import refusals
from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import text

SCHEME = 'oci'
#: Answers of a registry, for one image: lists of tags may have many pages.
_MOST_ANSWERS = 100
#: Ironic's word for a format that nothing tells.
_UNKNOWN = 'unknown'
#: Ironic's word for a container that is not the image of a disk.
_CONTAINER = 'bootc'
#: Failures of Ironic's client, also at an answer that it does not expect.
_FAILURES = (exception.IronicException, requests.RequestException,
             AttributeError, IndexError, KeyError, RecursionError, TypeError,
             ValueError)


class _TooManyAnswers(requests.RequestException):
    """A registry is never done."""


def declared(node: objects.Node, href: str
             ) -> tuple[images.DeclaredImage, images.RegistryBlob]:
    """Metadata of an image, as its registry has them, and where it is.

    :raises InvalidParameterValue: when the registry does not tell, or the
        name stands for something that is not the image of a disk.
    """
    _check_login(node, href)
    found, session, authorization = _identify(node, href)
    if found['image_disk_format'] == _CONTAINER:
        raise refusals.refused(
            'container-format', _name(href),
            message='The name stands for a container.',
            expected='one file, which is the image of a disk',
            found='a container, whose layers are archives of files',
            fix='Push the image of the disk: oras push REGISTRY/NAME:TAG '
                'FILE; or, for a bootable container: openstack baremetal '
                f'node set --deploy-interface bootc {node.uuid}')
    digest = _digest(href, found)
    algorithm, value = checksums.stated(node)
    checksum = checksums.declared(node, href, algorithm=algorithm, value=value,
                                  other=None)
    if checksum is None or checksum.weak:
        checksum = digest
    disk_format = found['image_disk_format']
    if disk_format in (None, _UNKNOWN):
        # What direct leaves there says nothing.
        disk_format = node.instance_info.get('image_disk_format')
        disk_format = None if disk_format == _UNKNOWN else disk_format
    return images.DeclaredImage(
        disk_format=disk_format, checksum=checksum,
        instance_info={
            'image_checksum': found['image_checksum'],
            # What an earlier deployment left there is over.
            **dict.fromkeys(['image_request_authorization_secret'])}
    ), images.RegistryBlob(url=found['image_url'], session=session,
                           authorization=authorization)


def _check_login(node: objects.Node, href: str) -> None:
    """Check that no login is in the name: it would get to the node."""
    if urllib.parse.urlsplit(href).username is not None:
        raise refusals.refused(
            'field-invalid', f'node {node.uuid}',
            message='The field image_source in instance_info cannot be used.',
            expected='the name of an image, without a login',
            found='a login in it',
            fix='openstack baremetal node set --instance-info '
                'image_source=oci://REGISTRY/NAME:TAG --instance-info '
                f'image_pull_secret=USER:PASSWORD {node.uuid}')


def _identify(node: objects.Node, href: str
              ) -> tuple[dict[str, typing.Any], requests.Session, str | None]:
    """The findings of Ironic's service, its session, and a login."""
    service = image_service.OciImageService()
    client = service._client
    session: requests.Session = client.session
    engine.limit_heads(session)
    session.hooks['response'].append(_counter())
    download_source = deploy_utils.get_image_download_source(node)
    processor = node_fields.processor(node)
    with _refusals(href):
        service.set_image_auth(
            href, image_service.get_image_service_auth_override(node))
        try:
            found = service.identify_specific_image(href, download_source,
                                                    processor)
        except exception.ImageServiceAuthenticationRequired:
            if client.get_cached_auth():
                raise
            # Many registries give everybody a token, but only with one.
            client.authenticate(href)
            found = service.identify_specific_image(href, download_source,
                                                    processor)
        if not found:
            raise exception.ImageNotFound(image_id=href)
        engine.redact(found['image_url'])
        # It must not go to those that the registry redirects to.
        session.headers.pop('Authorization', None)
        authorization: str | None = client.get_cached_auth()
        return found, session, authorization


def _counter() -> Callable[..., None]:
    """Hook that ends what never ends."""
    answers = 0

    def count(response: requests.Response, **_: typing.Any) -> None:
        nonlocal answers
        answers += 1
        if answers > _MOST_ANSWERS:
            raise _TooManyAnswers(f'more than {_MOST_ANSWERS} answers')

    return count


def _digest(href: str, found: Mapping[str, typing.Any]
            ) -> engine.Checksum:
    digest = str(found['image_url']).rpartition('/')[2]
    try:
        checksum = engine.Checksum.parse(digest)
    except ValueError:
        checksum = None
    if checksum is None or checksum.weak:
        raise refusals.refused(
            'checksum-invalid', _name(href),
            message='The digest of the image is not usable.',
            expected='one of sha256 or sha512 in the manifest',
            found=ascii(digest[:80]), fix='Push the image again.')
    return checksum


@contextlib.contextmanager
def _refusals(href: str) -> Iterator[None]:
    """Refuse an image that Ironic's client cannot find."""
    try:
        yield
    except exception.ImageServiceAuthenticationRequired:
        raise _unreadable(
            href, expected='permission to read',
            found='that the registry asks for another login',
            fix='openstack baremetal node set --instance-info '
                'image_pull_secret=USER:PASSWORD NODE, or set '
                '[oci]authentication_config.') from None
    except (exception.ImageNotFound, exception.OciImageTagNotFound,
            exception.OciImageNotSpecific, exception.InvalidImageRef,
            exception.ImageRefValidationFailed) as error:
        raise refusals.refused(
            'image-not-found', _name(href),
            message='The registry has no such image.',
            expected='oci://REGISTRY/NAME:TAG or '
                     'oci://REGISTRY/NAME@sha256:DIGEST of a disk image',
            found=text.bounded(str(error).rstrip('.'), 200),
            fix='Check the name, and the processor of the node.') from None
    except (*_FAILURES, engine.exceptions.ImageDeployError) as error:
        found = (f'more than {_MOST_ANSWERS} answers'
                 if isinstance(error, _TooManyAnswers)
                 else _reason(error))
        raise _unreadable(
            href, expected='a manifest from the registry', found=found,
            fix='Check the registry, the network, and the options of '
                '[oci].') from None


def _reason(error: BaseException) -> str:
    """Reason without what a registry may have put into it."""
    status = getattr(getattr(error, 'response', None), 'status_code', None)
    if isinstance(status, int):
        return f'HTTP status {status}'
    if isinstance(error, exception.IronicException):
        return text.bounded(str(error).rstrip('.'), 200)
    if isinstance(error, (requests.RequestException, OSError)):
        return engine.reason(error)
    return 'an answer that is not one of a registry'


def _unreadable(href: str, *, expected: str, found: str, fix: str
                ) -> exception.InvalidParameterValue:
    return refusals.refused(
        'image-unreadable', _name(href),
        message='The registry does not tell about the image.',
        expected=expected, found=found, fix=fix)


def _name(href: str) -> str:
    return text.bounded(engine.redact(href))
