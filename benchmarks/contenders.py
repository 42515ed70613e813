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

"""Who writes images onto the disk, and by which command."""

from collections.abc import Callable
import dataclasses
import json
import os
import pathlib
import shutil
import sys

from benchmarks import images

Command = list[str | pathlib.Path]
_CLUSTERS = ('qcow2-zlib', 'qcow2-zstd', 'thin')
_LOCAL_QEMU = ('qemu-img', 'convert', '-n', '-W', '-O', 'host_device')


@dataclasses.dataclass(frozen=True)
class Place:
    """Where things are in this run.

    :ivar device: the disk.
    :ivar url: of the image.
    :ivar scratch: an empty folder in memory.
    """

    device: str
    url: str
    scratch: pathlib.Path


@dataclasses.dataclass(frozen=True)
class Contender:
    """One way from an image to a disk.

    :ivar name: as the table says it.
    :ivar command: what to run; none when it cannot do that image.
    :ivar copies: whether it leaves the image on the disk, or only does a
        part of the work.
    :ivar pairs: whether it runs in each round, not only in the first.
    :ivar variant_of: of several variants only the fastest stays.
    """

    name: str
    command: Callable[[images.Image, Place], Command | None]
    copies: bool = True
    pairs: bool = False
    variant_of: str | None = None


def by_file(image: images.Image, place: Place) -> Command:
    return _write(place, '--checksum', f'sha512:{image.sha512}')


def ours(image: images.Image, place: Place) -> Command:
    # As on a node, whose order vouches for the manifest: beside one that is
    # only claimed, a stated checksum would be computed over the whole file.
    return _write(place, '--manifest', image.manifest)


def _write(place: Place, *trust: str | pathlib.Path) -> Command:
    return [pathlib.Path(sys.prefix, 'bin', 'ironic-imagedeploy'), 'write',
            '--progress', 'none', '--report', place.scratch / 'report.json',
            *trust, place.url, place.device]


def on_processors(count: int
                  ) -> Callable[[images.Image, Place], Command | None]:
    """Ours on so many processors; none where the machine has no more."""
    def command(image: images.Image, place: Place) -> Command | None:
        if image.packed or image.name == 'thin' or (
                count >= (os.cpu_count() or 1)):
            return None
        return ['taskset', '--cpu-list', f'0-{count - 1}',
                *ours(image, place)]
    return command


def node(image: images.Image, place: Place) -> Command | None:
    if image.packed:
        return None
    return [*_stock('node'), place.device, place.scratch,
            _image_info(image, place)]


def conductor(image: images.Image, place: Place) -> Command | None:
    if image.form != 'qcow2' or image.name == 'thin':
        return None
    return [*_stock('conductor'), place.device, place.scratch,
            _image_info(image, place), image.path.with_name('converted')]


def qemu_img(*flags: str) -> Callable[[images.Image, Place], Command | None]:
    def command(image: images.Image, place: Place) -> Command | None:
        if image.packed:
            return None
        return [*_LOCAL_QEMU, *flags, '-f', image.form, image.path,
                place.device]
    return command


def nbdcopy(image: images.Image, place: Place) -> Command | None:
    if image.packed or shutil.which('nbdcopy') is None:
        return None
    if image.form == 'raw':
        return ['nbdcopy', '--flush', image.path, place.device]
    return ['nbdcopy', '--flush', '--', '[', 'qemu-nbd', '--read-only',
            '--format', image.form, image.path, ']', place.device]


def bound_fetch(image: images.Image, place: Place) -> Command:
    return [*_bound('fetch'), place.url, image.manifest]


def bound_decode(image: images.Image, place: Place) -> Command | None:
    if not (image.packed or image.name in _CLUSTERS):
        return None
    return [*_bound('decode'), image.path]


def bound_write(image: images.Image, place: Place) -> Command:
    plan = image.guest if image.form == 'raw' else image.path
    return [*_bound('write'), plan, place.device]


def _stock(part: str) -> Command:
    # It asks fuser who uses the disk: here, as on a node, nobody but itself.
    return ['unshare', '--pid', '--mount-proc', '--fork', '--kill-child',
            sys.executable, '-m', f'benchmarks.{part}']


def _image_info(image: images.Image, place: Place) -> str:
    return json.dumps({
        'id': 'image', 'urls': [place.url], 'disk_format': image.form,
        'image_type': 'whole-disk', 'os_hash_algo': 'sha512',
        'os_hash_value': image.sha512})


def _bound(part: str) -> Command:
    return [sys.executable, '-m', 'benchmarks.bound', part]


#: Others were tried and never won: the image past the page cache, in which
#: it is, and the disk through the page cache.
ALL = (
    Contender('ironic-imagedeploy', ours, pairs=True),
    Contender('ironic-imagedeploy, no manifest', by_file, pairs=True),
    *(Contender(f'ironic-imagedeploy, threads: {count}',
                on_processors(count), pairs=True) for count in (1, 2, 4)),
    Contender('ironic-python-agent', node, pairs=True),
    Contender('direct, converting', conductor),
    Contender('qemu-img -m 8 -t none', qemu_img('-m', '8', '-t', 'none'),
              variant_of='qemu-img'),
    Contender('qemu-img -m 16 -t none', qemu_img('-m', '16', '-t', 'none'),
              variant_of='qemu-img'),
    Contender('nbdcopy', nbdcopy),
    Contender('fetch and hash alone', bound_fetch, copies=False),
    Contender('decode alone', bound_decode, copies=False),
    Contender('write alone', bound_write, copies=False),
)
