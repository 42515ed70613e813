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

"""Targets: disks, partitions and files that a command holds images against.
"""

import argparse
from collections.abc import Iterator
import contextlib
import os
import stat
import typing

from ironic_imagedeploy.cmd import console
from ironic_imagedeploy.cmd import output_files
from ironic_imagedeploy.cmd import remedies
from ironic_imagedeploy import engine


class Measures(typing.NamedTuple):
    """Measures of a target.

    :ivar size: bytes.
    :ivar sector_size: bytes; None where it is not the target's own, as that of
        a file.
    :ivar is_partition: None when it may be either.
    """

    size: int
    sector_size: int | None
    is_partition: bool | None


def measure(path: str) -> Measures:
    """Measures of a target that is there.

    :raises TargetError: when it cannot be read, or is in use.
    """
    with engine.open_target(path, read_only=True) as target:
        return Measures(
            target.size,
            target.sector_size if target.fixed_sectors else None,
            target.is_partition)


def sector_size(path: str) -> int | None:
    """Bytes in the sectors of a target to write; None for all but devices."""
    with contextlib.suppress(OSError):
        if stat.S_ISBLK(os.stat(path).st_mode):
            return measure(path).sector_size
    return None


def only_errors(inspection: engine.Inspection, *codes: str
                ) -> list[engine.Finding]:
    """Errors of an image; empty when there are others than these.

    :param codes: of what a target states, so that another one would do.
    """
    errors = [finding for finding in inspection.findings
              if finding.severity is engine.Severity.ERROR]
    return errors if {each.code for each in errors}.issubset(codes) else []


@contextlib.contextmanager
def opened(args: argparse.Namespace, create_size: int
                 ) -> Iterator[engine.Target]:
    """The target; who is stopped while it is open learns its state."""
    require_device(args.target)
    args.is_begun = False
    try:
        with engine.open_target(args.target, create_size=create_size
                                ) as target:
            yield target
    except console.Interrupted as stop:
        if not args.is_begun:
            stop.add_note('nothing was written')
        elif os.path.exists(args.target):
            stop.add_note(f'{args.target} is incomplete and boots nothing')
        else:
            stop.add_note(f'{args.target} was removed')
        raise


def require_kind(args: argparse.Namespace, inspection: engine.Inspection,
                target: engine.Target) -> None:
    """A partition image belongs in a partition, a disk onto a disk.

    :raises ImageRefused: when it is the other way round, without --force.
    """
    finding = inspection.misplaced(target.is_partition)
    if finding and not args.force:
        raise engine.exceptions.ImageRefused(
            inspection.source.name,
            [remedies.with_remedy(finding, args.source, args)])


def require_distinct(args: argparse.Namespace) -> None:
    """A file written onto itself would be lost: that is a usage error."""
    path = output_files.local_path(args.source)
    # A loop device is the file behind it.
    backing = os.path.join(
        '/sys/block', os.path.basename(os.path.realpath(args.target)),
        'loop/backing_file')
    targets = [args.target]
    with contextlib.suppress(OSError), open(backing) as file:
        targets.append(file.read().rstrip('\n'))
    for target in targets:
        with contextlib.suppress(OSError, ValueError):
            if os.path.samefile(path, target):
                args.parser.error('SOURCE and TARGET are the same file')


def require_device(path: str) -> None:
    """A mistyped device must not become a file in the memory of /dev."""
    folder = os.path.dirname(os.path.realpath(path))
    with contextlib.suppress(OSError):
        if not os.path.exists(path) and os.path.samestat(
                os.stat(folder), os.stat('/dev')):
            raise engine.exceptions.TargetError(
                path, expected='a disk', found='no such device',
                fix='Check the name: lsblk lists the disks.')
