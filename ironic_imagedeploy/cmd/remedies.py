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

"""Remedies for findings, for who uses the command line."""

import argparse
from collections.abc import Callable
from collections.abc import Mapping
import dataclasses
import os
import shlex
import urllib.parse

from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import choices

#: How the file is called that is not one of this machine.
_FILE = 'FILE'
#: Formats that --permit takes.
_PERMITTED = choices.OTHER_FORMATS


def with_remedies(inspection: engine.Inspection, source: str,
                  args: argparse.Namespace) -> engine.Inspection:
    """The inspection, whose findings name the options and the file.

    :param source: the image, as it was given.
    :param args: of the command, whose options are named and no others.
    """
    return dataclasses.replace(inspection, findings=tuple(
        with_remedy(finding, source, args)
        for finding in inspection.findings))


def with_remedy(finding: engine.Finding, source: str,
                args: argparse.Namespace) -> engine.Finding:
    """The finding with a remedy that names the options and the file."""
    file, remedy = _local(source), _REMEDIES.get(finding.code)
    return dataclasses.replace(finding, fix=(
        (remedy(finding, file, args) if remedy else None)
        or finding.fix_for(file)))


def _local(source: str) -> str:
    """The path of the image, as a shell takes it."""
    if source.startswith('file:'):
        source = urllib.parse.unquote(urllib.parse.urlsplit(source).path)
    return shlex.quote(source) if os.path.exists(source) else _FILE


def _convert(name: str, file: str) -> str:
    """The command that converts an image, by ours where that takes it."""
    if name in _PERMITTED:
        return f'ironic-imagedeploy convert --permit {name} {file} NEW.qcow2'
    return f'qemu-img convert -O qcow2 {file} NEW'


def _format(finding: engine.Finding, file: str, args: argparse.Namespace
            ) -> str | None:
    name = str(finding.data['format'])
    if name not in (*choices.PERMITTED_FORMATS, *_PERMITTED):
        return f'Convert it: {_convert(name, file)}'
    if not hasattr(args, 'disk_format'):
        return None
    # Whatever has no signature could be raw.
    sure = 'if it is a disk byte for byte: ' if name == 'raw' else ''
    return f'Say its real format, {sure}--disk-format {name}' + (
        f' --permit {name}' if name in _PERMITTED else '')


def _permit(finding: engine.Finding, file: str, args: argparse.Namespace
            ) -> str:
    name = str(finding.data['format'])
    convert = f'Convert it: {_convert(name, file)}'
    return (f'{convert}; or accept it: --permit {name}'
            if hasattr(args, 'permit') else convert)


def _image_type(finding: engine.Finding, file: str, args: argparse.Namespace
                ) -> str | None:
    if finding.case == 'kernel':
        stated = ('--kernel and --ramdisk' if getattr(args, 'kernel', None)
                  else '--kernel-beside')
        return (f'Leave out {stated}: a whole-disk image needs no other '
                'kernel.')
    if finding.case in ('disk', 'partition'):
        return (f'{finding.fix_for(file)} To write it there all the same: '
                '--force')
    if not hasattr(args, 'image_type'):
        return None
    return f'Say what it is: --image-type {finding.data["image_type"]}'


def _bios(finding: engine.Finding, file: str, args: argparse.Namespace
          ) -> str | None:
    return ('Use an image for UEFI, or --boot-mode bios for a machine that '
            'can.' if hasattr(args, 'boot_mode') else None)


def _uefi(finding: engine.Finding, file: str, args: argparse.Namespace
          ) -> str | None:
    return ('Use an image for BIOS, or --boot-mode uefi for a machine that '
            'can.' if hasattr(args, 'boot_mode') else None)


def _arch(finding: engine.Finding, file: str, args: argparse.Namespace
          ) -> str | None:
    if finding.data['arch'] is None or not hasattr(args, 'arch'):
        return None
    return ('Use one for the processor of the machine, or correct --arch: '
            f'{finding.data["arch"]}')


def _bootloader(finding: engine.Finding, file: str, args: argparse.Namespace
                ) -> str | None:
    fix = finding.fix_for(file).rstrip('.')
    if hasattr(args, 'kernel_beside'):
        return f'{fix}, which --kernel-beside says.'
    return (f'{fix}, which --kernel and --ramdisk name.'
            if hasattr(args, 'kernel') else None)


#: Remedies that need an option, where the command has it; others are those
#: of the catalogue.
_REMEDIES: Mapping[str, Callable[
    [engine.Finding, str, argparse.Namespace], str | None]] = {
    'format-mismatch': _format, 'format-not-permitted': _permit,
    'image-type-mismatch': _image_type, 'no-esp': _bios,
    'no-bios-boot': _uefi, 'arch-mismatch': _arch,
    'no-bootloader': _bootloader}
