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

"""The manifest that a write is given."""

import argparse
import dataclasses

from ironic_imagedeploy.cmd import signatures
from ironic_imagedeploy.cmd import small_files
from ironic_imagedeploy.cmd import text
from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import manifest as manifests

_OF_ANOTHER = ('Image and manifest do not belong together: take both from one '
               'place, or make the manifest of this image again.')


def stated(args: argparse.Namespace) -> manifests.Manifest | None:
    """The manifest that was given, which speaks for the image from here on.

    Its checksum is expected of the image, where the user stated none. Of a
    manifest that nobody signed that is a mere claim: what the user stated is
    verified beside it, and so is a checksum by another algorithm.

    :raises InvalidSignature: when it is not signed as it should be.
    :raises InvalidManifest: when it is not a manifest, or another image's.
    """
    args.verify_file = False
    location = getattr(args, 'manifest', None)
    if location is None:
        return None
    file = small_files.read(
        location, most=manifests.MOST_BYTES, expected='a manifest',
        fix='Make one: ironic-imagedeploy manifest IMAGE.',
        cloud=getattr(args, 'os_cloud', None),
        too_large=engine.exceptions.InvalidManifest)
    if args.signature:
        args.other_signatures = signatures.verify(
            file, signature=args.signature, key=args.key)
    with small_files.blamed(location):
        manifest = manifests.Manifest.decode(file.content)
    checksum = args.checksum or manifest.checksum
    is_another = checksum.algorithm != manifest.checksum.algorithm
    if not is_another:
        with small_files.blamed(location, fix=_OF_ANOTHER):
            manifest.require(checksum=checksum)
    args.verify_file = bool(args.checksum and (
        is_another or not args.signature))
    args.checksum = checksum
    return manifest


def guarded(source: engine.Source, manifest: manifests.Manifest,
            args: argparse.Namespace) -> engine.Source:
    """The image, of which no byte is given before its chunk is verified.

    From a server that gives the file in order only, the whole file is
    verified at its end.

    :raises InvalidManifest: when it is not that of the image.
    """
    with small_files.blamed(args.manifest, fix=_OF_ANOTHER):
        manifest.require(size=source.size)
    args.by_chunks = source.random_access
    return engine.ChunkedSource(manifest, source) if args.by_chunks else source


def without_claims(args: argparse.Namespace, report: engine.Report
                   ) -> engine.Report:
    """The report, in which no mere claim is a checksum that was verified.

    What a manifest says of the file is one, unless it was signed, or the user
    said it, too.
    """
    if not args.manifest or args.signature or args.verify_file:
        return report
    return dataclasses.replace(report, checksum=dataclasses.replace(
        report.checksum, verified=False))


def check_usage(args: argparse.Namespace) -> None:
    """A signature takes a file that it is of, and a key that it is by."""
    if bool(args.signature) != bool(args.key):
        args.parser.error('--signature and --key go together')
    if args.signature and not args.manifest:
        args.parser.error('--signature is that of a manifest: --manifest FILE')


def voucher(args: argparse.Namespace) -> str:
    """Words for who vouched for the manifest; empty without one."""
    if not args.manifest:
        return ''
    if args.signature:
        words = f'signed by the key in {engine.redact(args.key)}'
        if others := args.other_signatures:
            words += (f'; {text.counted(others, "signature")} by other keys '
                      'not verified')
    elif args.verify_file:
        words = ('not signed: the whole file has the checksum that was '
                 'given')
    else:
        words = 'not signed: as good as the place that it came from'
    if not getattr(args, 'by_chunks', True):
        words += '; no chunks, since the server gives the whole file only'
    return words
