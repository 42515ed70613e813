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

"""Rebuild with a compressed image, by the manifest of the disk in it.

``python -m benchmarks.by_disk finer|make|look|write ...`` does what the
conductor does once, and what the agent does then, and prints one line of JSON.
"""

from collections.abc import Callable
import os
import pathlib
import sys

from benchmarks import bound
from ironic_imagedeploy import engine
from ironic_imagedeploy.engine.formats import base
from ironic_imagedeploy.engine import manifest as manifests
from ironic_imagedeploy.engine import manifest_builder
from ironic_imagedeploy.engine.transfer import disk_manifest
from ironic_imagedeploy.engine.transfer import disk_reuse
from ironic_imagedeploy.engine.transfer import held_ends
from ironic_imagedeploy.engine.transfer import meter

Said = dict[str, int | float]


def finer(path: str, manifest_path: str, finer_path: str) -> Said:
    """Make the manifest of a file as the conductor does beside that of a disk.

    :param path: of the file.
    :param manifest_path: of its usual manifest.
    :param finer_path: of the new one.
    """
    with (open(path, 'rb') as file, manifest_builder.Builder(
            os.path.getsize(path), finer=True) as builder):
        while room := builder.room:
            builder.advance(file.readinto(room))
        made = builder.finish(_manifest(manifest_path).checksum)
    pathlib.Path(finer_path).write_bytes(made.encode())
    return {}


def make(path: str, manifest_path: str, disk_path: str) -> Said:
    """Make the manifest of the disk in an image.

    :param path: of the image.
    :param manifest_path: of the manifest of its file.
    :param disk_path: of the new one.
    """
    with engine.open_source(path) as source:
        made = disk_manifest.make(_image(source), source,
                                  _manifest(manifest_path).checksum)
    pathlib.Path(disk_path).write_bytes(made.encode())
    return {}


def look(path: str, manifest_path: str, disk_path: str, device: str) -> Said:
    """Look for the disk in an image on a device, as a rebuild does."""
    with engine.open_source(path) as source:
        image = _image(source)
        target = bound.CountingTarget(device)
        manifest = _manifest(manifest_path)
        found = disk_reuse.find(
            image, manifest, _manifest(disk_path), target,
            held_ends.HeldEnds(image.virtual_size), meter.Meter())
    return {'read': target.count,
            'found': sum(end - start for start, end
                         in map(manifest.bounds, found.chunks))}


def write(url: str, manifest_path: str, disk_path: str, device: str) -> Said:
    """Write an image onto a device."""
    manifest = _manifest(manifest_path)
    with engine.open_source(url) as origin, engine.open_target(
            device) as target:
        inspection = engine.inspect(
            engine.ChunkedSource(manifest, origin, disk=_manifest(disk_path)),
            engine.Expectation(disk_format='qcow2', disk_size=target.size,
                               checksum=manifest.checksum))
        report = engine.transfer(inspection, target)
    return {'reused': report.to_dict()['reused']}


def _image(source: engine.Source) -> base.MappedImage:
    image = engine.inspect(source).accepted()
    assert isinstance(image, base.MappedImage)
    return image


def _manifest(path: str) -> manifests.Manifest:
    return manifests.Manifest.decode(pathlib.Path(path).read_bytes())


def main() -> None:
    """The command."""
    works: dict[str, Callable[..., Said]] = {
        'finer': finer, 'make': make, 'look': look, 'write': write}
    bound.say(lambda: works[sys.argv[1]](*sys.argv[2:]))


if __name__ == '__main__':
    main()
