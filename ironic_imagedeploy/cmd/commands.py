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
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import os
import sys
import typing

from ironic_imagedeploy.cmd import bmaps
from ironic_imagedeploy.cmd import boot_files
from ironic_imagedeploy.cmd import console
from ironic_imagedeploy.cmd import disk_map
from ironic_imagedeploy.cmd.images import mend
from ironic_imagedeploy.cmd import machines
from ironic_imagedeploy.cmd import overwrite
from ironic_imagedeploy.cmd import progress_bar
from ironic_imagedeploy.cmd import remedies
from ironic_imagedeploy.cmd import retries
from ironic_imagedeploy.cmd import small_files
from ironic_imagedeploy.cmd import sources
from ironic_imagedeploy.cmd import standard_input
from ironic_imagedeploy.cmd import summary
from ironic_imagedeploy.cmd import svg
from ironic_imagedeploy.cmd import targets
from ironic_imagedeploy.cmd import text
from ironic_imagedeploy.cmd import trusted_manifest
from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import choices


def check(args: argparse.Namespace) -> int:
    """Inspect the image and tell what was found."""
    if args.disk and (args.disk_size or args.sector_size):
        args.parser.error('--target says the size of the disk and of its '
                          'sectors')
    measures = targets.measure(args.disk) if args.disk else None
    expectation = _expectation(args)
    if measures:
        expectation = dataclasses.replace(
            expectation, disk_size=measures.size,
            sector_size=measures.sector_size)
    beside = boot_files.BootFiles.inspect(args)
    with sources.open_source(args) as source:
        inspection = beside.judged_with(_inspect(
            source, args, beside.expected(machines.expected(
                args, dataclasses.replace(expectation, contents=True)))))
        if misplaced := inspection.misplaced(
                measures.is_partition if measures else None):
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
    if measures and targets.only_errors(inspection, 'too-large',
                                        'sector-size'):
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
    targets.require_distinct(args)
    trusted_manifest.check_usage(args)
    args.bmap_location, args.bmap = args.bmap, bmaps.stated(args.bmap)
    with sources.open_source(args) as source:
        expectation = _expectation(args)
        if not args.sector_size:
            expectation = dataclasses.replace(
                expectation, sector_size=targets.sector_size(args.target))
        inspection = _inspect(source, args, expectation)
        _raise_if_refused(args, inspection)
        if args.dry_run:
            return _try(args, inspection)
        _warn(inspection)
        with (targets.opened(args, inspection.largest) as target,
              retries.display(args) as display):
            targets.require_kind(args, inspection, target)
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
    targets.require_device(args.target)
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


def _try(args: argparse.Namespace, inspection: engine.Inspection) -> int:
    """Hold an accepted image against the target, and leave that alone."""
    targets.require_device(args.target)
    if os.path.exists(args.target):
        with engine.open_target(args.target) as target:
            targets.require_kind(args, inspection, target)
            engine.require_fit(inspection, target)
    _show(args, {**inspection.to_dict(), 'verdicts': [],
                 'boot_files': None}, [
        *summary.check(inspection, inspection.source.name), '',
        f'dry run: nothing was written to {text.printable(args.target)}'])
    return 0


def _raise_if_refused(args: argparse.Namespace,
                      inspection: engine.Inspection) -> None:
    """Stop at an image that must not be written.

    :raises SectorSizeMismatch: when it was made for other sectors than those
        of the target, which no option states, and nothing else is wrong.
    :raises ImageRefused: when anything else is.
    """
    errors = targets.only_errors(inspection, 'sector-size')
    if errors and not args.sector_size:
        raise engine.exceptions.SectorSizeMismatch(
            args.target, expected=errors[0].expected, found=errors[0].found,
            fix=errors[0].fix)
    inspection.raise_if_refused()


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


def _warn(inspection: engine.Inspection) -> None:
    for finding in inspection.findings:
        console.say(f'{finding.severity}: {finding}')


def _show(args: argparse.Namespace, result: Mapping[str, typing.Any],
          lines: Sequence[str]) -> None:
    if args.json:
        console.show([console.to_json(result)])
    else:
        console.show(f'{line}\n' for line in lines)
