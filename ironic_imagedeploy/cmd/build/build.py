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

"""The command that builds an image, by diskimage-builder."""

import argparse
import os
import pathlib
import re
import shlex
import subprocess  # nosec B404
import time

from ironic_imagedeploy.cmd.build import recipes
from ironic_imagedeploy.cmd.build import requirements
from ironic_imagedeploy.cmd import console
from ironic_imagedeploy.cmd.images import inspected
from ironic_imagedeploy.cmd.images import programs
from ironic_imagedeploy.cmd import summary
from ironic_imagedeploy.cmd import text
from ironic_imagedeploy import engine

#: Steps of diskimage-builder, in words; the others are not shown.
_STEPS = {'root': 'root file system', 'extra-data': 'files for the build',
          'pre-install': 'package sources', 'install': 'packages',
          'post-install': 'configuration', 'finalise': 'boot loader',
          'cleanup': 'clean-up', 'block-device': 'partitions'}
_HOOK = re.compile(rb'Running \S*?/([a-z-]+)\.d/')
_CONVERTS = b'Converting image'
#: Seconds for diskimage-builder to unmount what it has mounted.
_PATIENCE = 120
_WORDS = 32 << 10
_TIME = re.compile(rb'^[-0-9]+ [.:0-9]+ \| ')
_ERROR = re.compile(rb'^(E|ERROR|fatal|.*\berror): ', re.IGNORECASE)
#: What JSON tells of the image that was built.
_SHOWN = ('verdict', 'format', 'image_type', 'virtual_size', 'stored_size',
          'boot_modes', 'findings')
_NAME = re.compile(r'[A-Za-z0-9][A-Za-z0-9.+_-]*')
#: A device, with its speed, parity, bits and flow control.
_CONSOLE = re.compile(r'[A-Za-z][A-Za-z0-9]*(?:,[0-9]+(?:[eno][0-9]?r?)?)?')


def build(args: argparse.Namespace) -> int:
    """Build an image, and check it."""
    recipe = _recipe(args)
    output = args.output.removesuffix('.qcow2')
    if args.print:
        if args.json:
            args.parser.error('--print is for a shell, --json for a program')
        console.show(f'{line}\n' for line in [
            *recipe.shell(output), shlex.join([
                'ironic-imagedeploy', 'check', f'{output}.qcow2'])])
        return 0
    image = pathlib.Path(f'{output}.qcow2')
    if image.exists():
        args.parser.error(f'{image} exists already')
    requirements.require(recipe)
    began = time.monotonic()
    _run(recipe, output, shown=args.progress != 'none')
    return _check(args, recipe, image, time.monotonic() - began)


def _recipe(args: argparse.Namespace) -> recipes.Recipe:
    words = [*args.element, *args.package, *filter(None, [args.release])]
    for word in words:
        if not _NAME.fullmatch(word):
            args.parser.error(f'{word!r} is not a name')
    if args.console and not _CONSOLE.fullmatch(args.console):
        args.parser.error(f'{args.console!r} is not a console')
    if args.arch == 'arm64' and args.firmware in ('bios', 'both'):
        args.parser.error('machines of arm64 have no BIOS')
    return recipes.Recipe(
        system=args.system, release=args.release or '',
        image_type=args.image_type, arch=args.arch, network=args.network,
        firmware=args.firmware or (
            'uefi' if args.arch == 'arm64' else 'both'),
        console='' if args.console == 'none' else (
            args.console or recipes.CONSOLES[args.arch]),
        mirror=args.mirror or '', elements=tuple(args.element),
        packages=tuple(args.package))


def _run(recipe: recipes.Recipe, output: str, *, shown: bool) -> None:
    """Run diskimage-builder, with all that it says in a file.

    Variables of its own that the user has set come before ours.

    :raises ProgramError: when it fails.
    """
    log = pathlib.Path(f'{output}.log')
    # No shell; the user's own program, with the user's rights.
    with log.open('wb') as file, subprocess.Popen(  # nosec B603
            recipe.command(output), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env={**recipe.variables(), **os.environ}) as child:
        try:
            assert child.stdout is not None
            step = ''
            for line in child.stdout:
                file.write(line)
                if (now := _step(line) or step) != step and shown:
                    console.say(f'building: {now}')
                    step = now
            status = child.wait()
        except BaseException:
            # It unmounts what it has mounted.
            child.terminate()
            child.wait(_PATIENCE)
            raise
    if status:
        raise programs.ProgramError(
            recipes.PROGRAM, expected='an image',
            found=f'status {status}: {_reason(log)}',
            fix=f'See {log}, and what it says last.')
    log.unlink()


def _step(line: bytes) -> str:
    """The step that a line of diskimage-builder begins; empty for none."""
    if _CONVERTS in line:
        return 'qcow2'
    match = _HOOK.search(line)
    return _STEPS.get(match[1].decode(), '') if match else ''


def _reason(log: pathlib.Path) -> str:
    """The last error in a log, or else its last line, without the time."""
    with log.open('rb') as file:
        file.seek(max(log.stat().st_size - _WORDS, 0))
        lines = [_TIME.sub(b'', line) for line in file]
    errors = [line for line in lines if _ERROR.search(line)]
    return programs.last_words(b'\n'.join(errors or lines))


def _check(args: argparse.Namespace, recipe: recipes.Recipe,
           image: pathlib.Path, seconds: float) -> int:
    """Judge what was built, as ``check`` does.

    :raises VerificationError: when it is not what was asked for.
    """
    with engine.open_source(str(image)) as source:
        args.permit = []
        args.arch = recipes.ARCHITECTURES[recipe.arch]
        inspection = inspected.look(source, args)
    missing = set(recipe.boot_modes) - set(inspection.boot_modes)
    if missing and inspection.verdict == 'accept':
        raise engine.exceptions.VerificationError(
            str(image), expected='an image that '
            + ' and '.join(sorted(recipe.boot_modes)) + ' start',
            found='none that ' + ' and '.join(sorted(missing)) + ' starts',
            fix='Report it with the command that build --print shows.')
    if args.json:
        found = inspection.to_dict()
        console.show([console.to_json({
            'image': str(image), 'seconds': round(seconds, 3),
            **{name: found[name] for name in _SHOWN}})])
    else:
        console.show(f'{line}\n' for line in [
            *summary.check(inspection, str(image)),
            f'  built in     {text.duration(seconds)}'])
    return (0 if inspection.verdict == 'accept'
            else engine.exceptions.ImageRefused.exit_status)
