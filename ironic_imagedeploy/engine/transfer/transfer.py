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

"""From the source through the image to the target: the only place where they
meet."""

from collections.abc import Iterator
import contextlib

from ironic_imagedeploy.engine import checksum as _checksum
from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.formats import base as _formats
from ironic_imagedeploy.engine.inspection import result as _inspection
from ironic_imagedeploy.engine.targets import base as targets
from ironic_imagedeploy.engine.transfer import cutter
from ironic_imagedeploy.engine.transfer import fit
from ironic_imagedeploy.engine.transfer import held_ends
from ironic_imagedeploy.engine.transfer import jobs
from ironic_imagedeploy.engine.transfer import meter as _meter
from ironic_imagedeploy.engine.transfer import pipeline
from ironic_imagedeploy.engine.transfer import read_back as _read_back
from ironic_imagedeploy.engine.transfer import report as _report
from ironic_imagedeploy.engine.transfer import sinks
from ironic_imagedeploy.engine.transfer import unpacker

#: Computed for the report when nothing is expected.
_ALGORITHM = 'sha256'


def transfer(inspection: _inspection.Inspection, target: targets.Target, *,
             read_back: str = 'none',
             progress: _meter.ProgressCall | None = None,
             workers: int | None = None) -> _report.Report:
    """Write an image to a target, so that it boots only when it is right.

    :param inspection: an accepted image.
    :param target: opened exclusively by the caller.
    :param read_back: compare the target with what was written: ``none``,
        ``sample`` (one write of 16) or ``full``.
    :param progress: called about twice a second, by this thread.
    :param workers: threads that decode and write; two a processor by
        default.
    :raises ImageRefused: when the image was not accepted.
    :raises SourceError: when its bytes cannot be had.
    :raises TargetError: when the target does not take them.
    :raises VerificationError: when they are the wrong ones.
    """
    meter = _meter.Meter(progress, inspection.source.local)
    held = held_ends.HeldEnds()
    log = _read_back.WriteLog(read_back)
    guard = fit.SizeGuard(inspection, target, held)
    splitter = _splitter(inspection, guard, meter)

    _enter(meter, 'write', inspection, splitter)
    target.wipe_ends()
    digest = _run(inspection, splitter,
                  sinks.WritingSink(target, held, log, meter), meter, workers)
    target.flush()
    checksum = _verified(inspection, digest)
    if read_back != 'none':
        meter.enter('read-back', log.total)
        log.verify(target, meter)
    meter.enter('finish', guard.size, done=guard.size)
    with _all_or_nothing(target):
        held.write(target)
        if read_back != 'none':
            held.verify(target)
        target.reread_partitions()
    return _summary(inspection, target, guard.size, meter, checksum,
                    read_back)


def compare(inspection: _inspection.Inspection, target: targets.Target, *,
            progress: _meter.ProgressCall | None = None,
            workers: int | None = None) -> _report.Report:
    """Compare a whole target with an image; nothing is written.

    :raises VerificationError: at the first difference.
    """
    meter = _meter.Meter(progress, inspection.source.local)
    guard = fit.SizeGuard(inspection, target)
    splitter = _splitter(inspection, guard, meter)

    _enter(meter, 'compare', inspection, splitter)
    target.drop_cache()
    digest = _run(inspection, splitter, sinks.ComparingSink(target, meter),
                  meter, workers)
    checksum = _verified(inspection, digest)
    return _summary(inspection, target, guard.size, meter, checksum, 'full')


@contextlib.contextmanager
def _all_or_nothing(target: targets.Target) -> Iterator[None]:
    """Leave a disk that boots nothing when anything goes wrong inside.

    :raises TargetMayBoot: when that cannot be done.
    """
    try:
        yield
    except BaseException as error:
        try:
            target.wipe_ends()
        except BaseException as failure:
            raise exceptions.TargetMayBoot.after(
                [failure], subject=target.path, cause=error) from error
        raise


def _splitter(inspection: _inspection.Inspection, guard: fit.SizeGuard,
              meter: _meter.Meter) -> jobs.Splitter:
    """Splitter for an accepted image that fits, by its map if it has one."""
    image = inspection.accepted()
    guard.at_least(image.virtual_size)
    if isinstance(image, _formats.MappedImage):
        guard.final(image.virtual_size)
        return cutter.Cutter(image)
    return unpacker.Unpacker(image, guard, meter,
                             kept_back=held_ends.KEPT_BACK)


def _enter(meter: _meter.Meter, phase: str,
           inspection: _inspection.Inspection, splitter: jobs.Splitter
           ) -> None:
    meter.enter_pass(phase, file=inspection.source.size,
                     data=splitter.data_size, zeroes=splitter.zero_size)


def _run(inspection: _inspection.Inspection, splitter: jobs.Splitter,
         sink: pipeline.Sink, meter: _meter.Meter, workers: int | None
         ) -> str:
    """Checksum of the file, after all of it went through the pipeline."""
    return pipeline.Pipeline(
        inspection.source, splitter, inspection.source.replay_check(), sink,
        algorithm=_algorithm(inspection.expectation.checksum), meter=meter,
        workers=workers).run()


def _verified(inspection: _inspection.Inspection, digest: str
              ) -> _report.ChecksumReport:
    """Report of the checksum, which is the expected one, if one is.

    :raises ChecksumMismatch: when it is another.
    """
    expected = inspection.expectation.checksum
    if expected:
        expected.check(inspection.source.name, digest)
    return _report.ChecksumReport(
        algorithm=_algorithm(expected), value=digest,
        verified=expected is not None)


def _algorithm(expected: _checksum.Checksum | None) -> str:
    return expected.algorithm if expected else _ALGORITHM


def _summary(inspection: _inspection.Inspection, target: targets.Target,
             size: int, meter: _meter.Meter,
             checksum: _report.ChecksumReport, read_back: str
             ) -> _report.Report:
    return _report.Report(
        source=inspection.source.name, format=str(inspection.format),
        virtual_size=size, target_size=target.size,
        backup_gpt_misplaced=(inspection.partition_table == 'gpt'
                              and target.size - size >= target.sector_size),
        bytes_read=meter.read,
        bytes_written=meter.written, bytes_zeroed=meter.zeroed,
        zeroes_written=target.zeroes_written,
        resumes=inspection.source.resumes, seconds=round(meter.elapsed, 3),
        checksum=checksum, read_back=read_back, bottleneck=meter.bottleneck)
