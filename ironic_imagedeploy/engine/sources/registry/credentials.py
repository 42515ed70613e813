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

"""Logins to registries, as container tools keep them.

These are the files of podman, skopeo and buildah (containers-auth.json(5))
and of docker. The first of them that has a login to a registry counts, and in
it the key that says most of the image's name.
"""

import base64
import binascii
from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
import json
import os
import pathlib
import typing

from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.sources.registry import reference

#: Bytes of a file of logins.
_LARGEST = 1 << 20
#: Docker's name for its own registry.
_DOCKER_HUB = 'index.docker.io'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Credentials:
    """A login to a registry, or what stands for one.

    :ivar login: user and password.
    :ivar identity_token: for a token service, in place of a password.
    :ivar elsewhere: a program keeps the login; which one, and who says so.
    """

    login: tuple[str, str] | None = dataclasses.field(
        default=None, repr=False)
    identity_token: str | None = dataclasses.field(default=None, repr=False)
    elsewhere: str = ''

    @property
    def basic(self) -> str | None:
        """Value of an Authorization header (RFC 7617)."""
        if self.login is None:
            return None
        encoded = base64.b64encode(':'.join(self.login).encode())
        return f'Basic {encoded.decode()}'


def find(image: reference.Reference,
         environ: Mapping[str, str] | None = None) -> Credentials:
    """Find the login to the registry of an image; an empty one without.

    :raises SourceError: when a file of logins cannot be read.
    """
    elsewhere = ''
    for path in _paths(os.environ if environ is None else environ):
        config = _read(path)
        entry = _entry(config, image)
        if entry:
            return _decoded(entry, path, image.registry)
        elsewhere = elsewhere or _helper(config, path, image)
    return Credentials(elsewhere=elsewhere)


def _paths(environ: Mapping[str, str]) -> Iterator[pathlib.Path]:
    if environ.get('REGISTRY_AUTH_FILE'):
        yield pathlib.Path(environ['REGISTRY_AUTH_FILE'])
        return
    home = pathlib.Path(environ.get('HOME') or os.path.expanduser('~'))
    auth_file = pathlib.Path('containers', 'auth.json')
    if environ.get('XDG_RUNTIME_DIR'):
        yield environ['XDG_RUNTIME_DIR'] / auth_file
    yield pathlib.Path(
        environ.get('XDG_CONFIG_HOME') or home / '.config') / auth_file
    yield pathlib.Path(
        environ.get('DOCKER_CONFIG') or home / '.docker') / 'config.json'


def _read(path: pathlib.Path) -> dict[str, typing.Any]:
    try:
        with path.open('rb') as file:
            content = file.read(_LARGEST + 1)
        if len(content) > _LARGEST:
            raise _unusable(path, f'more than {_LARGEST} bytes')
        config = json.loads(content)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise _unusable(path, error.strerror or 'an error') from None
    except (ValueError, RecursionError):
        # What the parser says quotes the file.
        raise _unusable(path, 'something that is not JSON') from None
    if not isinstance(config, dict):
        raise _unusable(path, 'JSON that is not an object')
    return config


def _entry(config: Mapping[str, typing.Any], image: reference.Reference
           ) -> Mapping[str, typing.Any] | None:
    """Entry of the key that says most of the image's name."""
    logins = config.get('auths')
    if not isinstance(logins, Mapping):
        return None
    by_name = {_normal(key): entry for key, entry in logins.items()
               if isinstance(entry, Mapping) and any(
                   entry.get(name) for name in ('auth', 'identitytoken'))}
    names = [image.registry]
    for part in image.repository.split('/'):
        names.append(f'{names[-1]}/{part}')
    for name in reversed(names):
        if name in by_name:
            return by_name[name]
    return None


def _normal(key: str) -> str:
    """A key without what docker adds: scheme and version of the API."""
    scheme, _, rest = key.rpartition('://')
    if scheme:
        rest = rest.partition('/')[0]
    rest = rest.rstrip('/')
    return 'docker.io' if rest == _DOCKER_HUB else rest


def _decoded(entry: Mapping[str, typing.Any], path: pathlib.Path,
             registry: str) -> Credentials:
    token = entry.get('identitytoken')
    if isinstance(token, str) and token:
        return Credentials(identity_token=token)
    try:
        encoded = entry['auth']
        user, colon, password = base64.b64decode(
            encoded, validate=True).decode().partition(':')
    except (binascii.Error, TypeError, ValueError):
        colon = ''
    if not colon or not user:
        raise _unusable(path, f'an entry for {registry} without a user and a '
                        'password') from None
    # Docker pads what it encodes with zeroes.
    return Credentials(login=(user, password.rstrip('\0')))


def _helper(config: Mapping[str, typing.Any], path: pathlib.Path,
            image: reference.Reference) -> str:
    """Words for a program that keeps the login to a registry, if any."""
    helpers = config.get('credHelpers')
    name = (helpers.get(image.registry)
            if isinstance(helpers, Mapping) else None)
    name = name or config.get('credsStore')
    return f'{path} names the helper {name!r}' if name else ''


def _unusable(path: pathlib.Path, found: str) -> exceptions.SourceError:
    return exceptions.SourceError(
        str(path), expected='a file of logins to registries', found=found,
        fix='Log in again: podman login REGISTRY; or choose another file '
            'with REGISTRY_AUTH_FILE.')
