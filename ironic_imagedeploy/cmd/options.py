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

"""The arguments of the commands, and what each command calls."""

import argparse
from collections.abc import Callable
from collections.abc import Mapping
import os
import pathlib

from ironic_imagedeploy.cmd import commands
from ironic_imagedeploy.cmd import completion
from ironic_imagedeploy.cmd import console
from ironic_imagedeploy.cmd import manifest
from ironic_imagedeploy.cmd import progress_bar
from ironic_imagedeploy.cmd import report
from ironic_imagedeploy.cmd import sizes
from ironic_imagedeploy.cmd import standard_input
from ironic_imagedeploy.cmd import watch
from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import choices
from ironic_imagedeploy.engine.contents import efi_programs

Table = Mapping[str, tuple[Callable[[argparse.Namespace], int],
                           Callable[[argparse.ArgumentParser], None]]]

#: Types of files that are only checked by themselves.
_BESIDE = ('kernel', 'ramdisk')


def add(name: str, sub: argparse.ArgumentParser) -> None:
    """Add its arguments to the parser of a command."""
    table = _COMMANDS
    if name not in table:
        # They import this module.
        from ironic_imagedeploy.cmd.images import options
        from ironic_imagedeploy.cmd import ramdisk
        table = {**options.COMMANDS, **ramdisk.COMMANDS}
    call, arguments = table[name]
    sub.set_defaults(command=call, parser=sub)
    arguments(sub)


def _check(sub: argparse.ArgumentParser) -> None:
    image(sub)
    json_option(sub)
    _expectations(sub, *_BESIDE).add_argument(
        '--kernel-beside', action='store_true',
        help='a kernel and an initramfs come with the image, so that a '
        'partition image needs none of its own')
    sub.add_argument(
        '--target', dest='disk', metavar='DISK', type=target,
        help='take size and sectors from this disk, which must not be in use; '
        'nothing is written to it')
    _machine(sub)


def _map(sub: argparse.ArgumentParser) -> None:
    image(sub)
    form = sub.add_mutually_exclusive_group()
    json_option(form)
    form.add_argument(
        '--svg', type=new_file, metavar='FILE',
        help='draw the map into this file')


def _write(sub: argparse.ArgumentParser) -> None:
    image(sub)
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


def _verify(sub: argparse.ArgumentParser) -> None:
    image(sub)
    _target(sub)
    json_option(sub)
    progress(sub)


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


def _manifest(sub: argparse.ArgumentParser) -> None:
    _file(sub)
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


def _repair_gpt(sub: argparse.ArgumentParser) -> None:
    sub.set_defaults(json=False)
    _target(sub)
    debug(sub)


def _watch(sub: argparse.ArgumentParser) -> None:
    sub.add_argument('node', metavar='NODE', nargs='*',
                     help='name or UUID (default: all that are deployed)')
    cloud(sub)
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
    debug(sub)


def _report(sub: argparse.ArgumentParser) -> None:
    sub.set_defaults(json=False)
    sub.add_argument(
        'subject', metavar='NODE|FILE', nargs='*',
        help="a node by name or UUID, or a file that 'write --report' made; "
        'with --fleet any number, by default all nodes')
    sub.add_argument(
        '--html', type=new_file, metavar='FILE', required=True,
        help='write the page into this file; it needs nothing from elsewhere')
    sub.add_argument(
        '--fleet', action='store_true',
        help='one page about all of them: which were slow beside others with '
        'the same image and resource class, and at what')
    cloud(sub)
    debug(sub)


def _completion(sub: argparse.ArgumentParser) -> None:
    sub.set_defaults(json=False)
    sub.add_argument('shell', choices=completion.SHELLS,
                     help='the shell that reads it')
    debug(sub)


#: For each command what it calls, and what adds its arguments.
_COMMANDS: Table = {
    'check': (commands.check, _check),
    'map': (commands.map_, _map),
    'write': (commands.write, _write),
    'verify': (commands.verify, _verify),
    'manifest': (manifest.make, _manifest),
    'repair-gpt': (commands.repair_gpt, _repair_gpt),
    'watch': (watch.watch, _watch),
    'report': (report.report, _report),
    'completion': (completion.show, _completion),
}


def image(sub: argparse.ArgumentParser) -> None:
    """Arguments of a command that looks into an image."""
    _file(sub)
    sub.add_argument(
        '--disk-format', metavar='FORMAT',
        help='refuse the image when it has another format than this one, '
        'as raw or qcow2')
    sub.add_argument(
        '--permit', action='append', default=[], choices=choices.OTHER_FORMATS,
        help='accept this format too, besides raw and qcow2; may be repeated')


def _file(sub: argparse.ArgumentParser) -> None:
    """Arguments of all commands that read an image."""
    sub.add_argument(
        'source', metavar='SOURCE', type=named,
        help='a path, a file://, http:// or https:// URL, glance:UUID, '
        'oci://REGISTRY/NAME:TAG, or - for standard input')
    sub.add_argument(
        '--mirror', action='append', default=[], metavar='URL',
        help='another URL of the same file, used when SOURCE fails; may be '
        'repeated')
    cloud(sub)
    debug(sub)


def cloud(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        '--os-cloud', metavar='NAME', default=os.environ.get('OS_CLOUD'),
        help='the cloud of clouds.yaml (default: $OS_CLOUD, else the OS_* '
        'variables)')


def debug(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        '--debug', action='store_true',
        help='log what is done, and show the traceback of an error')


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
    sub.add_argument('target', metavar='TARGET', type=target,
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


def target(words: str) -> str:
    """A path: a disk is read back, so it is not a stream."""
    if named(words) == standard_input.DASH:
        raise argparse.ArgumentTypeError(
            'expected a block device or a regular file, found standard '
            'output; a file of this name is ./-')
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
