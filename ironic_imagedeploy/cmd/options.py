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

"""The command line's options."""

import argparse
from collections.abc import Callable
from collections.abc import Sequence
from importlib import metadata
import os
import pathlib
import sys
import typing

from ironic_imagedeploy.cmd import console
from ironic_imagedeploy.cmd import progress_bar
from ironic_imagedeploy.cmd import sizes
from ironic_imagedeploy.cmd import text
from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import choices
from ironic_imagedeploy.engine.contents import efi_programs

#: Types of files that are only checked by themselves.
_BESIDE = ('kernel', 'ramdisk')
#: Exit status of a wrong usage.
_USAGE = 2

Command = Callable[[argparse.Namespace], int]
Commands: typing.TypeAlias = 'argparse._SubParsersAction[_Parser]'

_EPILOG = """\
exit status:
  0  done, or accepted
  1  a bug of this program
  2  wrong usage
  3  the source: not found, truncated, changed, timed out
  4  the image is refused
  5  the target: too small, busy, wrong sector size, I/O error
  6  the verification: checksum or read-back
"""


class _Parser(argparse.ArgumentParser):
    """A parser that says in one line what is wrong, and in JSON if asked."""

    _words: Sequence[str] = ()

    def parse_known_args(  # type: ignore[override]
            self, args: Sequence[str] | None = None,
            namespace: argparse.Namespace | None = None
            ) -> tuple[argparse.Namespace, list[str]]:
        self._words = sys.argv[1:] if args is None else list(args)
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> typing.NoReturn:
        if '--json' in self._words:
            console.show_error(message, _USAGE)
        self.exit(_USAGE, f'{self.prog}: {text.printable(message)}; '
                  f'usage: {self.prog} --help\n')


def parser(*, check: Command, map: Command, write: Command, verify: Command,
           manifest: Command, repair_gpt: Command, watch: Command,
           more: Callable[[Commands], None]) -> argparse.ArgumentParser:
    """The parser of the whole command line.

    :param more: adds further commands.
    """
    whole = _Parser(
        prog='ironic-imagedeploy', epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description='Check disk images, and write them to disks in one pass.')
    whole.add_argument(
        '--version', action='version',
        version=f'%(prog)s {metadata.version("ironic-imagedeploy")}')
    commands = whole.add_subparsers(required=True, metavar='COMMAND')

    sub = image_command(commands, 'check', check,
                        'Say whether an image can be deployed, and why not.')
    json_option(sub)
    _expectations(sub, *_BESIDE).add_argument(
        '--kernel-beside', action='store_true',
        help='a kernel and an initramfs come with the image, so that a '
        'partition image needs none of its own')
    sub.add_argument(
        '--target', dest='disk', metavar='DISK', type=named,
        help='take size and sectors from this disk, which must not be in use; '
        'nothing is written to it')
    _machine(sub)

    sub = image_command(commands, 'map', map,
                        'Show partitions, and where the image has data.')
    form = sub.add_mutually_exclusive_group()
    json_option(form)
    form.add_argument(
        '--svg', type=new_file, metavar='FILE',
        help='draw the map into this file')

    sub = image_command(commands, 'write', write,
                        'Check an image, then write it to a disk.')
    _target(sub)
    json_option(sub)
    _expectations(sub)
    sub.add_argument(
        '--read-back', '--verify', default='none',
        choices=choices.READ_BACKS,
        help='read nothing of the target back once it is written, a sample '
        '(one write of 16) or all of it, and compare it with what was '
        'written; the image is verified by --checksum or --manifest, where '
        'one is given, in any case (default: %(default)s)')
    sub.add_argument(
        '--dry-run', action='store_true',
        help='do all but write: say whether the image can be deployed, and '
        'whether it fits on the target')
    sub.add_argument(
        '--yes', '-y', action='store_true',
        help='overwrite what is on the target without a question, which only '
        'a terminal is asked')
    sub.add_argument(
        '--force', action='store_true',
        help='write a partition image onto a whole disk, or a whole-disk '
        'image into a partition, all the same')
    _trusted_manifest(sub)
    progress(sub)
    sub.add_argument(
        '--report', type=new_file, metavar='FILE',
        help='write the report, as JSON, into this file')

    sub = image_command(commands, 'verify', verify,
                        'Compare a disk with an image, byte by byte.')
    _target(sub)
    json_option(sub)
    progress(sub)

    _manifest(commands, manifest)
    _repair_gpt(commands, repair_gpt)
    _watch(commands, watch)
    more(commands)
    return whole


def _machine(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        '--secure-boot', action='store_true',
        help='the firmware starts signed programs only')
    for name, words in (('--kernel', 'the kernel'),
                        ('--ramdisk', 'the initramfs')):
        sub.add_argument(
            name, metavar='FILE', type=named,
            help=f'path or URL of {words} that comes beside a partition '
            'image; both are judged with it')
    which = sub.add_mutually_exclusive_group()
    which.add_argument(
        '--here', action='store_true',
        help='the image is for this machine: do its kernel and its initramfs '
        'have drivers for the disks and the network cards? With --target, one '
        'for that disk is needed')
    which.add_argument(
        '--node', metavar='NODE',
        help='the image is for this node of Ironic, a name or UUID: its '
        'processor, boot mode and disk, and the devices in its inventory')


def _manifest(commands: Commands, manifest: Command) -> None:
    sub = _file_command(commands, 'manifest', manifest,
                        'Make the manifest of an image: the digests of its '
                        'chunks, and where it is zero.')
    json_option(sub)
    sub.add_argument(
        '--output', '-o', type=new_file, metavar='FILE',
        help='write the manifest into this file (default: the name of the '
        'image with .manifest, in this directory)')
    sub.add_argument(
        '--bmap', type=new_file, metavar='FILE',
        help='write a block map for bmaptool, too, into this file: blocks '
        'that are a hole in the file of a raw image are left out')
    checksums(sub)
    progress(sub)


def _trusted_manifest(sub: argparse.ArgumentParser) -> None:
    group = sub.add_argument_group(
        'manifest', 'Digests of the chunks of the image, each of which is '
        'verified before a byte of it is used.')
    group.add_argument(
        '--manifest', metavar='FILE',
        help='path or URL of the manifest of the image')
    group.add_argument(
        '--bmap', metavar='FILE',
        help='path or URL of the block map of the raw image, as bmaptool '
        'makes it: what it lists is verified and written, all else on the '
        'disk stays as it is; without --manifest the image is read twice')
    group.add_argument(
        '--signature', metavar='FILE',
        help='path or URL of the signature of the manifest, by OpenPGP or '
        'minisign, which must be good')
    group.add_argument(
        '--key', metavar='FILE',
        help='path or URL of the public key that it must be by')


def _repair_gpt(commands: Commands, repair_gpt: Command) -> None:
    description = ('Make both halves of a GUID partition table whole, with '
                   'the backup at the end of the disk.')
    sub = commands.add_parser('repair-gpt', description=description,
                              help=description, allow_abbrev=False)
    sub.set_defaults(command=repair_gpt, parser=sub, json=False)
    _target(sub)
    sub.add_argument(
        '--debug', action='store_true',
        help='log what is done, and show the traceback of an error')


def _watch(commands: Commands, watch: Command) -> None:
    description = 'Show the deployments of Ironic while they run.'
    sub = commands.add_parser('watch', description=description,
                              help=description, allow_abbrev=False)
    sub.set_defaults(command=watch, parser=sub)
    sub.add_argument('node', metavar='NODE', nargs='*',
                     help='name or UUID (default: all that are deployed)')
    sub.add_argument(
        '--os-cloud', metavar='NAME', default=os.environ.get('OS_CLOUD'),
        help='the cloud of clouds.yaml (default: $OS_CLOUD, else the OS_* '
        'variables)')
    sub.add_argument(
        '--interval', type=_seconds, default=5.0, metavar='SECONDS',
        help='time between two looks (default: 5); Ironic itself looks '
        'every 10 seconds')
    how = sub.add_mutually_exclusive_group()
    how.add_argument('--once', action='store_true',
                     help='look once, and end')
    how.add_argument('--follow', action='store_true',
                     help='wait for more when the last one has ended')
    json_option(how)
    sub.add_argument(
        '--debug', action='store_true',
        help='log what is done, and show the traceback of an error')


def image_command(commands: Commands,
             name: str, command: Command, description: str
             ) -> argparse.ArgumentParser:
    """A command that looks into an image."""
    sub = _file_command(commands, name, command, description)
    sub.add_argument(
        '--disk-format', metavar='FORMAT',
        help='refuse the image when it has another format than this one, '
        'as raw or qcow2')
    sub.add_argument(
        '--permit', action='append', default=[], choices=choices.OTHER_FORMATS,
        help='accept this format too, besides raw and qcow2; may be repeated')
    return sub


def _file_command(commands: Commands,
                  name: str, command: Command, description: str
                  ) -> argparse.ArgumentParser:
    """A command with the options that all of an image have."""
    sub = commands.add_parser(name, description=description,
                              help=description, allow_abbrev=False)
    sub.set_defaults(command=command, parser=sub)
    sub.add_argument(
        'source', metavar='SOURCE', type=named,
        help='a path, a file://, http:// or https:// URL, glance:UUID, '
        'oci://REGISTRY/NAME:TAG, or - for standard input')
    sub.add_argument(
        '--mirror', action='append', default=[], metavar='URL',
        help='another URL of the same file, used when SOURCE fails; may be '
        'repeated')
    sub.add_argument(
        '--os-cloud', metavar='NAME', default=os.environ.get('OS_CLOUD'),
        help="the cloud of clouds.yaml that glance:UUID is in (default: "
        "$OS_CLOUD, else the OS_* variables)")
    sub.add_argument(
        '--debug', action='store_true',
        help='log what is done, and show the traceback of an error')
    return sub


def json_option(sub: 'argparse._ActionsContainer') -> None:
    sub.add_argument(
        '--json', action='store_true',
        help='print one JSON object and nothing else on standard output')


def _expectations(sub: argparse.ArgumentParser, *more_types: str
                  ) -> 'argparse._ArgumentGroup':
    group = sub.add_argument_group(
        'expectations', 'What must be true of the image, or it is refused.')
    group.add_argument(
        '--image-type', choices=('whole-disk', 'partition', *more_types),
        help='what the image is an image of')
    checksums(group)
    group.add_argument(
        '--disk-size', type=_size, metavar='SIZE',
        help='the disk has this size: bytes, or with K, M, G, T or P for '
        'units of 1024, as 500M, 500m or 500MiB')
    group.add_argument(
        '--sector-size', type=int, choices=(512, 4096),
        help="the disk's logical sectors have this size, in bytes")
    group.add_argument(
        '--boot-mode', choices=('bios', 'uefi'),
        help='the firmware boots this way')
    group.add_argument(
        '--arch', type=arch, metavar='ARCH',
        help='the processor, as x86_64 or aarch64')
    return group


def checksums(sub: 'argparse._ActionsContainer') -> None:
    stated = sub.add_mutually_exclusive_group()
    stated.add_argument(
        '--checksum', type=_checksum, metavar='ALGO:HEX',
        help='checksum of the file as stored, as sha512:0123...; verified '
        'when the whole of it is read')
    stated.add_argument(
        '--checksum-file', metavar='FILE',
        help='path or URL of a file that lists the checksum of the image by '
        'its name, as SHA512SUMS, or has one checksum and nothing else')


def _target(sub: argparse.ArgumentParser) -> None:
    sub.add_argument('target', metavar='TARGET', type=named,
                     help='a block device or a regular file')


def progress(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        '--progress', choices=progress_bar.CHOICES, default='auto',
        help='on standard error: a bar on a terminal and else a line every '
        f'{progress_bar.INTERVAL:.0f} seconds, always lines, or nothing '
        '(default: %(default)s)')


def _checksum(words: str) -> engine.Checksum:
    try:
        if ':' not in words:
            raise ValueError(f'{words!r} names no algorithm: expected '
                             'ALGO:HEX, for example sha512:0123...')
        return engine.Checksum.parse(words)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def named(words: str) -> str:
    """A name that is not empty, as that of an unset variable is."""
    if not words.strip():
        raise argparse.ArgumentTypeError('expected a name, found none')
    return words


def arch(words: str) -> str:
    name = efi_programs.canonical(words)
    if name not in efi_programs.ARCHITECTURES:
        raise argparse.ArgumentTypeError(
            f'{words!r} is not a processor: expected one of '
            + ', '.join(sorted(efi_programs.ARCHITECTURES)))
    return name


def _size(words: str) -> int:
    try:
        return sizes.parse(words)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _seconds(words: str) -> float:
    count = float(words)
    if not 1 <= count <= 3600:
        raise argparse.ArgumentTypeError(
            f'{words} is not an interval: expected 1 to 3600 seconds')
    return count


def new_file(words: str) -> pathlib.Path:
    try:
        return console.new_file(words)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
