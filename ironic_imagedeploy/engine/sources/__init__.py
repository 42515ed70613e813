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

"""Sources of image files, found by the scheme of their URL."""

from collections.abc import Sequence
from importlib import metadata
import typing

import stevedore

from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.sources import base

NAMESPACE = 'ironic_imagedeploy.sources'


def open_source(location: str, *, mirrors: Sequence[str] = (),
                checksum_stated: bool = False, **options: typing.Any
                ) -> base.Source:
    """Open an image file.

    :param location: a path, or a URL whose scheme names an entry point of
        ``ironic_imagedeploy.sources``: file, http, https, glance, oci.
    :param mirrors: further URLs of the same file, for web servers.
    :param checksum_stated: whether a strong checksum of the whole file is
        compared in the end: web servers may then state another ETag or
        date in each answer.
    :param options: arguments of the source's class: for http ``verify``,
        ``timeout``, ``look_timeout`` (seconds), ``minimum_speed`` (bytes
        per second), ``retries`` and ``first_retries`` (counts), ``notice``
        (called before another attempt) and ``auth``.
    :raises SourceError: when it cannot be opened.
    """
    scheme, colon, _ = location.partition(':')
    scheme = 'file' if not colon or '/' in scheme else scheme.lower()
    if scheme in ('http', 'https'):
        options.update(mirrors=mirrors, checksum_stated=checksum_stated)
    elif scheme == 'file':
        options = {}
    try:
        plugin: stevedore.DriverManager[typing.Any] = (
            stevedore.DriverManager(NAMESPACE, scheme))
    except stevedore.exception.NoMatches:
        raise _unknown(location, scheme) from None
    return typing.cast(base.Source, plugin.driver(location, **options))


def _unknown(location: str, scheme: str) -> exceptions.SourceError:
    """The error for a scheme that no entry point has."""
    installed = sorted(metadata.entry_points(group=NAMESPACE).names)
    if not installed:
        return exceptions.SourceError(
            base.redact(location), expected=f'entry points of {NAMESPACE}',
            found='none', fix='Install this package again, by pip.')
    return exceptions.SourceError(
        base.redact(location),
        expected=f'a path, or a URL of {", ".join(installed)}',
        found=f'the scheme {scheme!r}',
        fix='Give the location of an image file.')
