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

"""A disk that is in an image file, as a target that others are held against.
"""

import os
import threading

from ironic_imagedeploy.engine import budget
from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine import formats
from ironic_imagedeploy.engine.sources import base as sources
from ironic_imagedeploy.engine.targets import base as targets

#: More than a comparison of any image takes: whoever compares has accepted
#: both of them.
_NO_BOUND = 1 << 62


class ImageTarget(targets.Target):
    """A disk in an image, which is compared and never written.

    :param source: the file; its owner closes it.
    :param format_name: of the image, which was accepted before.
    :raises ImageRefused: when it cannot be read.
    """

    sector_size = 512
    fixed_sectors = False
    read_only = True

    def __init__(self, source: sources.Source, format_name: str) -> None:
        super().__init__()
        self.path = source.name
        reader = formats.find(format_name)
        if reader is None:
            raise exceptions.TargetUnreadable(
                self.path, expected='a format that is known',
                found=format_name, fix='Use another format.')
        self._image = reader(source, budget.Budget(
            bytes=_NO_BOUND, entries=_NO_BOUND, seconds=float('inf')))
        self._image.read_map()
        self._lock = threading.Lock()
        self.size = self._image.virtual_size

    def read(self, offset: int, length: int,
             memory: memoryview | None = None) -> memoryview:
        # The reader keeps clusters that it has decoded.
        with self._lock:
            found = self._image.read(offset, length)
        if len(found) < length:
            raise self.failed('read', offset + len(found), OSError(
                5, os.strerror(5)))
        return memoryview(found)

    def drop_cache(self) -> None:
        return

    def mismatch(self, offset: int, length: int
                 ) -> exceptions.VerificationError:
        return exceptions.TargetDiffers(
            self.path, expected=f'the bytes of the other image from {offset} '
            f'to {offset + length - 1}', found='others',
            fix='Make it again; if it happens again, the program that made '
                'it is at fault.')

    def _zero_fast(self, offset: int, length: int) -> bool:
        return False
