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

"""Does the image fit on the target?"""

from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine import findings
from ironic_imagedeploy.engine.inspection import result as _inspection
from ironic_imagedeploy.engine.targets import base as targets
from ironic_imagedeploy.engine.transfer import held_ends


def require_fit(inspection: _inspection.Inspection, target: targets.Target,
                size: int | None = None) -> None:
    """Refuse an image that does not fit on the target.

    :param size: bytes that the disk in the image has, at least; by default
        what its tables say. Its partition table may need more.
    :raises TargetTooSmall: when the target has fewer.
    :raises SectorSizeMismatch: when the sectors of the target have another
        size than those that the image counts.
    :raises ImageRefused: when the image is larger than was expected of it,
        or than the new file that it makes can be.
    """
    if size is None:
        size = inspection.accepted().virtual_size
    size = max(size, inspection.least_disk)
    if size > target.size:
        if target.created:
            raise exceptions.ImageRefused(
                inspection.source.name,
                [_decompression_bomb(inspection, target, size)])
        raise exceptions.TargetTooSmall(
            target.path, expected=f'at least {size} bytes',
            found=f'{target.size} bytes',
            fix='Use a larger disk or a smaller image.')
    if finding := inspection.too_large(size):
        raise exceptions.ImageRefused(inspection.source.name, [finding])
    sectors = inspection.sector_size
    if sectors and sectors != target.sector_size and target.fixed_sectors:
        raise exceptions.SectorSizeMismatch(
            target.path, expected=f'sectors of {sectors} bytes, as the '
            'partition table of the image counts',
            found=f'{target.sector_size} bytes',
            fix='Use an image built for the sector size of the disk.')


class SizeGuard:
    """Stops a disk that outgrows its target; hands its final size on.

    :param held: holds the ends of the disk; None when nothing is written.
    :ivar size: bytes of the disk, as far as they are known.
    """

    def __init__(self, inspection: _inspection.Inspection,
                 target: targets.Target,
                 held: held_ends.HeldEnds | None = None) -> None:
        self.size = 0
        self._inspection = inspection
        self._target = target
        self._held = held

    def at_least(self, size: int) -> None:
        """Learn that the disk has so many bytes or more.

        :raises ImageDeployError: when they do not fit.
        """
        require_fit(self._inspection, self._target, size)
        self.size = size

    def final(self, size: int) -> None:
        """Learn how many bytes the disk has.

        :raises ImageDeployError: when they do not fit.
        """
        self.at_least(size)
        if self._held:
            self._held.set_size(size)
        self._target.adapt(max(size, self._inspection.least_disk))


def _decompression_bomb(inspection: _inspection.Inspection,
                        target: targets.Target, size: int
                        ) -> findings.Finding:
    return findings.Finding(
        code='decompression-bomb',
        expected=f'at most {target.size} bytes from a file of '
        f'{inspection.stored_size} bytes', found=f'at least {size} bytes',
        data={'size': size, 'stored_size': inspection.stored_size})
