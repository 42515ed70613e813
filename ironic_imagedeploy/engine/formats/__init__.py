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

"""Image formats. One module a format, found by name."""

import typing

import stevedore

from ironic_imagedeploy.engine.formats import base
from ironic_imagedeploy.engine.formats import compressed_raw

NAMESPACE = 'ironic_imagedeploy.formats'
#: Both kinds of images: a table tells where the bytes are, or nothing does.
AnyImage = base.MappedImage | compressed_raw.CompressedRawImage


def find(name: str) -> type[base.MappedImage] | None:
    """The reader of a format, or None when there is none."""
    try:
        plugin: stevedore.DriverManager[typing.Any] = (
            stevedore.DriverManager(NAMESPACE, name))
    except stevedore.exception.NoMatches:
        return None
    return typing.cast(type[base.MappedImage], plugin.driver)
