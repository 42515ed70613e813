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

"""Names of images in registries."""

import dataclasses
import re
import typing

from ironic_imagedeploy.engine import checksum as _checksum
from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.sources import base

SCHEME = 'oci://'
#: Tag of a name that has none.
_LATEST = 'latest'
_LONGEST = 1024
_HOST = (r'(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)'
         r'(?::[0-9]{1,5})?')
#: OCI distribution specification 1.1, "Pulling manifests".
_PART = r'[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*'
_TAG = r'[A-Za-z0-9_][A-Za-z0-9._-]{0,127}'
_DIGEST = r'sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}'
_REFERENCE = re.compile(
    rf'(?P<registry>{_HOST})/(?P<repository>{_PART}(?:/{_PART})*)'
    rf'(?::(?P<tag>{_TAG}))?(?:@(?P<digest>{_DIGEST}))?', re.ASCII)
_DOCKER_HUB = 'docker.io'
_LOOPBACK = re.compile(r'(?:localhost|127\.[0-9.]+|\[::1\])(?::[0-9]+)?',
                       re.ASCII)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reference:
    """Name of an image in a registry.

    :ivar registry: host, and port where it is not the usual one.
    :ivar repository: path of the image in there.
    :ivar tag: which version; what a digest names comes first.
    :ivar digest: of the manifest.
    """

    registry: str
    repository: str
    tag: str = _LATEST
    digest: _checksum.Checksum | None = None

    @classmethod
    def parse(cls, location: str) -> typing.Self:
        """Read ``oci://REGISTRY/NAME``, with ``:TAG`` or ``@DIGEST``.

        :raises SourceError: when it is something else.
        """
        words = location[len(SCHEME):]
        match = (_REFERENCE.fullmatch(words) if len(words) <= _LONGEST
                 and location[:len(SCHEME)].lower() == SCHEME else None)
        if match is None:
            raise exceptions.SourceError(
                base.redact(location[:_LONGEST]),
                expected='oci://REGISTRY/NAME:TAG or '
                'oci://REGISTRY/NAME@sha256:DIGEST, in lower case',
                found='something else',
                fix='Check the name of the image. A login belongs in the '
                    'file that podman login writes.')
        registry, repository = match['registry'], match['repository']
        if registry == _DOCKER_HUB and '/' not in repository:
            repository = f'library/{repository}'
        digest = match['digest']
        return cls(
            registry=registry, repository=repository,
            tag=match['tag'] or _LATEST,
            digest=_checksum.Checksum.parse(digest) if digest else None)

    @property
    def host(self) -> str:
        """Host and port of the registry's API."""
        if self.registry == _DOCKER_HUB:
            return f'registry-1.{_DOCKER_HUB}'
        return self.registry

    @property
    def is_local(self) -> bool:
        """Whether the registry is on this machine."""
        return bool(_LOOPBACK.fullmatch(self.registry))


def digest_text(digest: _checksum.Checksum) -> str:
    """A digest as registries write it."""
    return f'{digest.algorithm}:{digest.value}'
