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

from collections.abc import Callable
from collections.abc import Hashable
import concurrent.futures
import contextlib
import dataclasses
import functools
import hashlib
import importlib.metadata
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
from ironic_imagedeploy.conductor.cache import entry
from ironic_imagedeploy.conductor.cache import record
from ironic_imagedeploy.conductor import images
from ironic_imagedeploy import engine

LOG = log.getLogger(__name__)
METRICS = metrics_utils.get_metrics_logger(__name__)

#: For files that come without a checksum.
ALGORITHM = 'sha256'
_CHUNK = 1 << 20
#: How often a master may be cleaned away before it is linked.
_ATTEMPTS = 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class Provided:
    """An image that the conductor has, or a refused one.

    :ivar verdict: of the inspection.
    :ivar checksum: of the file; None when the image is refused.
    :ivar checksum_is_ours: nobody stated it.
    """

    verdict: record.Verdict
    checksum: engine.Checksum | None = None
    checksum_is_ours: bool = False


class _Flights:
    """Who comes while a thing is being done shares its outcome."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._going: dict[Hashable, concurrent.futures.Future] = {}

    def share(self, key: Hashable, action: Callable[[], Provided]
              ) -> Provided:
        """What the first of those with the same key gets, or raises."""
        with self._lock:
            going = self._going.get(key)
            future = going or self._going.setdefault(
                key, concurrent.futures.Future())
        if going is None:
            try:
                future.set_result(action())
            except BaseException as error:
                future.set_exception(error)
            finally:
                with self._lock:
                    del self._going[key]
        return future.result()


_FLIGHTS = _Flights()


@functools.cache
def _downloads() -> threading.BoundedSemaphore:
    return threading.BoundedSemaphore(CONF.image_download_concurrency)


def known(image: images.InstanceImage, expectation: engine.Expectation
          ) -> record.Verdict | None:
    """The verdict on an image that is in the cache; reads no image server.

    Only for images of Glance, which has just told that they may be read.
    """
    slot = entry.Slot.of(image)
    found = image.glance and slot.believed(expectation.checksum)
    if not found:
        return None
    return found.verdicts.get(_key(expectation))


def provide(image: images.InstanceImage, expectation: engine.Expectation
            ) -> Provided:
    """Have the image among the node's instance files, unless refused.

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
    delivery = _Delivery(slot=entry.Slot.of(image), image=image,
                         expectation=expectation, size=size)
    fileutils.ensure_tree(os.path.dirname(image.instance_file))
    for _ in range(_ATTEMPTS):
        provided = _FLIGHTS.share((delivery.slot.path, size, expectation),
                                  delivery.run)
        if provided.verdict.errors:
            return provided
        with contextlib.suppress(FileNotFoundError):
            delivery.link()
            return provided
    raise exception.ImageDownloadFailed(
        image_href=image.name,
        reason=f'the cache {delivery.slot.directory} is cleaned faster than '
               'it is filled; raise [pxe]image_cache_size')


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Delivery:
    """An image on its way to a node.

    :ivar size: bytes that the file must have.
    """

    slot: entry.Slot
    image: images.InstanceImage
    expectation: engine.Expectation
    size: int | None

    def run(self) -> Provided:
        """Have the image in its slot, and judge it."""
        with self.slot.locked():
            known = self._known()
            if known is None:
                return self._fetch()
            key = _key(self.expectation)
            if key not in known.verdicts:
                known.verdicts[key] = self._inspect_file(self.slot.path)
            # Also the sign, for Ironic's clean-up, that it is in use.
            self.slot.save(known)
            return self._provided(known.verdicts[key], known)

    def link(self) -> None:
        """Give the node the file.

        :raises FileNotFoundError: when it is no longer in its slot.
        """
        slot = self.slot
        target = self.image.instance_file
        if record.identity(target) == record.identity(slot.path) != ():
            return
        # It may be a link to the user's own file: never write into it.
        fileutils.delete_if_exists(target)
        if self.image.path:
            with open(target, 'wb') as file:
                image_service.FileImageService().download(
                    self.image.href, file)
            return
        try:
            os.link(slot.path, target)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise exception.ImageDownloadFailed(
                image_href=self.image.name,
                reason=f'{slot.path} cannot be linked to {target}: '
                       f'{error.strerror}. [pxe]instance_master_path and '
                       '[pxe]images_path must be on one file system'
            ) from error

    def _known(self) -> record.Record | None:
        """The record of the file in the slot, when it is the right one."""
        wanted = self.expectation.checksum
        if self.image.path:
            return self.slot.believed(wanted)
        if wanted and record.size(self.slot.path) == self.size:
            return self.slot.proven(wanted)
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
            known.verdicts[_key(self.expectation)] = verdict
            self.slot.save(known)
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
        """Fill the slot; an image that is refused does not get there."""
        with _downloads(), self.slot.part(source.size) as part:
            with open(part, 'xb') as file:
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
                    os.replace(part, self.slot.path)
                    self.link()
        return verdict, known

    def _read(self, source: engine.Source,
              inspection: engine.Inspection | None,
              file: typing.BinaryIO | None = None) -> record.Record:
        """Hash the image, compare it with what was inspected, copy it.

        :raises SourceChanged: when it is not what was inspected.
        :raises ChecksumMismatch: when it is not the expected one.
        """
        wanted = self.expectation.checksum
        algorithm = wanted.algorithm if wanted else ALGORITHM
        digest = hashlib.new(algorithm, usedforsecurity=False)
        read_at, position = time.time(), 0
        replay_check = inspection and inspection.source.replay_check()
        buffer = memoryview(bytearray(_CHUNK))
        with contextlib.closing(source.open_stream()) as stream:
            while count := stream.readinto(buffer):
                if replay_check:
                    replay_check.update(position, buffer[:count])
                digest.update(buffer[:count])
                if file:
                    file.write(buffer[:count])
                position += count
        if position != source.size:
            raise engine.exceptions.SourceTruncated(
                self.image.name, expected=f'{source.size} bytes',
                found=f'the end after {position} bytes',
                fix='Upload the image again.')
        value = digest.hexdigest()
        if wanted and not wanted.matches(value):
            raise engine.exceptions.ChecksumMismatch(
                self.image.name,
                expected=f'{wanted.algorithm} {wanted.value}', found=value,
                fix='Compare with the checksum of the original, and upload '
                    'it again or correct the checksum.')
        return record.Record(identity=(), read_at=read_at,
                             checksums={algorithm: value})

    @METRICS.timer('ImageDeploy.inspect')
    def _inspect(self, source: engine.Source) -> engine.Inspection | None:
        """By head and tables; None when the source has no ranges for that."""
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
        return Provided(
            verdict=verdict, checksum_is_ours=wanted is None,
            checksum=wanted or engine.Checksum(
                ALGORITHM, known.checksums[ALGORITHM]))


def _key(expectation: engine.Expectation) -> str:
    """What a verdict depends on beside the bytes of the image."""
    return hashlib.sha256(
        f'{_version()} {expectation!r}'.encode()).hexdigest()


@functools.cache
def _version() -> str:
    """Of the code that runs, whatever is installed meanwhile."""
    return importlib.metadata.version('ironic-imagedeploy')
