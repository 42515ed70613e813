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

"""The image that a command is given."""

import argparse
from collections.abc import Iterator
import contextlib

from ironic_imagedeploy.cmd import checksums
from ironic_imagedeploy.cmd import retries
from ironic_imagedeploy.cmd import standard_input
from ironic_imagedeploy.cmd import trusted_manifest
from ironic_imagedeploy import engine


@contextlib.contextmanager
def open_source(args: argparse.Namespace) -> Iterator[engine.Source]:
    """Open the image that a command was given.

    What is given beside it, checksum or manifest, is expected of it.

    :raises SourceError: when it cannot be opened.
    :raises VerificationError: when a manifest cannot be trusted.
    """
    if listed := getattr(args, 'checksum_file', None):
        args.checksum = checksums.listed(listed, args.source)
    manifest = trusted_manifest.stated(args)
    with _opened(args) as source:
        yield (trusted_manifest.guarded(source, manifest, args)
               if manifest else source)


@contextlib.contextmanager
def _opened(args: argparse.Namespace) -> Iterator[engine.Source]:
    if args.source == standard_input.DASH:
        with (standard_input.as_file() as path,
              _open(args, path) as source):
            source.name = standard_input.NAME
            yield source
    else:
        with _open(args, args.source) as source:
            yield source


def _open(args: argparse.Namespace, location: str) -> engine.Source:
    extra = retries.options(location, args)
    checksum = getattr(args, 'checksum', None)
    scheme = location.partition(':')[0].lower()
    if scheme == 'glance':
        extra['cloud'] = args.os_cloud
    elif scheme == 'oci':
        if checksum and checksum.weak:
            args.parser.error(f'{checksum.algorithm} is weaker than the '
                              'digest of an image in a registry')
        extra['arch'] = getattr(args, 'arch', None)
        extra['disk_format'] = getattr(args, 'disk_format', None)
    return engine.open_source(
        location, mirrors=args.mirror,
        checksum_stated=bool(checksum and not checksum.weak), **extra)
