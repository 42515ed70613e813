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

"""The commands ``check``, ``map``, ``write``, ``verify`` and ``mend``."""

import argparse
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import dataclasses
import os
import stat
import sys
import typing

from ironic_imagedeploy.cmd import bmaps
from ironic_imagedeploy.cmd import boot_files
from ironic_imagedeploy.cmd import console
from ironic_imagedeploy.cmd import disk_map
from ironic_imagedeploy.cmd.images import mend
from ironic_imagedeploy.cmd import machines
from ironic_imagedeploy.cmd import output_files
from ironic_imagedeploy.cmd import overwrite
from ironic_imagedeploy.cmd import progress_bar
from ironic_imagedeploy.cmd import remedies
from ironic_imagedeploy.cmd import retries
from ironic_imagedeploy.cmd import small_files
from ironic_imagedeploy.cmd import sources
from ironic_imagedeploy.cmd import standard_input
from ironic_imagedeploy.cmd import summary
from ironic_imagedeploy.cmd import svg
from ironic_imagedeploy.cmd import text
from ironic_imagedeploy.cmd import trusted_manifest
from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import choices

#: Codes of findings that are about the target, as those of a write.
_OF_TARGET = frozenset({'too-large', 'sector-size'})


def check(args: argparse.Namespace) -> int:
    """Inspect the image and tell what was found."""
    is_partition = _measure(args)
    beside = boot_files.BootFiles.inspect(args)
    with sources.open_source(args) as source:
        inspection = beside.judged_with(_inspect(
            source, args, beside.expected(machines.expected(
                args, dataclasses.replace(_expectation(args), contents=True)))
        ))
        if misplaced := inspection.misplaced(is_partition):
            inspection = dataclasses.replace(inspection, findings=(
                *inspection.findings,
                remedies.with_remedy(misplaced, args.source, args)))
        verdicts = machines.verdicts(inspection, args)
        _show(args, {**inspection.to_dict(), 'verdicts': verdicts,
                     'boot_files': beside.to_dict()},
              summary.check(inspection, source.name, [
                  *beside.rows(), *machines.rows(verdicts)]))
    if inspection.verdict == 'accept':
        return 0
    if args.disk and _OF_TARGET.issuperset(
            finding.code for finding in inspection.findings
            if finding.severity is engine.Severity.ERROR):
        return engine.exceptions.TargetError.exit_status
    return engine.exceptions.ImageRefused.exit_status


def map_(args: argparse.Namespace) -> int:
    """Show where the image has data."""
    with sources.open_source(args) as source:
        inspection = _inspect(source, args)
        inspection.raise_if_refused()
        if args.json:
            console.show(disk_map.json_pieces(inspection))
        elif args.svg:
            console.save(args.svg, svg.draw(inspection, source.name))
        else:
            console.show(f'{line}\n' for line in disk_map.lines(
                inspection, source.name,
                columns=progress_bar.width(sys.stdout, disk_map.COLUMNS),
                ascii_only=not progress_bar.can_encode(
                    sys.stdout, disk_map.CHARACTERS)))
    return 0


def write(args: argparse.Namespace) -> int:
    """Write the image to the target, unless it is refused."""
    _check_distinct(args)
    trusted_manifest.check_usage(args)
    args.bmap_location, args.bmap = args.bmap, bmaps.stated(args.bmap)
    with sources.open_source(args) as source:
        inspection = _inspect(source, args, _expectation_of_target(args))
        _raise_if_refused(args, inspection)
        if args.dry_run:
            return _try(args, inspection)
        _warn(inspection)
        with (_open_target(args, inspection.largest) as target,
              retries.display(args) as display):
            _check_kind(args, inspection, target)
            if not overwrite.is_confirmed(
                    target, yes=args.yes,
                    piped=args.source == standard_input.DASH):
                args.parser.error(
                    f'nothing was written: without a yes {args.target} stays '
                    'as it is')
            report = _transfer(args, inspection, target, display).to_dict()
    _tell(args, report, inspection)
    checksum = inspection.expectation.checksum
    if checksum and checksum.weak:
        console.say(f'warning: {checksum.algorithm} tells damage and not '
                    'forgery: use the sha256 or sha512 of the image')
    return 0


def _tell(args: argparse.Namespace, report: Mapping[str, typing.Any],
          inspection: engine.Inspection) -> None:
    """Tell of a write that is done, whatever becomes of the words."""
    try:
        try:
            if args.report:
                console.save(args.report, console.to_json(report))
        finally:
            _show(args, report, summary.write(
                report, args.target, inspection,
                voucher=trusted_manifest.voucher(args)))
    except engine.exceptions.TargetError as error:
        console.say(f'warning: {args.target} is written, whatever '
                    f'follows: {error}')


def _transfer(args: argparse.Namespace, inspection: engine.Inspection,
              target: engine.Target, display: progress_bar.Display
              ) -> engine.Report:
    args.is_begun = True
    if args.bmap:
        with small_files.blamed(args.bmap_location):
            return trusted_manifest.without_claims(
                args, engine.transfer_listed(
                    inspection, target, args.bmap, read_back=args.read_back,
                    progress=display, verify_file=args.verify_file))
    return trusted_manifest.without_claims(args, engine.transfer(
        inspection, target, read_back=args.read_back, progress=display,
        verify_file=args.verify_file))


def verify(args: argparse.Namespace) -> int:
    """Compare the target with the image."""
    with sources.open_source(args) as source:
        inspection = _inspect(source, args)
        inspection.raise_if_refused()
        with (engine.open_target(args.target, read_only=True) as target,
              retries.display(args) as display):
            report = engine.compare(
                inspection, target, progress=display).to_dict()
    _show(args, report, summary.verify(report, args.target, inspection))
    return 0


def repair_gpt(args: argparse.Namespace) -> int:
    """Repair the GPT of a disk, or of a raw image."""
    _check_device(args.target)
    with engine.open_target(args.target) as target:
        done = engine.repair_gpt(target)
        if done:
            target.reread_partitions()
        found = overwrite.content(target)
    result = summary.repair(done, found)
    if getattr(args, 'json', False):
        console.show([console.to_json({
            'target': args.target, 'repaired': done, 'message': result})])
    else:
        console.show([f'{text.printable(args.target)}: {result}\n'])
    return 0


def mend_(args: argparse.Namespace) -> int:
    """Repair a partition table, or the metadata of an image in Glance."""
    if args.image:
        return mend.mend_image(args)
    for option, stated in (('--yes', args.yes), ('--permit', args.permit),
                           ('--os-cloud', args.os_cloud)):
        if stated:
            args.parser.error(f'{option} is for --image: the GPT of a disk '
                              'is repaired without it')
    return repair_gpt(args)


def _measure(args: argparse.Namespace) -> bool | None:
    """Expect the disk that --target names.

    :returns: whether it is a partition; None when it may be either.
    """
    if not args.disk:
        return None
    if args.disk_size or args.sector_size:
        args.parser.error('--target says the size of the disk and of its '
                          'sectors')
    with engine.open_target(args.disk, read_only=True) as target:
        args.disk_size = target.size
        if target.fixed_sectors:
            args.sector_size = target.sector_size
        return target.is_partition


def _try(args: argparse.Namespace, inspection: engine.Inspection) -> int:
    """Hold an accepted image against the target, and leave that alone."""
    _check_device(args.target)
    if os.path.exists(args.target):
        with engine.open_target(args.target) as target:
            _check_kind(args, inspection, target)
            engine.require_fit(inspection, target)
    _show(args, {**inspection.to_dict(), 'verdicts': [],
                 'boot_files': None}, [
        *summary.check(inspection, inspection.source.name), '',
        f'dry run: nothing was written to {text.printable(args.target)}'])
    return 0


def _inspect(source: engine.Source, args: argparse.Namespace,
             expectation: engine.Expectation | None = None
             ) -> engine.Inspection:
    """The inspection, with remedies for who uses the command line."""
    return remedies.with_remedies(
        engine.inspect(source, expectation or _expectation(args),
                       engine.Budget.before_write()), args.source, args)


def _expectation(args: argparse.Namespace) -> engine.Expectation:
    """Expectation of the options that the command has."""
    names = ('disk_format', 'image_type', 'checksum', 'disk_size',
             'sector_size', 'boot_mode', 'arch')
    stated: dict[str, typing.Any] = {
        name: getattr(args, name, None) for name in names}
    return engine.Expectation(
        permitted=(*choices.PERMITTED_FORMATS, *args.permit),
        has_kernel=getattr(args, 'kernel_beside', False), **stated)


def _expectation_of_target(args: argparse.Namespace) -> engine.Expectation:
    """Expectation of the options, else of the sectors of a disk to write."""
    expectation = _expectation(args)
    if expectation.sector_size or not (
            os.path.exists(args.target)
            and stat.S_ISBLK(os.stat(args.target).st_mode)):
        return expectation
    with engine.open_target(args.target, read_only=True) as target:
        return dataclasses.replace(expectation,
                                   sector_size=target.sector_size)


def _raise_if_refused(args: argparse.Namespace,
                      inspection: engine.Inspection) -> None:
    """Stop at an image that must not be written.

    :raises SectorSizeMismatch: when it was made for other sectors than those
        of the target, which no option states, and nothing else is wrong.
    :raises ImageRefused: when anything else is.
    """
    errors = [finding for finding in inspection.findings
              if finding.severity is engine.Severity.ERROR]
    if not args.sector_size and errors and all(
            each.code == 'sector-size' for each in errors):
        raise engine.exceptions.SectorSizeMismatch(
            args.target, expected=errors[0].expected, found=errors[0].found,
            fix=errors[0].fix)
    inspection.raise_if_refused()


@contextlib.contextmanager
def _open_target(args: argparse.Namespace, create_size: int
                 ) -> Iterator[engine.Target]:
    """The target; who is stopped while it is open learns its state."""
    _check_device(args.target)
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


def _check_kind(args: argparse.Namespace, inspection: engine.Inspection,
                target: engine.Target) -> None:
    """A partition image belongs in a partition, a disk onto a disk.

    :raises ImageRefused: when it is the other way round, without --force.
    """
    finding = inspection.misplaced(target.is_partition)
    if finding and not args.force:
        raise engine.exceptions.ImageRefused(
            inspection.source.name,
            [remedies.with_remedy(finding, args.source, args)])


def _check_distinct(args: argparse.Namespace) -> None:
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


def _check_device(path: str) -> None:
    """A mistyped device must not become a file in the memory of /dev."""
    folder = os.path.dirname(os.path.realpath(path))
    with contextlib.suppress(OSError):
        if not os.path.exists(path) and os.path.samestat(
                os.stat(folder), os.stat('/dev')):
            raise engine.exceptions.TargetError(
                path, expected='a disk', found='no such device',
                fix='Check the name: lsblk lists the disks.')


def _warn(inspection: engine.Inspection) -> None:
    for finding in inspection.findings:
        console.say(f'{finding.severity}: {finding}')


def _show(args: argparse.Namespace, result: Mapping[str, typing.Any],
          lines: Sequence[str]) -> None:
    if args.json:
        console.show([console.to_json(result)])
    else:
        console.show(f'{line}\n' for line in lines)
