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

"""The program ``ironic-imagedeploy``: its commands, and the way to them.

Help and usage come at once: what a command needs is imported when it is
chosen.
"""

import argparse
from collections.abc import Collection
from collections.abc import Sequence
import contextlib
import sys
import typing

from ironic_imagedeploy.cmd import startup

#: The commands, each with what it does.
COMMANDS = {
    'check': 'Say whether an image can be deployed, and why not.',
    'map': 'Show partitions, and where the image has data.',
    'write': 'Check an image, then write it to a disk.',
    'verify': 'Compare a disk with an image, byte by byte.',
    'manifest': 'Make the manifest of an image: the digests of its chunks, '
                'and where it is zero.',
    'repair-gpt': 'Make both halves of a GUID partition table whole, with '
                  'the backup at the end of the disk.',
    'watch': 'Show the deployments of Ironic while they run.',
    'report': 'Make a page about a deployment that has ended, or about many.',
    'build': 'Build an image for bare metal, by diskimage-builder.',
    'convert': 'Convert an image to a qcow2 with zstd clusters, by qemu-img, '
               'and compare both.',
    'upload': 'Check an image, then put it into Glance with what Ironic asks '
              'for.',
    'mend': 'Repair what is wrong beside the content of an image.',
    'ramdisk': 'Change the deploy ramdisk of ironic-python-agent.',
    'completion': 'Print what lets a shell complete the command line.',
}

#: Exit status of a wrong usage.
_USAGE = 2
_EPILOG = """\
exit status:
  0  done, or accepted
  1  a bug of this program
  2  wrong usage
  3  the source: not found, truncated, changed, timed out
  4  the image is refused
  5  the target: too small, busy, wrong sector size, I/O error
  6  the verification: checksum, signature, manifest or read-back
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
        from ironic_imagedeploy.cmd import console
        from ironic_imagedeploy.cmd import text
        if '--json' in self._words:
            console.show_error(message, _USAGE)
        self.exit(_USAGE, f'{self.prog}: {text.printable(message)}; '
                  f'usage: {self.prog} --help\n')


class _Version(argparse.Action):
    """Prints the version of the installed package."""

    def __call__(self, parser: argparse.ArgumentParser,
                 *_: typing.Any) -> typing.NoReturn:
        from importlib import metadata
        version = metadata.version('ironic-imagedeploy')
        print(f'{parser.prog} {version}')
        parser.exit()


def parser(complete: Collection[str] = tuple(COMMANDS)
           ) -> argparse.ArgumentParser:
    """The parser of the command line.

    :param complete: commands that get their arguments. What the others need
        is not imported.
    """
    whole = _Parser(
        prog='ironic-imagedeploy', epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description='Check disk images, and write them to disks in one pass.')
    whole.add_argument('--version', action=_Version, nargs=0,
                       help="show program's version number and exit")
    commands = whole.add_subparsers(required=True, metavar='COMMAND')
    for name, description in COMMANDS.items():
        sub = commands.add_parser(name, description=description,
                                  help=description, allow_abbrev=False)
        if name in complete:
            from ironic_imagedeploy.cmd import options
            options.add(name, sub)
    return whole


def main(argv: Sequence[str] | None = None) -> int:
    """The console script.

    :returns: the exit status.
    """
    words = sys.argv[1:] if argv is None else argv
    chosen = COMMANDS.keys() & set(words)
    # Only a program that is nobody else's is started so.
    with startup.quick() if chosen and argv is None else (
            contextlib.nullcontext()):
        args = parser(chosen).parse_args(words)
        from ironic_imagedeploy.cmd import console
        from ironic_imagedeploy.cmd import output_files
    output_files.check(args)
    return console.run(args.command, args)
