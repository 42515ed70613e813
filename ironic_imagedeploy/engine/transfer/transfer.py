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

from collections.abc import Callable
from collections.abc import Iterator
import contextlib

from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.inspection import result as _inspection
from ironic_imagedeploy.engine.targets import base as targets
from ironic_imagedeploy.engine import text
from ironic_imagedeploy.engine.transfer import fit
from ironic_imagedeploy.engine.transfer import gather
from ironic_imagedeploy.engine.transfer import held_ends
from ironic_imagedeploy.engine.transfer import meter as _meter
from ironic_imagedeploy.engine.transfer import passes
from ironic_imagedeploy.engine.transfer import read_back as _read_back
from ironic_imagedeploy.engine.transfer import report as _report
from ironic_imagedeploy.engine.transfer import sinks


def transfer(inspection: _inspection.Inspection, target: targets.Target, *,
             read_back: str = 'none',
             progress: _meter.ProgressCall | None = None,
             workers: int | None = None, verify_file: bool = False,
             journals: str | None = None,
             written: Callable[[int], None] | None = None,
             in_sequence: bool = False,
             through: Callable[[gather.Sink], gather.Sink] | None = None
             ) -> _report.Report:
    """Write an image to a target, so that it boots only when it is right.

    A :class:`.ChunkedSource` is fetched in part, and from several places;
    what the target holds of its image already is not written again.

    :param inspection: an accepted image.
    :param target: opened exclusively by the caller.
    :param read_back: compare the target with what was written: ``none``,
        ``sample`` (one write of 16) or ``full``.
    :param progress: called about twice a second, by this thread.
    :param workers: threads that decode and write; three a processor by
        default.
    :param verify_file: compute the checksum of the file where its chunks
        prove themselves, too.
    :param journals: folder for the journals of writes that may be killed,
        so that the next one goes on; none are kept by default.
    :param written: called with the index of a chunk when all that begins in
        it is on the target, by several threads. Zeroes may be missing then.
        Not for chunks with bytes of the ends.
    :param in_sequence: read all of the file in its sequence, also where its
        chunks prove themselves.
    :param through: makes the sink that gets the bytes of the disk, of the
        one that writes them.
    :raises ImageRefused: when the image was not accepted.
    :raises SourceError: when its bytes cannot be had.
    :raises TargetError: when the target does not take them.
    :raises VerificationError: when they are the wrong ones.
    """
    meter = _meter.Meter(progress, inspection.source.local)
    held = held_ends.HeldEnds()
    log = _read_back.WriteLog(read_back)
    guard = fit.SizeGuard(inspection, target, held)
    copy = passes.prepare(inspection, guard, meter, verify_file=verify_file,
                          in_sequence=in_sequence, written=written)

    verify = read_back != 'none'
    _wipe_ends(target, verify=verify)
    with copy.resumed(target, held, journals, workers) as journal:
        copy.enter('write')
        sink = sinks.WritingSink(target, held, log, meter, journal)
        copy.run(through(sink) if through else sink, workers)
        target.flush()
        proof = copy.prove()
        if verify:
            meter.enter('read-back', log.total)
            log.verify(target, meter)
        meter.enter('finish', guard.size, done=guard.size)
        with _all_or_nothing(target, verify=verify):
            held.write(target, verify=verify)
            target.reread_partitions()
    return _summary(inspection, target, guard.size, meter, proof, read_back)


def compare(inspection: _inspection.Inspection, target: targets.Target, *,
            progress: _meter.ProgressCall | None = None,
            workers: int | None = None) -> _report.Report:
    """Compare a whole target with an image; nothing is written.

    :raises VerificationError: at the first difference.
    """
    meter = _meter.Meter(progress, inspection.source.local)
    guard = fit.SizeGuard(inspection, target)
    copy = passes.prepare(inspection, guard, meter)

    copy.enter('compare')
    target.drop_cache()
    copy.run(sinks.ComparingSink(target, meter), workers)
    proof = copy.prove()
    return _summary(inspection, target, guard.size, meter, proof, 'full')


def _wipe_ends(target: targets.Target, *, verify: bool) -> None:
    """Wipe the ends of a target, and see that it has not lost the zeroes.

    :raises TargetMayBoot: when it has, or cannot be wiped.
    """
    target.wipe_ends()
    if verify and not target.created:
        try:
            _read_back.verify_ends(target)
        except exceptions.TargetError as error:
            raise exceptions.TargetMayBoot.after(
                [error], subject=target.path) from error


@contextlib.contextmanager
def _all_or_nothing(target: targets.Target, *, verify: bool
                    ) -> Iterator[None]:
    """Leave a disk that boots nothing when anything goes wrong inside.

    :param verify: whether the wipe of that is read back.
    :raises TargetMayBoot: when that cannot be done.
    """
    try:
        yield
    except BaseException as error:
        try:
            _wipe_ends(target, verify=verify)
        except BaseException as failure:
            raise exceptions.TargetMayBoot.after(
                [failure], subject=target.path, cause=error) from error
        raise


def _summary(inspection: _inspection.Inspection, target: targets.Target,
             size: int, meter: _meter.Meter, proof: passes.Proof,
             read_back: str) -> _report.Report:
    return _report.Report(
        source=inspection.source.name, format=str(inspection.format),
        virtual_size=size, target_size=target.size,
        backup_gpt_misplaced=(inspection.partition_table == 'gpt'
                              and target.size - size >= target.sector_size),
        bytes_read=meter.read,
        bytes_written=meter.written, bytes_zeroed=meter.zeroed,
        zeroes_written=target.zeroes_written,
        resumes=inspection.source.resumes, seconds=round(meter.elapsed, 3),
        checksum=proof.checksum, sources=proof.sources, reused=proof.reused,
        verified_by=proof.verified_by, read_back=read_back,
        bottleneck=meter.bottleneck, phases=meter.phases(),
        throughput=meter.samples(), partitions=_partitions(inspection))


def _partitions(inspection: _inspection.Inspection
                ) -> tuple[_report.PartitionReport, ...]:
    first = sorted(inspection.partitions, key=lambda each: each.start)[
        :_report.MOST_PARTITIONS]
    return tuple(_report.PartitionReport(
        number=each.number, start=each.start, length=each.length,
        type=each.type, name=text.printable(each.name)) for each in first)
