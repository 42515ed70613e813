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

"""Transfer of the ranges of a disk that a block map lists."""

import dataclasses
import threading

from ironic_imagedeploy.engine import bmap as bmaps
from ironic_imagedeploy.engine import checksum as checksums
from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.inspection import result as _inspection
from ironic_imagedeploy.engine.targets import base as targets
from ironic_imagedeploy.engine.transfer import fit
from ironic_imagedeploy.engine.transfer import gather
from ironic_imagedeploy.engine.transfer import meter as _meter
from ironic_imagedeploy.engine.transfer import passes
from ironic_imagedeploy.engine.transfer import report as _report
from ironic_imagedeploy.engine.transfer import sinks
from ironic_imagedeploy.engine.transfer import transfer

_ZEROES = memoryview(bytes(1 << 20))
#: Bytes of zeroes that are proven at once.
_PROVEN = 256 << 20


def transfer_listed(inspection: _inspection.Inspection,
                    target: targets.Target, bmap: bmaps.Bmap, *,
                    read_back: str = 'none',
                    progress: _meter.ProgressCall | None = None,
                    workers: int | None = None, verify_file: bool = False
                    ) -> _report.Report:
    """Write what a block map lists; the rest of the target stays as it is.

    All of the file is read twice: each range is proven before anything is
    written, and then the file has to have the checksum that it had. A raw
    file in a :class:`.ChunkedSource` is read once, as its chunks are proven
    before a byte of them is used.

    :param bmap: of the raw disk in the image.

    The other parameters, and what it raises, are those of
    :func:`.transfer.transfer`.

    :raises InvalidBmap: when the block map is that of another disk.
    :raises ChecksumMismatch: when a range has other bytes.
    """
    image = inspection.accepted()
    if image.format_name != 'raw':
        raise exceptions.InvalidBmap(
            'bmap', expected='a raw image, which may be compressed',
            found=image.format_name,
            fix='Write this image without a block map: it has its own.')
    if inspection.source.chunked and image.known_size is not None:
        _require_size(bmap, image.known_size)
        # A single worker takes the bytes in the sequence of the disk.
        return transfer.transfer(
            inspection, target, read_back=read_back, progress=progress,
            workers=1, verify_file=verify_file, in_sequence=True,
            through=lambda sink: _ProvingSink(
                inspection.source.name, bmap,
                sinks.ListedSink(sink, bmap.ranges)))
    report = transfer.transfer(
        _proven(inspection, target, bmap, progress), target,
        read_back=read_back, progress=progress, workers=workers,
        verify_file=verify_file,
        through=lambda sink: sinks.ListedSink(sink, bmap.ranges))
    if inspection.expectation.checksum:
        return report
    return dataclasses.replace(
        report, verified_by='bmap' if bmap.proven else None,
        checksum=dataclasses.replace(report.checksum, verified=False))


def _proven(inspection: _inspection.Inspection, target: targets.Target,
            bmap: bmaps.Bmap, progress: _meter.ProgressCall | None
            ) -> _inspection.Inspection:
    """The inspection of a file of which every listed range is proven.

    Its checksum is expected of it from here on.
    """
    meter = _meter.Meter(progress, inspection.source.local)
    sink = _ProvingSink(inspection.source.name, bmap)
    reading = passes.prepare(inspection, fit.SizeGuard(inspection, target),
                             meter)
    reading.enter('verify')
    # A single worker takes the bytes in the sequence of the disk.
    reading.run(sink, 1)
    sink.finish()
    found = reading.prove().checksum
    return dataclasses.replace(inspection, expectation=dataclasses.replace(
        inspection.expectation, checksum=checksums.Checksum(
            found.algorithm, found.value)))


class _ProvingSink:
    """Compares the ranges of a disk, which comes in its sequence.

    :param sink: gets what was compared.
    """

    zero_step = _PROVEN

    def __init__(self, name: str, bmap: bmaps.Bmap,
                 sink: gather.Sink | None = None) -> None:
        self._name = name
        self._bmap = bmap
        self._sink = sink
        checksum = next((listed.checksum for listed in bmap.ranges
                         if listed.checksum), None)
        self._digests = bmaps.RangeDigests(
            bmap.ranges, checksum.algorithm if checksum else 'sha256')

    def write(self, start: int, view: memoryview) -> None:
        """Take the next bytes of the disk.

        :raises ChecksumMismatch: when a range that ends in them is wrong.
        """
        if start != self._digests.position:
            raise RuntimeError(f'byte {start} after {self._digests.position} '
                               f'in {threading.current_thread().name}')
        for listed, value in self._digests.update(view):
            if listed.checksum:
                listed.checksum.check(
                    f'{self._name}, bytes {listed.start} to '
                    f'{listed.end - 1}', value)
        if self._sink:
            self._sink.write(start, view)

    def zero(self, start: int, length: int) -> None:
        """Take zeroes as the next bytes of the disk."""
        for offset in range(0, length, len(_ZEROES)):
            self.write(start + offset,
                       _ZEROES[:min(len(_ZEROES), length - offset)])

    def finish(self) -> None:
        """Learn that the disk has no more bytes.

        :raises InvalidBmap: when they are not as many as it says.
        """
        _require_size(self._bmap, self._digests.position)


def _require_size(bmap: bmaps.Bmap, size: int) -> None:
    if size != bmap.size:
        raise exceptions.InvalidBmap(
            'bmap', expected=f'that of a disk of {size} bytes',
            found=f'that of one of {bmap.size} bytes',
            fix='Take the block map that was made of this image.')
