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
"""Manifests of cached images, kept beside them.

A manifest is named by its root, which the record of the image has: whoever
has the record has the name of the right one, or of none.
"""

from collections.abc import Iterator
import contextlib
import dataclasses
import errno
import hashlib
import os
import shutil
import typing

from oslo_log import log
from oslo_utils import fileutils

from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import manifest
from ironic_imagedeploy.engine import manifest_builder

LOG = log.getLogger(__name__)
#: Errors of a link to where a copy can be made.
_NO_LINK = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP)


@dataclasses.dataclass(frozen=True, kw_only=True)
class KeptManifest:
    """A manifest in the cache, as the record of its image names it.

    :ivar root: SHA-256 of its encoding.
    :ivar size: bytes of the encoding.
    :ivar checksum: of the image that it is of.
    """

    root: str
    size: int
    checksum: engine.Checksum

    @classmethod
    def of(cls, made: manifest.Manifest) -> 'KeptManifest':
        """Name of a manifest."""
        return cls(root=made.root, size=made.encoded_size,
                   checksum=made.checksum)

    @classmethod
    def from_dict(cls, kept: dict[str, typing.Any]) -> 'KeptManifest':
        """Name that :meth:`to_dict` gave.

        :raises KeyError, TypeError, ValueError: when it is something else,
            or of another release that makes other manifests.
        """
        if kept['version'] != manifest.VERSION:
            raise ValueError(f'version {kept["version"]}')
        if type(kept['size']) is not int:
            raise TypeError(type(kept['size']))
        return cls(
            # It becomes part of a path.
            root=engine.Checksum('sha256', kept['root']).value,
            size=kept['size'],
            checksum=engine.Checksum.parse(kept['checksum']))

    def to_dict(self) -> dict[str, typing.Any]:
        """The name as JSON values."""
        return {
            'version': manifest.VERSION, 'root': self.root, 'size': self.size,
            'checksum': f'{self.checksum.algorithm}:{self.checksum.value}'}


@contextlib.contextmanager
def builder(size: int, *, wanted: bool = True, finer: bool = False
            ) -> Iterator[manifest_builder.Builder | None]:
    """Builder for a file; None for one that gets no manifest.

    :param size: bytes of the file.
    :param wanted: somebody will use it.
    :param finer: for a file that is fetched here and there.
    """
    if not wanted or size > manifest.LARGEST:
        yield None
        return
    with manifest_builder.Builder(size, finer=finer) as made:
        yield made


def keep(made: manifest.Manifest, path: str, part: str
         ) -> KeptManifest | None:
    """Write a manifest into the cache; None where that is not possible.

    A deployment is better off without one than not at all.

    :param path: of the file.
    :param part: a file beside it to write first.
    """
    try:
        with fileutils.remove_path_on_error(part):
            with open(part, 'wb') as file:
                file.write(made.encode())
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, path)
    except OSError as error:
        LOG.warning('Nodes get no manifest of the image with %(checksum)s: '
                    '%(path)s cannot be written: %(error)s',
                    {'checksum': made.checksum.value, 'path': path,
                     'error': error})
        return None
    return KeptManifest.of(made)


def read(kept: KeptManifest, path: str) -> bytes | None:
    """Encoding of a manifest; None when that is not what the file has.

    :param path: of the file.
    """
    try:
        with open(path, 'rb') as file:
            encoded = file.read(kept.size + 1)
    except OSError:
        return None
    if hashlib.sha256(encoded).hexdigest() != kept.root:
        return None
    return encoded


def give(path: str, target: str) -> None:
    """Have a manifest of the cache also where a node's files are.

    :raises OSError: when it cannot be there.
    """
    with contextlib.suppress(FileNotFoundError):
        if os.path.samefile(path, target):
            return
    fileutils.delete_if_exists(target)
    try:
        os.link(path, target)
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
        shutil.copyfile(path, target)
