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
from ironic_imagedeploy.engine import findings
from ironic_imagedeploy.engine.inspection import result as _inspection
from ironic_imagedeploy.engine.targets import base as targets
from ironic_imagedeploy.engine.transfer import held_ends
from ironic_imagedeploy.engine.transfer import meter as _meter
from ironic_imagedeploy.engine.transfer import pipeline
from ironic_imagedeploy.engine.transfer import read_back as _read_back
from ironic_imagedeploy.engine.transfer import report as _report

#: What is computed for the report when nothing is expected.
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
    image = inspection.accepted()
    check_fit(inspection, target, image.virtual_size)
    meter = _meter.Meter(image.virtual_size, progress, image.source.local)
    held = held_ends.HeldEnds(
        None if image.compression else image.virtual_size)
    ledger = _read_back.Ledger(read_back)

    meter.enter('write', image.virtual_size)
    target.wipe_ends()
    value = _stream(inspection, _Disk(target, held, ledger, meter), meter,
                    workers, _Growth(inspection, target, meter, held))
    target.flush()
    checksum = check(inspection, value)
    if read_back != 'none':
        meter.enter('read-back', ledger.total)
        ledger.verify(target, meter)
    meter.enter('finish', meter.total, done=meter.total)
    with _all_or_nothing(target):
        held.write(target)
        if read_back != 'none':
            held.verify(target)
        target.reread_partitions()
    return _summary(inspection, target, meter, checksum, read_back)


def compare(inspection: _inspection.Inspection, target: targets.Target, *,
            progress: _meter.ProgressCall | None = None,
            workers: int | None = None) -> _report.Report:
    """Compare a whole target with an image; nothing is written.

    :raises VerificationError: at the first difference.
    """
    image = inspection.accepted()
    check_fit(inspection, target, image.virtual_size)
    meter = _meter.Meter(image.virtual_size, progress, image.source.local)
    meter.enter('compare', image.virtual_size)
    target.drop_cache()
    value = _stream(inspection, _read_back.Comparison(target, meter), meter,
                    workers, _Growth(inspection, target, meter))
    checksum = check(inspection, value)
    return _summary(inspection, target, meter, checksum, 'full')


def check_fit(inspection: _inspection.Inspection, target: targets.Target,
              size: int) -> None:
    """The image fits on the target, and its sectors do.

    :param size: bytes that the disk in the image has at least.
    :raises TargetError: when they do not.
    :raises ImageRefused: when it is too large for any reason but that.
    """
    if size > target.size:
        if target.created:
            raise exceptions.ImageRefused(
                inspection.source.name, [_bomb(inspection, target, size)])
        raise exceptions.TargetTooSmall(
            target.path, expected=f'at least {size} bytes',
            found=f'{target.size} bytes',
            fix='Use a larger disk or a smaller image.')
    if finding := inspection.too_large(size):
        raise exceptions.ImageRefused(inspection.source.name, [finding])
    sectors = inspection.sector_size
    if sectors and sectors != target.sector_size and target.fixed_sectors:
        raise exceptions.SectorSizeMismatch(
            target.path, expected=f'sectors of {sectors} bytes, as the GPT '
            'of the image counts', found=f'{target.sector_size} bytes',
            fix='Use an image built for the sector size of the disk.')


def check(inspection: _inspection.Inspection, value: str
          ) -> _report.ChecksumReport:
    """Hold the computed checksum against the expected one.

    :raises ChecksumMismatch: when they differ.
    """
    expected = inspection.expectation.checksum
    if expected:
        expected.check(inspection.source.name, value)
    return _report.ChecksumReport(
        algorithm=_algorithm(expected), value=value,
        verified=expected is not None)


@contextlib.contextmanager
def _all_or_nothing(target: targets.Target) -> Iterator[None]:
    """Whatever goes wrong inside leaves a disk that boots nothing."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(exceptions.TargetError):
            target.wipe_ends()
        raise


def _bomb(inspection: _inspection.Inspection, target: targets.Target,
          size: int) -> findings.Finding:
    return findings.Finding(
        code='decompression-bomb',
        message='The file unpacks to far more than an image would.',
        expected=f'at most {target.size} bytes from a file of '
        f'{inspection.stored_size} bytes', found=f'at least {size} bytes',
        fix='If it is right, write it to a disk, or to a file that was made '
            'with its size: truncate -s SIZE FILE')


class _Growth:
    """What becomes known of the size of a disk that is unpacked."""

    def __init__(self, inspection: _inspection.Inspection,
                 target: targets.Target, meter: _meter.Meter,
                 held: held_ends.HeldEnds | None = None) -> None:
        self._inspection = inspection
        self._target = target
        self._meter = meter
        self._held = held

    def grow(self, size: int) -> None:
        check_fit(self._inspection, self._target, size)

    def settle(self, size: int) -> None:
        self.grow(size)
        self._meter.total = size
        if self._held:
            self._held.settle(size)
        self._target.settle(size)


class _Disk:
    """The sink of a write: the target without its ends."""

    def __init__(self, target: targets.Target, held: held_ends.HeldEnds,
                 ledger: _read_back.Ledger, meter: _meter.Meter) -> None:
        self._target = target
        self._held = held
        self._ledger = ledger
        self._meter = meter

    def write(self, start: int, view: memoryview) -> None:
        length = len(view)
        start, view = self._held.keep(start, view)
        if view:
            with self._meter.spend(_meter.Stage.DISK):
                self._target.write(start, view)
            self._ledger.note(start, view)
        self._meter.count(written=length)

    def zero(self, start: int, length: int) -> None:
        low = max(start, self._held.low)
        high = min(start + length, self._held.high)
        if low < high:
            with self._meter.spend(_meter.Stage.DISK):
                self._target.zero(low, high - low)
            self._ledger.note_zero(low, high - low)
        self._meter.count(zeroed=length)


def _stream(inspection: _inspection.Inspection, sink: pipeline.Sink,
            meter: _meter.Meter, workers: int | None, growth: _Growth
            ) -> str:
    return pipeline.Stream(
        inspection.accepted(), inspection.source.replay_check(), sink,
        algorithm=_algorithm(inspection.expectation.checksum), meter=meter,
        workers=workers, growth=growth).run()


def _algorithm(expected: _checksum.Checksum | None) -> str:
    return expected.algorithm if expected else _ALGORITHM


def _summary(inspection: _inspection.Inspection, target: targets.Target,
             meter: _meter.Meter, checksum: _report.ChecksumReport,
             read_back: str) -> _report.Report:
    return _report.Report(
        source=inspection.source.name, format=str(inspection.format),
        virtual_size=meter.total, bytes_read=meter.read,
        bytes_written=meter.written, bytes_zeroed=meter.zeroed,
        zeroes_written=target.zeroes_written,
        resumes=inspection.source.resumes, seconds=round(meter.elapsed, 3),
        checksum=checksum, read_back=read_back, bottleneck=meter.bottleneck)
