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

"""Small files that come beside an image."""

from collections.abc import Iterator
import contextlib
import posixpath
import typing
import urllib.parse

from ironic_imagedeploy.cmd import retries
from ironic_imagedeploy import engine


class SmallFileError(engine.exceptions.SourceError):
    """A file that comes beside an image cannot be read.

    :param retry: when another attempt may succeed.
    """

    summary = 'the file cannot be read'

    def __init__(self, subject: str, *, retry: str = 'never',
                 **parts: str) -> None:
        super().__init__(subject, **parts)
        self.retry = retry


class SmallFile(typing.NamedTuple):
    """A file and where it was, without secrets."""

    name: str
    content: bytes


def read(location: str, *, most: int, expected: str, fix: str,
         cloud: str | None = None, too_large:
         type[engine.exceptions.ImageDeployError] = SmallFileError
         ) -> SmallFile:
    """A file that is given beside an image.

    :param location: path or URL of the file.
    :param most: bytes that are read at most.
    :param expected: what the file is.
    :param fix: what to do when it is not.
    :param cloud: name in clouds.yaml, for a file in Glance.
    :param too_large: error for a larger one, which is not what is expected.
    :raises SourceError: when it cannot be read.
    """
    try:
        with _opened(location, cloud) as source:
            if source.size > most:
                raise too_large(
                    source.name, expected=expected, fix=fix,
                    found=f'one of {source.size} bytes, of which {most} at '
                    'most are read')
            return SmallFile(source.name, source.read_at(0, source.size))
    except SmallFileError:
        raise
    except engine.exceptions.SourceError as error:
        # What it says is about an image.
        raise SmallFileError(error.subject, expected=expected,
                             found=error.found, fix=fix,
                             retry=error.retry) from error


def _opened(location: str, cloud: str | None) -> engine.Source:
    options = retries.options(location)
    if location.lower().startswith('glance:'):
        options['cloud'] = cloud
    return engine.open_source(location, **options)


@contextlib.contextmanager
def blamed(location: str, *, fix: str | None = None) -> Iterator[None]:
    """Name a manifest or block map in the errors that it is the cause of.

    :param location: path or URL of the file.
    :param fix: what to do about it, when the error does not know better.
    """
    try:
        yield
    except (engine.exceptions.InvalidManifest,
            engine.exceptions.InvalidBmap) as error:
        raise type(error)(
            engine.redact(location), expected=error.expected,
            found=error.found, fix=fix or error.fix) from error


def name(location: str) -> str:
    """Name of the file at a path or URL, without its directory."""
    return posixpath.basename(path(location))


def path(location: str) -> str:
    """Path of a file, also that in a URL."""
    if '://' in location or location.lower().startswith('file:'):
        return urllib.parse.unquote(urllib.parse.urlsplit(location).path)
    return location
