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

"""Checksums in files, as SHA512SUMS of a distribution."""

import posixpath
import urllib.parse

from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import checksum_list

#: Bytes of a file of checksums: those of distributions have some KiB.
_LARGEST = 1 << 20


def listed(location: str, image: str) -> engine.Checksum:
    """Checksum that a file of checksums lists for an image.

    :param location: path or URL of the file.
    :param image: path or URL of the image, whose name is looked for.
    :raises SourceError: when the file cannot be read, or lists none.
    """
    with engine.open_source(location) as source:
        if source.size > _LARGEST:
            raise _unusable(source, f'one of {source.size} bytes, of which '
                            f'{_LARGEST} at most are read')
        text = source.read_at(0, source.size).decode('utf-8', 'replace')
        try:
            return checksum_list.find(text, _name(image))
        except ValueError as error:
            raise _unusable(source, str(error)) from None


def _name(image: str) -> str:
    path = image
    if '://' in image or image.lower().startswith('file:'):
        path = urllib.parse.unquote(urllib.parse.urlsplit(image).path)
    return posixpath.basename(path)


def _unusable(source: engine.Source, found: str
              ) -> engine.exceptions.SourceError:
    return engine.exceptions.SourceError(
        source.name, expected='a file with a checksum of the image',
        found=found, fix='Give the checksum itself: --checksum ALGO:HEX.')
