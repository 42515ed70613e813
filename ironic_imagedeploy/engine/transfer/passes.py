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


"""Passes over the file of an image, one kind for each proof of its bytes."""

import abc
from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import dataclasses

from ironic_imagedeploy.engine import checksum as _checksum
from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine import formats
from ironic_imagedeploy.engine.formats import base as _formats
from ironic_imagedeploy.engine.inspection import result as _inspection
from ironic_imagedeploy.engine.sources import chunked
from ironic_imagedeploy.engine.targets import base as targets
from ironic_imagedeploy.engine.transfer import chunk_pipeline
from ironic_imagedeploy.engine.transfer import chunk_plan
from ironic_imagedeploy.engine.transfer import cutter
from ironic_imagedeploy.engine.transfer import disk_reuse
from ironic_imagedeploy.engine.transfer import fit
from ironic_imagedeploy.engine.transfer import gather as _gather
from ironic_imagedeploy.engine.transfer import held_ends
from ironic_imagedeploy.engine.transfer import jobs
from ironic_imagedeploy.engine.transfer import journal as journals
from ironic_imagedeploy.engine.transfer import meter as _meter
from ironic_imagedeploy.engine.transfer import report as _report
from ironic_imagedeploy.engine.transfer import reuse
from ironic_imagedeploy.engine.transfer import stream_pipeline
from ironic_imagedeploy.engine.transfer import unpacker

#: Computed for the report when nothing is expected.
_ALGORITHM = 'sha256'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Proof:
    """Result of a pass: the bytes were the right ones.

    The attributes are those of :class:`.Report`.
    """

    checksum: _report.ChecksumReport
    sources: tuple[chunked.SourceReport, ...]
    reused: int = 0
    verified_by: str | None = None


class Pass(abc.ABC):
    """Pass over the file of an accepted image that fits."""

    def __init__(self, inspection: _inspection.Inspection,
                 meter: _meter.Meter) -> None:
        self._inspection = inspection
        self._expected = inspection.expectation.checksum
        self._meter = meter

    @contextlib.contextmanager
    def resumed(self, target: targets.Target, held: held_ends.HeldEnds,
                folder: str | None, workers: int | None
                ) -> Iterator[journals.Journal | None]:
        """Leave out what the target holds already, before :meth:`enter`.

        :param held: ends of the disk, which are written anew.
        :param folder: for a journal, which is given where one is of use. It
            stays for the next attempt when anything goes wrong inside.
        """
        if folder:
            journals.forget(folder, target)
        yield None

    @abc.abstractmethod
    def enter(self, phase: str) -> None:
        """Begin that phase of the progress."""

    @abc.abstractmethod
    def run(self, sink: _gather.Sink, workers: int | None) -> None:
        """Send the bytes of the disk to a sink.

        :raises ImageDeployError: the first one of all threads.
        """

    @abc.abstractmethod
    def prove(self) -> Proof:
        """Prove the bytes that were sent.

        :raises ChecksumMismatch: when they are the wrong ones.
        """


def prepare(inspection: _inspection.Inspection, guard: fit.SizeGuard,
            meter: _meter.Meter, *, verify_file: bool = False,
            in_sequence: bool = False,
            written: Callable[[int], None] | None = None) -> Pass:
    """Pass for an image, by the chunks of its file where they are known.

    The parameters are those of :func:`.transfer`.

    :raises ImageRefused: when it was not accepted, or does not fit.
    :raises InvalidManifest: when the manifest is that of another checksum.
    """
    image = inspection.accepted()
    guard.at_least(image.virtual_size)
    if isinstance(image, _formats.MappedImage):
        guard.final(image.virtual_size)
    source = inspection.source.chunked
    if source is None:
        return _FilePass(inspection, meter, _splitter(image, guard, meter))
    if not _states(source, inspection.expectation.checksum) or verify_file:
        return _FilePass(inspection, meter, _splitter(image, guard, meter),
                         source)
    if in_sequence or not isinstance(image, _formats.MappedImage):
        return _FilePass(inspection, meter, _splitter(image, guard, meter),
                         source, hashed=False)
    return _ChunkPass(
        inspection, meter, source, image, chunk_plan.ChunkPlan(
            image, source.manifest, lanes=chunk_pipeline.LANES), written)


class _FilePass(Pass):
    """A pass over the whole file, in its sequence.

    :param source: that verifies chunks, if it does.
    :param hashed: whether the checksum of the file is computed.
    """

    def __init__(self, inspection: _inspection.Inspection,
                 meter: _meter.Meter, splitter: jobs.Splitter,
                 source: chunked.ChunkedSource | None = None, *,
                 hashed: bool = True) -> None:
        super().__init__(inspection, meter)
        self._splitter = splitter
        self._source = source
        self._hashed = hashed
        self._algorithm = (self._expected.algorithm if self._expected
                           else _ALGORITHM)
        self._digest: str | None = None

    def enter(self, phase: str) -> None:
        self._meter.enter_pass(
            phase, file=self._inspection.source.size,
            data=self._splitter.data_size, zeroes=self._splitter.zero_size)

    def run(self, sink: _gather.Sink, workers: int | None) -> None:
        source = self._inspection.source
        pipeline = stream_pipeline.StreamPipeline(
            source, self._splitter, source.replay_check(), sink,
            algorithm=self._algorithm if self._hashed else None,
            meter=self._meter, workers=workers)
        pipeline.run()
        self._digest = pipeline.digest

    def prove(self) -> Proof:
        name, expected = self._inspection.source.name, self._expected
        if self._digest is None:
            return _by_chunks(self._source, expected)
        if expected:
            expected.check(name, self._digest)
        proof = Proof(
            checksum=_report.ChecksumReport(
                algorithm=self._algorithm, value=self._digest,
                verified=expected is not None),
            sources=(chunked.SourceReport(name=name,
                                          bytes=self._meter.read),),
            verified_by='file' if expected else None)
        if self._source is None:
            return proof
        return dataclasses.replace(
            proof, sources=self._source.reports,
            verified_by='both' if expected else 'chunks')


class _ChunkPass(Pass):
    """A pass over the chunks that the disk needs."""

    def __init__(self, inspection: _inspection.Inspection,
                 meter: _meter.Meter, source: chunked.ChunkedSource,
                 image: _formats.MappedImage, plan: chunk_plan.ChunkPlan,
                 written: Callable[[int], None] | None) -> None:
        super().__init__(inspection, meter)
        self._source = source
        self._image = image
        self._plan = plan
        self._written = written

    @contextlib.contextmanager
    def resumed(self, target: targets.Target, held: held_ends.HeldEnds,
                folder: str | None, workers: int | None
                ) -> Iterator[journals.Journal | None]:
        journal = None
        if folder and self._image.has_tables:
            journal = journals.open_journal(
                folder, manifest=self._source.manifest, target=target,
                disk_size=self._image.virtual_size)
        elif folder:
            journals.forget(folder, target)
        try:
            self._skip(target, held, journal, workers)
            yield journal
            if journal:
                journal.remove()
        finally:
            if journal:
                journal.close()

    def _skip(self, target: targets.Target, held: held_ends.HeldEnds,
              journal: journals.Journal | None, workers: int | None) -> None:
        if target.created:
            return
        self._meter.enter('scan', 0)
        manifest, disk = self._source.manifest, self._source.disk
        have = set[int]()
        if journal:
            have = journal.find(self._image, manifest, target, self._meter,
                                workers=workers)
        if disk is None or not self._image.map.has_compressed:
            have |= reuse.find(self._image, manifest, target, held,
                               self._meter, known=have, workers=workers)
            self._plan.skip(have)
        else:
            found = disk_reuse.find(self._image, manifest, disk, target, held,
                                    self._meter, workers=workers)
            have |= found.chunks
            self._plan.skip(have, found.has)
        if self._written:
            for index in have:
                self._written(index)

    def enter(self, phase: str) -> None:
        self._meter.enter_pass(
            phase, file=self._plan.stored_size, data=self._plan.data_size,
            zeroes=self._plan.zero_size)

    def run(self, sink: _gather.Sink, workers: int | None) -> None:
        chunk_pipeline.ChunkPipeline(
            self._source, self._image, self._plan, sink, meter=self._meter,
            workers=workers, written=self._written).run()

    def prove(self) -> Proof:
        return _by_chunks(self._source, self._expected, self._plan.reused)


def _by_chunks(source: chunked.ChunkedSource | None,
               expected: _checksum.Checksum | None, reused: int = 0
               ) -> Proof:
    """Proof of a pass in which every chunk was verified."""
    assert source is not None
    checksum = source.manifest.checksum
    return Proof(
        checksum=_report.ChecksumReport(
            algorithm=checksum.algorithm, value=checksum.value,
            verified=expected is not None),
        sources=source.reports, reused=reused, verified_by='chunks')


def _states(source: chunked.ChunkedSource,
            expected: _checksum.Checksum | None) -> bool:
    """Whether the manifest is that of the expected checksum.

    False when it states one of another algorithm, which says nothing.

    :raises InvalidManifest: when it is that of another file.
    """
    stated = source.manifest.checksum
    if expected is None or stated == expected:
        return True
    if stated.algorithm != expected.algorithm:
        return False
    raise exceptions.InvalidManifest(
        source.name, expected=f'that of the image with {expected.algorithm} '
        f'{expected.value}', found=f'that with {stated.value}',
        fix='Make the manifest of this image again.')


def _splitter(image: formats.AnyImage, guard: fit.SizeGuard,
              meter: _meter.Meter) -> jobs.Splitter:
    """Splitter of a whole file, by its map if it has one."""
    if isinstance(image, _formats.MappedImage):
        return cutter.Cutter(image)
    return unpacker.Unpacker(image, guard, meter,
                             kept_back=held_ends.KEPT_BACK)
