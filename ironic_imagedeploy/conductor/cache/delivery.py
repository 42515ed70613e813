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

"""Images that the conductor serves: fetched, hashed and inspected once."""

import contextlib
import dataclasses
import functools
import os
import threading
import time
import typing

from oslo_concurrency import lockutils
from oslo_log import log
from oslo_utils import fileutils

from ironic.common import exception
from ironic.common import image_service
from ironic.common import metrics_utils
from ironic.conf import CONF

from ironic_imagedeploy.conductor.cache import access
from ironic_imagedeploy.conductor.cache import copy
from ironic_imagedeploy.conductor.cache import disk_manifests
from ironic_imagedeploy.conductor.cache import entry
from ironic_imagedeploy.conductor.cache import manifests
from ironic_imagedeploy.conductor.cache import record
from ironic_imagedeploy.conductor.cache import single_flight
from ironic_imagedeploy.conductor import images
from ironic_imagedeploy import engine

LOG = log.getLogger(__name__)
METRICS = metrics_utils.get_metrics_logger(__name__)

#: For files that come without a checksum.
ALGORITHM = 'sha256'
#: How often files may be cleaned away before they are linked: conductors of
#: one directory do not wait for each other's clean-up.
_ATTEMPTS = 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class Provided:
    """An image that the conductor has, or a refused one.

    :ivar verdict: of the inspection.
    :ivar checksum: of the file; None when the image is refused.
    :ivar checksum_is_ours: nobody stated it.
    :ivar manifest: of the file, beside that of the node.
    :ivar disk_manifest: of the disk in it, beside it, too.
    """

    verdict: record.Verdict
    checksum: engine.Checksum | None = None
    checksum_is_ours: bool = False
    manifest: manifests.KeptManifest | None = None
    disk_manifest: manifests.KeptManifest | None = None


_DELIVERIES: single_flight.SingleFlight[Provided] = (
    single_flight.SingleFlight())


@functools.cache
def _downloads() -> threading.BoundedSemaphore:
    return threading.BoundedSemaphore(CONF.image_download_concurrency)


def cached_verdict(image: images.InstanceImage,
                   expectation: engine.Expectation) -> record.Verdict | None:
    """Verdict on an image that is in the cache; reads no image server.

    Only for images of Glance or of a registry, which has just told that they
    may be read.
    """
    if not image.glance and not image.registry:
        return None
    found = entry.Entry.of(image).fresh(expectation.checksum)
    if found is None:
        return None
    return found.verdicts.get(record.verdict_key(expectation))


def provide(image: images.InstanceImage, expectation: engine.Expectation
            ) -> Provided:
    """Put the image among the instance files of its node, unless refused.

    However many nodes ask for an image, it is fetched once.

    :raises SourceError: when it cannot be fetched.
    :raises ChecksumMismatch: when it is not the expected one.
    :raises IronicException: when it cannot be kept.
    """
    size = image.declared.size
    if not image.glance:
        # Who may not read it gets no copy of another's either.
        with access.open_image(image) as source:
            size = source.size
    delivery = _Delivery(entry=entry.Entry.of(image), image=image,
                         expectation=expectation, size=size)
    with delivery.entry.room(size or 0):
        fileutils.ensure_tree(os.path.dirname(image.instance_file))
        for _ in range(_ATTEMPTS):
            with contextlib.suppress(FileNotFoundError):
                provided = _DELIVERIES.do(
                    (delivery.entry.path, size, expectation), delivery.run)
                if provided.verdict.errors:
                    return provided
                delivery.link()
                return delivery.link_manifests(provided)
    raise exception.ImageDownloadFailed(
        image_href=image.name,
        reason=f'the cache {delivery.entry.directory} is cleaned faster than '
               'it is filled; raise [pxe]image_cache_size')


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Delivery:
    """Delivery of an image from its source to its node, over the cache.

    :ivar size: bytes that the file must have.
    """

    entry: entry.Entry
    image: images.InstanceImage
    expectation: engine.Expectation
    size: int | None

    def run(self) -> Provided:
        """Fetch the image into the cache unless it is there, and judge it."""
        with self.entry.locked():
            known = self._known()
            if known is None:
                return self._fetch()
            key = record.verdict_key(self.expectation)
            if key not in known.verdicts:
                known.verdicts[key] = self._inspect_file(self.entry.path)
            if not known.verdicts[key].errors:
                disk_manifests.add(self.entry, known, self.expectation)
            provided = self._provided(known.verdicts[key], known)
            # Also the sign, for Ironic's clean-up, that it is in use.
            self.entry.save(known)
            return provided

    def link(self) -> None:
        """Give the node the file.

        :raises FileNotFoundError: when it is no longer in the cache.
        """
        target = self.image.instance_file
        if record.identity(target) == record.identity(self.entry.path) != ():
            return
        # It may be a link to the user's own file: never write into it.
        fileutils.delete_if_exists(target)
        if self.image.path:
            with open(target, 'wb') as file:
                image_service.FileImageService().download(
                    self.image.href, file)
            return
        try:
            os.link(self.entry.path, target)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise exception.ImageDownloadFailed(
                image_href=self.image.name,
                reason=f'{self.entry.path} cannot be linked to {target}: '
                       f'{error.strerror}. [pxe]instance_master_path and '
                       '[pxe]images_path must be on one file system'
            ) from error

    def link_manifests(self, provided: Provided) -> Provided:
        """Give the node the manifests too; it does without a lost one."""
        return dataclasses.replace(
            provided,
            manifest=self._linked(provided.manifest,
                                  self.image.manifest_file),
            disk_manifest=self._linked(provided.disk_manifest,
                                       self.image.disk_manifest_file))

    def _linked(self, kept: manifests.KeptManifest | None, target: str
                ) -> manifests.KeptManifest | None:
        """The manifest, when it is at the target now."""
        if kept is None:
            return None
        try:
            manifests.give(self.entry.manifest_path(kept.root), target)
        except OSError as error:
            LOG.warning('Node %(node)s gets no manifest of image %(name)s: '
                        '%(error)s', {'node': self.image.node.uuid,
                                      'name': self.image.name,
                                      'error': error})
            return None
        return kept

    def _known(self) -> record.Record | None:
        """Record of the file in the cache, when it is the right one."""
        wanted = self.expectation.checksum
        if self.image.path:
            return self.entry.fresh(wanted)
        if wanted and record.size(self.entry.path) == self.size:
            return self.entry.verified(wanted)
        return None

    @METRICS.timer('ImageDeploy.fetch')
    def _fetch(self) -> Provided:
        """Read the whole image once, after a look at its tables."""
        start = time.monotonic()
        with access.open_image(self.image) as source:
            if finding := self.image.declared.wrong_size(source.size):
                return Provided(verdict=record.Verdict(
                    name=self.image.name, findings=(finding,)))
            inspection = self._inspect(source)
            if inspection and inspection.verdict == 'refuse':
                return Provided(verdict=record.Verdict.of(inspection))
            if self.image.path:
                before = record.identity(self.image.path)
                known = self._read(source, inspection)
                known.identity = before
                verdict = record.Verdict.of(inspection)
            else:
                verdict, known = self._download(source, inspection)
        if not verdict.errors:
            known.verdicts[record.verdict_key(self.expectation)] = verdict
            self.entry.save(known)
            # Ironic's clean-up must not see it without a link either.
            self.link_manifests(self._provided(verdict, known))
            disk_manifests.add(self.entry, known, self.expectation)
            entry.tidy()
        LOG.info('Read image %(name)s of %(size)s bytes in %(seconds).1f s: '
                 '%(checksums)s',
                 {'name': self.image.name, 'size': source.size,
                  'seconds': time.monotonic() - start,
                  'checksums': known.checksums})
        return self._provided(verdict, known)

    def _download(self, source: engine.Source,
                  inspection: engine.Inspection | None
                  ) -> tuple[record.Verdict, record.Record]:
        """Fill the entry; an image that is refused does not get there."""
        with _downloads(), self.entry.part(source.size) as part:
            with open(part, 'wb') as file:
                known = self._read(source, inspection, file)
                file.flush()
                # A power cut must not leave a hole that looks like the file.
                os.fsync(file.fileno())
            known.identity = record.identity(part)
            verdict = (record.Verdict.of(inspection) if inspection
                       else self._inspect_file(part))
            if not verdict.errors:
                # Ironic's clean-up must not see it without a link.
                with lockutils.lock('master_image'):
                    os.replace(part, self.entry.path)
                    self.link()
        return verdict, known

    def _read(self, source: engine.Source,
              inspection: engine.Inspection | None,
              file: typing.BinaryIO | None = None) -> record.Record:
        """Hash the image and its chunks, compare it with what was inspected.

        :param file: to copy it to.

        :raises SourceChanged: when it is not what was inspected.
        :raises ChecksumMismatch: when it is not the expected one.
        """
        read_at = time.time()
        stream = engine.VerifiedStream(
            source, self.expectation.checksum, algorithm=ALGORITHM,
            replay=inspection.source.replay_check() if inspection else None)
        with (contextlib.closing(stream), manifests.builder(
                source.size, wanted=self.entry.has_manifest,
                finer=self.entry.has_disk_manifest) as builder):
            copy.copy(stream, builder=builder, file=file)
            # The stream has ended: the checksum is the right one.
            manifest = self.entry.keep_manifest(
                builder.finish(stream.checksum)) if builder else None
        return record.Record(
            identity=(), read_at=read_at, manifest=manifest,
            checksums={stream.checksum.algorithm: stream.checksum.value})

    @METRICS.timer('ImageDeploy.inspect')
    def _inspect(self, source: engine.Source) -> engine.Inspection | None:
        """Inspection; None when the source has no ranges for its tables."""
        try:
            return engine.inspect(source, self.expectation)
        except engine.exceptions.SourceNotSeekable:
            return None

    def _inspect_file(self, path: str) -> record.Verdict:
        with engine.open_source(path) as source:
            source.name = self.image.name
            inspection = self._inspect(source)
            assert inspection is not None
            return record.Verdict.of(inspection)

    def _provided(self, verdict: record.Verdict, known: record.Record
                  ) -> Provided:
        wanted = self.expectation.checksum
        checksum = wanted or engine.Checksum(
            ALGORITHM, known.checksums[ALGORITHM])
        return Provided(
            verdict=verdict, checksum_is_ours=wanted is None,
            checksum=checksum,
            manifest=self.entry.bound_manifest(known, checksum),
            disk_manifest=self.entry.bound_disk_manifest(known, checksum))
