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

from ironic_imagedeploy.cmd import small_files
from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import checksum_list

#: Bytes of a file of checksums: those of distributions have some KiB.
_LARGEST = 1 << 20
_EXPECTED = 'a file with a checksum of the image'
_FIX = 'Give the checksum itself: --checksum ALGO:HEX.'


def listed(location: str, image: str) -> engine.Checksum:
    """Checksum that a file of checksums lists for an image.

    :param location: path or URL of the file.
    :param image: path or URL of the image, whose name is looked for.
    :raises SourceError: when the file cannot be read, or lists none.
    """
    file = small_files.read(location, most=_LARGEST, expected=_EXPECTED,
                            fix=_FIX)
    try:
        return checksum_list.find(file.content.decode('utf-8', 'replace'),
                                  small_files.name(image))
    except ValueError as error:
        raise small_files.SmallFileError(
            file.name, expected=_EXPECTED, found=str(error),
            fix=_FIX) from None
