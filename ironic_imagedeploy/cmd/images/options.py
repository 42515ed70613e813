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

"""Options of the commands that make images, and mend them."""

import argparse

from ironic_imagedeploy.cmd.build import build
from ironic_imagedeploy.cmd.build import recipes
from ironic_imagedeploy.cmd import commands
from ironic_imagedeploy.cmd.images import convert
from ironic_imagedeploy.cmd.images import upload
from ironic_imagedeploy.cmd import options
from ironic_imagedeploy.engine import choices


def _build(sub: argparse.ArgumentParser) -> None:
    options.json_option(sub)
    options.debug(sub)
    sub.add_argument('system', metavar='SYSTEM',
                     choices=sorted(recipes.SYSTEMS),
                     help='the operating system: '
                     + ', '.join(sorted(recipes.SYSTEMS)))
    sub.add_argument('--release', metavar='NAME',
                     help='release of the system, as trixie (default: the '
                     'one that diskimage-builder takes)')
    sub.add_argument(
        '--type', dest='image_type', default='whole-disk',
        choices=('whole-disk', 'partition'),
        help='what is built (default: %(default)s)')
    sub.add_argument(
        '--firmware', choices=('uefi', 'bios', 'both'),
        help='what shall start the image (default: both, and uefi for '
        'arm64); a partition image is for both in any case')
    sub.add_argument(
        '--arch', choices=sorted(recipes.ARCHITECTURES), default='amd64',
        help='the processor (default: %(default)s)')
    sub.add_argument(
        '--network', default='cloud-init', choices=('cloud-init', 'dhcp'),
        help='who configures the network: cloud-init by the config drive, '
        'or DHCP on all cards, without cloud-init (default: %(default)s)')
    sub.add_argument(
        '--console', metavar='DEVICE',
        help='serial console of the image, beside that of the screen; '
        'none leaves it out (default: '
        f'{recipes.CONSOLES["amd64"]}; for arm64 '
        f'{recipes.CONSOLES["arm64"]})')
    sub.add_argument('--element', action='append', default=[],
                     metavar='NAME', help='another element of '
                     'diskimage-builder; may be repeated')
    sub.add_argument('--package', action='append', default=[],
                     metavar='NAME',
                     help='another package; may be repeated')
    sub.add_argument('--mirror', metavar='URL',
                     help='the mirror that packages come from')
    sub.add_argument('--output', '-o', required=True, metavar='NAME',
                     help='name of the image, without .qcow2')
    sub.add_argument(
        '--print', '--dry-run', action='store_true',
        help='print the command of diskimage-builder and its variables, and '
        'build nothing')
    options.progress(sub)


def _convert(sub: argparse.ArgumentParser) -> None:
    options.image(sub)
    sub.add_argument('destination', metavar='DEST', type=options.new_file,
                     help='the new image')
    sub.add_argument('--force', action='store_true',
                     help='replace a file that is there')
    options.json_option(sub)
    options.checksums(sub)
    options.progress(sub)


def _upload(sub: argparse.ArgumentParser) -> None:
    options.image(sub)
    sub.add_argument('--name', metavar='NAME',
                     help='name in Glance (default: that of the file)')
    sub.add_argument('--image-type', choices=('whole-disk', 'partition'),
                     help='what the image is an image of')
    sub.add_argument('--arch', type=options.arch, metavar='ARCH',
                     help='refuse the image when it is for another processor')
    sub.add_argument('--kernel', metavar='FILE',
                     help='the kernel of a partition image that has none')
    sub.add_argument('--ramdisk', metavar='FILE',
                     help='the initramfs that belongs to the kernel')
    sub.add_argument(
        '--property', action='append', default=[], metavar='NAME=VALUE',
        help='another property, or another value; may be repeated')
    sub.add_argument(
        '--visibility', choices=('public', 'private', 'shared', 'community'),
        help='who sees the image (default: that of Glance)')
    sub.add_argument(
        '--manifest', dest='with_manifest', action='store_true',
        help='put the manifest of the image beside it, which its property '
        'imagedeploy_manifest names')
    form = sub.add_mutually_exclusive_group()
    form.add_argument(
        '--print', action='store_true',
        help='print the commands of the client of OpenStack that do the '
        'same, and upload nothing')
    options.json_option(form)
    options.checksums(sub)
    options.progress(sub)


def _mend(sub: argparse.ArgumentParser) -> None:
    options.json_option(sub)
    options.debug(sub)
    what = sub.add_mutually_exclusive_group(required=True)
    what.add_argument(
        'target', metavar='TARGET', nargs='?', type=options.target,
        help='a disk or a raw image, whose GPT is made whole, with the '
        'backup at the end')
    what.add_argument(
        '--image', metavar='UUID',
        help='an image in Glance, whose metadata is held against its content')
    sub.add_argument('--permit', action='append', default=[],
                     choices=choices.OTHER_FORMATS,
                     help='accept this format too, besides raw and qcow2')
    options.cloud(sub)
    # openstacksdk takes that of the environment: what is here was stated.
    sub.set_defaults(os_cloud=None)
    sub.add_argument('--yes', '-y', action='store_true',
                     help='change it without a question')


#: For each command what it calls, and what adds its arguments.
COMMANDS: options.Table = {
    'build': (build.build, _build),
    'convert': (convert.convert, _convert),
    'upload': (upload.upload, _upload),
    'mend': (commands.mend_, _mend),
}
