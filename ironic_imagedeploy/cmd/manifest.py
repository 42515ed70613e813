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

"""The command that makes the manifest of an image."""

import argparse
import contextlib
import os
import pathlib
import time
import typing

from ironic_imagedeploy.cmd import bmaps
from ironic_imagedeploy.cmd import console
from ironic_imagedeploy.cmd import progress_bar
from ironic_imagedeploy.cmd import retries
from ironic_imagedeploy.cmd import small_files
from ironic_imagedeploy.cmd import sources
from ironic_imagedeploy.cmd import standard_input
from ironic_imagedeploy.cmd import summary
from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import manifest as manifests
from ironic_imagedeploy.engine import manifest_builder
from ironic_imagedeploy.engine.transfer import meter as meters

#: The algorithm that Glance takes when it is not told another one.
_ALGORITHM = 'sha512'


def make(args: argparse.Namespace) -> int:
    """Write the manifest of an image into a file."""
    output = _output(args)
    began = time.monotonic()
    with (sources.open_source(args) as source,
          retries.display(args) as display):
        recorder = _recorder(args, source) if args.bmap else None
        made = _made(source, args.checksum, display, recorder)
    if recorder:
        console.save(args.bmap, recorder.finish().encode())
    console.save(output, made.encode())
    result = _result(made, source.name, output, time.monotonic() - began)
    console.show([console.to_json(result)] if args.json else
                 (f'{line}\n' for line in summary.manifest(result)))
    return 0


def _made(source: engine.Source, expected: engine.Checksum | None,
          display: progress_bar.Display, recorder: bmaps.Recorder | None
          ) -> manifests.Manifest:
    """Manifest of a file that is read once, from its first byte."""
    meter = meters.Meter(
        lambda progress: display(progress._replace(bottleneck='')),
        source.local)
    meter.enter('hash', source.size)
    stream = engine.VerifiedStream(source, expected, algorithm=_ALGORITHM)
    with (contextlib.closing(stream),
          manifest_builder.Builder(source.size) as builder):
        while room := builder.room:
            count = stream.readinto(room)
            if recorder:
                recorder.update(room[:count])
            builder.advance(count)
            meter.advance(data=count)
            meter.tick_if_due()
        # Only who reads the end learns whether it is the right file.
        stream.readinto(memoryview(bytearray(1)))
        return builder.finish(stream.checksum)


def _recorder(args: argparse.Namespace, source: engine.Source
              ) -> bmaps.Recorder:
    """Recorder of the block map of a raw image; others are a usage error."""
    inspection = engine.inspect(source, engine.Expectation(disk_format='raw'))
    if inspection.format != 'raw' or inspection.compression:
        args.parser.error('a block map is of a raw image that is not '
                          'compressed')
    path = None
    if source.local and args.source != standard_input.DASH:
        path = small_files.path(args.source)
    return bmaps.Recorder(path, source.size)


def _result(made: manifests.Manifest, name: str, output: pathlib.Path,
            seconds: float) -> dict[str, typing.Any]:
    data = sum(end - start for start, end in made.data_ranges(0, made.size))
    return {
        'source': name, 'manifest': str(output), 'root': made.root,
        'size': made.size, 'chunk_size': made.chunk_size,
        'chunks': made.count, 'bytes_zero': made.size - data,
        'checksum': {'algorithm': made.checksum.algorithm,
                     'value': made.checksum.value},
        'seconds': round(seconds, 3)}


def _output(args: argparse.Namespace) -> pathlib.Path:
    """File of the manifest: the one that was named, or after the image."""
    output: pathlib.Path = args.output or _named_after_the_image(args)
    with contextlib.suppress(OSError, ValueError):
        if os.path.samefile(args.source, output):
            args.parser.error('the manifest would replace the image')
    if console.STDOUT in (output, args.bmap):
        args.parser.error('standard output is for the summary: name a file')
    return output


def _named_after_the_image(args: argparse.Namespace) -> pathlib.Path:
    name = small_files.name(args.source)
    if args.source == standard_input.DASH or not name:
        args.parser.error('name a file for the manifest: --output FILE')
    try:
        return console.new_file(f'{name}.manifest')
    except ValueError as error:
        args.parser.error(str(error))
        raise
