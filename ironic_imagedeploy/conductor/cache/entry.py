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

"""Files of a cache, and the records that verify them.

Masters and instance files are Ironic's own: a master in
``[pxe]instance_master_path`` is linked to each node that is deployed from it,
and Ironic's clean-up removes masters that nobody uses. Beside each master lie
its record and its manifest.
"""

from collections.abc import Iterator
import contextlib
import dataclasses
import errno
import fcntl
import glob
import hashlib
import os
import time
import uuid

from oslo_concurrency import lockutils
from oslo_log import log
from oslo_utils import fileutils

from ironic.common import exception
from ironic.conf import CONF
from ironic.drivers.modules import deploy_utils

from ironic_imagedeploy.conductor.cache import manifests
from ironic_imagedeploy.conductor.cache import record
from ironic_imagedeploy.conductor import images
from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import manifest
from ironic_imagedeploy.engine import manifest_builder

LOG = log.getLogger(__name__)

_CHUNK = 1 << 20
#: Seconds without a byte after which nobody is writing a file any more.
_ABANDONED = 3600
#: Ironic's clean-up lists the files of its directory, but not those below.
_STAGING = 'imagedeploy'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Entry:
    """Entry of the cache: one image, and the record of it.

    :ivar directory: of the cache.
    :ivar name: of the entry in there.
    :ivar path: of the file: in the cache, or the user's own.
    :ivar has_manifest: it has a manifest, as far as one can be made.
    :ivar has_disk_manifest: the disk in it has one, too.
    """

    directory: str
    name: str
    path: str
    has_manifest: bool = False
    has_disk_manifest: bool = False

    @classmethod
    def of(cls, image: images.InstanceImage) -> 'Entry':
        """Entry of an image; one of the node's own without a cache."""
        directory = (CONF.pxe.instance_master_path
                     or os.path.dirname(image.instance_file))
        # Other names than Ironic's, which may unpack what it fetches.
        name = (image.glance_id if image.glance
                else str(uuid.uuid5(uuid.NAMESPACE_URL, image.address)))
        name = f'{name}.stored'
        verify = CONF.imagedeploy.verify
        return cls(directory=directory, name=name,
                   path=image.path or os.path.join(directory, name),
                   has_manifest=(image.role == images.DISK
                                 and verify != 'file'),
                   has_disk_manifest=(image.role == images.DISK
                                      and verify == 'chunks'
                                      and CONF.imagedeploy.disk_manifests))

    @property
    def _sidecar(self) -> str:
        return os.path.join(self.directory, f'{self.name}.json')

    @property
    def _staging(self) -> str:
        return os.path.join(self.directory, _STAGING)

    def load(self) -> record.Record | None:
        """Record of the last use of the file; None without one."""
        return record.Record.load(self._sidecar)

    def save(self, known: record.Record) -> None:
        """Keep the record of the file, and no manifest of another one."""
        known.save(self._sidecar, os.path.join(
            self._staging, f'{self.name}.json'))
        named = [self.manifest_path(kept.root) for kept in (
            known.manifest, known.disk_manifest) if kept]
        for path in glob.glob(os.path.join(
                glob.escape(self.directory), f'{self.name}.*.manifest')):
            if path not in named:
                fileutils.delete_if_exists(path)

    def manifest_path(self, root: str) -> str:
        """Path of the manifest with a root."""
        return os.path.join(self.directory, f'{self.name}.{root}.manifest')

    def keep_manifest(self, made: manifest.Manifest
                      ) -> manifests.KeptManifest | None:
        """Keep a manifest of the file; None when that is not possible."""
        return manifests.keep(
            made, self.manifest_path(made.root),
            os.path.join(self._staging, f'{self.name}.manifest'))

    def bound_manifest(self, known: record.Record, checksum: engine.Checksum
                       ) -> manifests.KeptManifest | None:
        """Manifest of the file that is bound to one of its checksums.

        :param known: record of the file; it learns of another manifest.
        :param checksum: that the file has.
        """
        if not self.has_manifest:
            return None
        known.manifest = self._bound(known.manifest, checksum)
        return known.manifest

    def bound_disk_manifest(self, known: record.Record,
                            checksum: engine.Checksum
                            ) -> manifests.KeptManifest | None:
        """Manifest of the disk in the file, bound to one of its checksums.

        The parameters are those of :meth:`bound_manifest`.
        """
        if not self.has_disk_manifest:
            return None
        known.disk_manifest = self._bound(known.disk_manifest, checksum)
        return known.disk_manifest

    def lacks_disk_manifest(self, known: record.Record) -> bool:
        """Whether a manifest of the disk in the file is to be made."""
        return (self.has_disk_manifest and known.manifest is not None
                and known.needs_disk_manifest is not False
                and (known.disk_manifest is None
                     or self._is_lost(known.disk_manifest)))

    def _bound(self, kept: manifests.KeptManifest | None,
               checksum: engine.Checksum) -> manifests.KeptManifest | None:
        if kept is None or kept.checksum == checksum:
            return kept
        encoded = manifests.read(kept, self.manifest_path(kept.root))
        if encoded is None:
            return kept
        # The same bytes, of which another algorithm is asked for.
        return self.keep_manifest(dataclasses.replace(
            manifest.Manifest.decode(encoded), checksum=checksum))

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Exclude other threads and processes from the entry."""
        fileutils.ensure_tree(self._staging)
        with lockutils.lock(f'{self.name}.lock', external=True,
                            lock_path=self._staging):
            yield

    @contextlib.contextmanager
    def part(self, size: int) -> Iterator[str]:
        """Path of an empty file that may become that of the entry.

        :param size: bytes to come.
        :raises InsufficientDiskSpace: when they do not fit.
        """
        self._discard_abandoned()
        self._make_room(size)
        path = os.path.join(self._staging, f'{uuid.uuid4()}.part')
        try:
            with self.room(size), open(path, 'xb') as held:
                # Whatever the clock says: somebody is writing it.
                fcntl.flock(held, fcntl.LOCK_EX)
                yield path
        finally:
            fileutils.delete_if_exists(path)

    @contextlib.contextmanager
    def room(self, size: int) -> Iterator[None]:
        """Tell of a disk that is full, whatever is done inside.

        :param size: bytes of the image.
        :raises InsufficientDiskSpace: when it is.
        """
        try:
            yield
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise self._no_space(
                size, f'none for {error.filename or self.directory}'
            ) from error

    def fresh(self, wanted: engine.Checksum | None
              ) -> record.Record | None:
        """Record of a file that need not be read again; else None."""
        known = self.load()
        if (known is None or not known.is_about(self.path)
                # A record of the future is as old as anybody knows.
                or not 0 <= time.time() - known.read_at
                <= CONF.imagedeploy.cache_recheck_interval):
            return None
        if wanted and not wanted.matches(
                known.checksums.get(wanted.algorithm, '')):
            return None
        return None if self._lost_manifest(known) else known

    def verified(self, wanted: engine.Checksum) -> record.Record | None:
        """Record of a file with the checksum; else None.

        Reads the file when its record is not fresh.
        """
        known = self.fresh(wanted) or self._read(wanted)
        if known and wanted.matches(known.checksums[wanted.algorithm]):
            return known
        return None

    def _lost_manifest(self, known: record.Record) -> bool:
        return (self.has_manifest and known.manifest is not None
                and self._is_lost(known.manifest))

    def _is_lost(self, kept: manifests.KeptManifest) -> bool:
        return manifests.read(kept, self.manifest_path(kept.root)) is None

    def _read(self, wanted: engine.Checksum) -> record.Record | None:
        before = record.identity(self.path)
        if not before:
            return None
        known = self.load()
        if known is None or known.identity != before:
            known = record.Record(identity=before, read_at=0, checksums={})
        read_at = time.time()
        with manifests.builder(
                before[2], wanted=self.has_manifest and (
                    known.manifest is None
                    or self._lost_manifest(known)),
                finer=self.has_disk_manifest) as builder:
            found = _checksums(self.path, before[2],
                               {wanted.algorithm, *known.checksums}, builder)
            if record.identity(self.path) != before:
                return None
            if builder and wanted.matches(found[wanted.algorithm]):
                known.manifest = self.keep_manifest(builder.finish(wanted))
        if not known.checksums.items() <= found.items():
            LOG.error('Cached image %s does not hold what was written to it: '
                      'expected %s, found %s', self.path, known.checksums,
                      found)
            known.verdicts.clear()
            known.manifest = known.disk_manifest = None
            known.needs_disk_manifest = None
        known = dataclasses.replace(known, read_at=read_at, checksums=found)
        self.save(known)
        return known

    def _make_room(self, size: int) -> None:
        free = _free(self.directory)
        if free < size:
            tidy(size - free)
            free = _free(self.directory)
        if free < size:
            raise self._no_space(size, f'{free} bytes')

    def _no_space(self, size: int, found: str) -> exception.IronicException:
        return exception.InsufficientDiskSpace(
            f'The image cache {self.directory} of conductor {CONF.host} is '
            f'full: expected room for {size} bytes, found {found}. '
            'Free space there, lower [pxe]image_cache_size, or set '
            'image_download_source to swift, or for images given by URL to '
            'http, so that the node fetches the image itself.')

    def _discard_abandoned(self) -> None:
        """Remove files that killed conductors left."""
        for file in os.scandir(self._staging):
            with contextlib.suppress(FileNotFoundError, BlockingIOError):
                if (file.name.endswith('.part') and time.time()
                        - file.stat().st_mtime > _ABANDONED):
                    with open(file.path, 'rb') as part:
                        fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        os.unlink(file.path)


def tidy(amount: int | None = None) -> None:
    """Run Ironic's clean-up of images too old or too many.

    :param amount: bytes to free at least, where that is possible.
    """
    try:
        deploy_utils.InstanceImageCache().clean_up(amount=amount)
    except OSError as error:
        # It trips over files that somebody removes meanwhile.
        LOG.warning('Clean-up of the image cache failed: %s', error)


def _free(directory: str) -> int:
    status = os.statvfs(directory)
    return status.f_frsize * status.f_bavail


def _checksums(path: str, size: int, algorithms: set[str],
               builder: manifest_builder.Builder | None) -> dict[str, str]:
    """Values of a whole file by algorithm, from one reading.

    :param size: bytes of it.
    :param builder: of its manifest, which learns the bytes too.
    """
    digests = {name: hashlib.new(name, usedforsecurity=False)
               for name in algorithms}
    buffer = memoryview(bytearray(_CHUNK))
    with open(path, 'rb', buffering=0) as file:
        while count := file.readinto(buffer[:size]):
            size -= count
            if builder:
                builder.update(buffer[:count])
            for digest in digests.values():
                digest.update(buffer[:count])
    return {name: digest.hexdigest() for name, digest in digests.items()}
