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

"""The command that converts an image into one that is fast to deploy."""

import argparse
from collections.abc import Iterator
import contextlib
import hashlib
import os
import pathlib
import tempfile
import time

from ironic_imagedeploy.cmd import console
from ironic_imagedeploy.cmd.images import inspected
from ironic_imagedeploy.cmd.images import qemu_img
from ironic_imagedeploy.cmd.images import summary
from ironic_imagedeploy.cmd import output_files
from ironic_imagedeploy.cmd import progress_bar
from ironic_imagedeploy.cmd import retries
from ironic_imagedeploy.cmd import sources
from ironic_imagedeploy import engine

_FORMAT = 'qcow2'
_ALGORITHM = 'sha512'
#: qemu-img rounds the size of a disk up to one.
_SECTOR = 512


def convert(args: argparse.Namespace) -> int:
    """Convert an image, and compare the new one with it."""
    if not output_files.is_local(args.source):
        args.parser.error('qemu-img reads files of this machine: fetch the '
                          'image first')
    destination = _destination(args)
    began = time.monotonic()
    program = qemu_img.QemuImg()
    with (sources.open_source(args) as source,
          retries.display(args) as display, _part(destination) as part):
        inspection = inspected.look(source, args, contents=False)
        _require_convertible(inspection)
        _run(program, args.source, inspection, part, display)
        stored = _compare(inspection, part, display)
        digest = _digest(part)
        _put(part, destination, force=args.force)
    result = {
        'source': inspection.source.name, 'target': str(destination),
        'source_format': inspection.format, 'format': _FORMAT,
        'virtual_size': inspection.virtual_size,
        'source_size': inspection.stored_size, 'size': stored,
        'compared': True,
        'checksum': {'algorithm': _ALGORITHM, 'value': digest},
        'seconds': round(time.monotonic() - began, 3)}
    console.show([console.to_json(result)] if args.json else
                 (f'{line}\n' for line in summary.convert(result)))
    return 0


def _destination(args: argparse.Namespace) -> pathlib.Path:
    destination: pathlib.Path = args.destination
    if destination == console.STDOUT:
        args.parser.error('name a file for the new image')
    if destination.exists() and not args.force:
        args.parser.error(f'{destination} exists: --force replaces it')
    with contextlib.suppress(OSError):
        if os.path.samefile(output_files.local_path(args.source),
                            destination):
            args.parser.error('the new image would replace the old one')
    return destination


def _require_convertible(inspection: engine.Inspection) -> None:
    """Take what may be deployed, and what qemu-img reads.

    :raises ImageRefused: when it may not.
    :raises SourceError: when the file is compressed as a whole.
    """
    inspection.raise_if_refused()
    if inspection.compression:
        raise engine.exceptions.SourceError(
            inspection.source.name, expected='an image that qemu-img reads',
            found=f'a raw image in {inspection.compression}',
            fix='Unpack it first: ironic-imagedeploy write IMAGE NEW.raw.')


def _run(program: qemu_img.QemuImg, location: str,
         inspection: engine.Inspection, part: pathlib.Path,
         display: progress_bar.Display) -> None:
    size = inspection.accepted().virtual_size
    began = time.monotonic()

    def progress(share: float) -> None:
        done = int(share * size)
        speed = done / max(time.monotonic() - began, 1e-3)
        display(engine.Progress('convert', done, size, speed, ''))

    descriptor = os.open(output_files.local_path(location), os.O_RDONLY)
    try:
        program.convert(descriptor, str(inspection.format), size, part,
                        progress)
    finally:
        os.close(descriptor)


def _compare(inspection: engine.Inspection, part: pathlib.Path,
             display: progress_bar.Display) -> int:
    """Hold the new image against the old one, by our own readers.

    :returns: bytes of the new file.
    :raises ImageRefused: when the new one could not be deployed.
    :raises VerificationError: when another disk is in it.
    """
    with engine.open_source(str(part)) as made:
        engine.inspect(made, engine.Expectation(
            disk_format=_FORMAT, image_type=inspection.image_type),
            engine.Budget.before_write()).raise_if_refused()
        target = engine.ImageTarget(made, _FORMAT)
        size = inspection.accepted().virtual_size
        if not size <= target.size < size + _SECTOR:
            raise engine.exceptions.TargetDiffers(
                str(part), expected=f'a disk of {size} bytes',
                found=f'one of {target.size} bytes', fix='Convert it again.')
        engine.compare(inspection, target, progress=display)
        return made.size


def _digest(part: pathlib.Path) -> str:
    with part.open('rb') as file:
        os.fsync(file.fileno())
        return hashlib.file_digest(file, _ALGORITHM).hexdigest()


@contextlib.contextmanager
def _part(destination: pathlib.Path) -> Iterator[pathlib.Path]:
    """Path, which nobody else has, for what is not finished."""
    with _folder(destination) as folder:
        yield pathlib.Path(folder, _FORMAT)


def _folder(destination: pathlib.Path
            ) -> 'tempfile.TemporaryDirectory[str]':
    """A folder on the file system of the new image.

    :raises TargetError: when none can be made there.
    """
    try:
        return tempfile.TemporaryDirectory(
            prefix=f'.{destination.name}.', dir=destination.parent)
    except OSError as error:
        raise engine.exceptions.TargetError(
            str(destination), expected='a directory that can be written',
            found=error.strerror or 'a failure that gives no reason',
            fix='Check the directory and its free space.') from error


def _put(part: pathlib.Path, destination: pathlib.Path, *, force: bool
         ) -> None:
    """Let the new image have its name, all of it at once.

    :raises TargetError: when another file has it by now.
    """
    try:
        if force:
            os.replace(part, destination)
        else:
            os.link(part, destination)
    except OSError as error:
        raise engine.exceptions.TargetError(
            str(destination), expected='a name for a new file',
            found=error.strerror or 'a failure that gives no reason',
            fix='Choose another name, or --force.') from error
