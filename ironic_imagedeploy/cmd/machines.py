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

"""The machine that an image is checked for, and whether it starts there."""

import argparse
from collections.abc import Iterator
import dataclasses
import typing

from ironic_imagedeploy.cmd import nodes
from ironic_imagedeploy.cmd import text
from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import hardware

#: Findings about one kind of firmware only.
_OF_FIRMWARE = {'bios': ('no-bios-boot',),
                'uefi': ('no-esp', 'no-fallback-loader', 'unsigned-loader',
                         'unsigned-kernel')}
_WORDS = {'bios': 'BIOS', 'uefi': 'UEFI'}


def expected(args: argparse.Namespace, expectation: engine.Expectation
             ) -> engine.Expectation:
    """The expectation with what the machine is, where options name one.

    What another option says of it comes first.

    :raises CloudError: when Ironic does not tell.
    """
    expectation = dataclasses.replace(
        expectation, secure_boot=args.secure_boot)
    if args.here:
        return dataclasses.replace(
            expectation, initramfs=True,
            devices=hardware.devices(root=args.disk or ''))
    if not args.node:
        return expectation
    machine = nodes.Ironic(args.os_cloud, 'check').machine(args.node)
    return dataclasses.replace(
        expectation, initramfs=True, devices=machine.devices,
        arch=expectation.arch or machine.arch,
        boot_mode=expectation.boot_mode or machine.boot_mode,
        disk_size=expectation.disk_size or machine.disk_size,
        secure_boot=expectation.secure_boot or machine.secure_boot)


def verdicts(inspection: engine.Inspection, args: argparse.Namespace
             ) -> list[dict[str, typing.Any]]:
    """Verdicts for each firmware and for the machine, as JSON values.

    The loader of a partition image is made when it is deployed: of firmware,
    nothing is said there.
    """
    found = []
    if inspection.image_type == 'whole-disk':
        for mode, codes in _OF_FIRMWARE.items():
            its = [finding for finding in inspection.findings
                   if finding.code in codes]
            found.append({
                'machine': mode,
                'starts': mode in inspection.boot_modes and not any(
                    finding.severity is engine.Severity.ERROR
                    for finding in its),
                'codes': [finding.code for finding in its]})
    if args.here or args.node:
        found.append({
            'machine': args.node or 'here',
            'starts': _starts(inspection),
            'codes': [finding.code for finding in inspection.findings]})
    return found


def rows(found: list[dict[str, typing.Any]]) -> Iterator[tuple[str, str]]:
    """Labels and values of verdicts, for people."""
    for each in found:
        name = each['machine']
        codes = ', '.join(each['codes'])
        words = {True: 'starts', False: 'does not start', None: (
            'not known: what devices it has, or what the kernel drives, could '
            'not be read')}[each['starts']]
        label = _WORDS.get(name) or text.printable(name)
        yield label, words + (f' ({codes})' if codes else '')


def _starts(inspection: engine.Inspection) -> bool | None:
    """Whether nothing keeps it from starting.

    :returns: None where the drivers of a kernel were not compared with the
        devices of the machine: not both are known.
    """
    if inspection.verdict == 'refuse':
        return False
    contents = inspection.contents
    kernel = next(iter(contents.kernels or ()), None) if contents else None
    compared = (inspection.expectation.devices and kernel is not None
                and kernel.drivers is not None and kernel.devices is not None)
    return True if compared else None
