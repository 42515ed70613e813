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

"""Services of a cloud, by openstacksdk: its patience, and its failures."""

import os
import types
import typing

from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.sources import heads
from ironic_imagedeploy.engine.sources import reasons

#: openstacksdk's name of a cloud when there is none.
_NO_NAME = 'defaults'


def require_sdk(
        subject: str, kind: type[exceptions.ImageDeployError]
        = exceptions.SourceError) -> types.ModuleType:
    """The package openstack, which only who asks a cloud needs.

    :param subject: what was asked for.
    :raises ImageDeployError: of the kind, when it is not installed.
    """
    try:
        import openstack
    except ImportError:
        raise kind(
            subject, expected='openstacksdk', found='no such package',
            fix='Run pip install openstacksdk, in the Python environment of '
                'ironic-imagedeploy; the extra glance has it.') from None
    return openstack


def limit_service(service: typing.Any, timeout: float) -> None:
    """Bound the answers that openstacksdk waits for.

    :param service: a connection of openstacksdk, or one of its services.
    :param timeout: seconds for the head of an answer, for the body of a
        document, and of silence, where its session has none.
    """
    session = service.session
    heads.limit_heads(session.session)
    if session.timeout is None:
        session.timeout = timeout


def cloud_failure(
        error: Exception, subject: str, *, service: str, cloud: str | None,
        kind: type[exceptions.ImageDeployError] = exceptions.SourceError
        ) -> exceptions.ImageDeployError:
    """The error for a service that does not answer.

    Discovery, clouds.yaml and Keystone fail with unrelated types, whose
    words may hold what is secret.

    :param subject: what was asked for.
    :param service: name of the service, as Glance.
    :param cloud: name in clouds.yaml; None when OS_CLOUD or OS_* decide.
    """
    from keystoneauth1.exceptions import auth_plugins
    import openstack

    if isinstance(error, (openstack.exceptions.ConfigException,
                          auth_plugins.AuthPluginException)):
        return _no_cloud(subject, cloud, kind)
    return kind(
        subject, expected=f'an answer from {service}', found=_reason(error),
        fix='Check the cloud, its credentials and its endpoints.')


def _reason(error: Exception) -> str:
    from keystoneauth1 import exceptions as keystone_exceptions

    if isinstance(error, keystone_exceptions.EndpointNotFound):
        return 'no endpoint of it in the catalog of the cloud'
    status = (getattr(error, 'http_status', None)
              or getattr(error, 'status_code', None))
    if status in (401, 403):
        return f'no permission (HTTP status {status})'
    if isinstance(status, int):
        return f'HTTP status {status}'
    if isinstance(error, keystone_exceptions.DiscoveryFailure):
        return 'no list of its versions'
    return reasons.reason(error)


def _no_cloud(subject: str, cloud: str | None,
              kind: type[exceptions.ImageDeployError]
              ) -> exceptions.ImageDeployError:
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
    return kind(
        subject, expected='a cloud, by its name or by OS_AUTH_URL and its '
        'like', found=found + (
            f'; clouds.yaml has: {known}' if known else ''),
        fix='Choose one with OS_CLOUD or --os-cloud.' if known else
        'Write a clouds.yaml, or set OS_AUTH_URL and its like.')
