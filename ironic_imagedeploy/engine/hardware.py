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

"""Devices of this machine that a system needs a driver for.

Source: Linux, "sysfs - The filesystem for exporting kernel objects", and the
names of devices that udev loads modules by ("MODALIAS").
"""

from collections.abc import Iterator
import dataclasses
import enum
import os
import pathlib
import re

SYSFS = pathlib.Path('/sys')
#: PCI devices for disks and networks, and what virtio makes of them. Bridges
#: and ports between them have drivers that no list of a kernel names.
_ALIAS = re.compile(r'pci:v\w+bc0[12]sc\w+|virtio:d\w+')
_MOST = 512
#: Arrays and the like upon each other.
_DEEPEST = 8
#: An NVMe disk that may have several controllers hangs on none of them.
_SUBSYSTEM = 'nvme-subsys'
_CONTROLLER = re.compile(r'nvme\d+')


class Kind(enum.StrEnum):
    """Purpose of a device."""

    DISK = 'disk'
    NETWORK = 'network'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Device:
    """A controller or a network card.

    :ivar alias: as modules name what they drive, ``pci:v00008086d...``; with
        an asterisk for each number that is not known.
    :ivar name: of the first disk or interface that it has here, as ``sda``.
    :ivar driver: the module that drives it here; empty when nothing tells.
    :ivar is_root: the disk for the image hangs on it; None when that is not
        known.
    """

    kind: Kind
    alias: str
    name: str
    driver: str = ''
    is_root: bool | None = False


def devices(sysfs: pathlib.Path | None = None, *, root: str = ''
            ) -> tuple[Device, ...]:
    """Controllers of the disks, and network cards, that work here.

    :param sysfs: where sysfs is mounted; :data:`SYSFS` by default.
    :param root: the block device for an image; empty when that is not known.
    """
    sysfs = sysfs or SYSFS
    found: dict[str, Device] = {}
    roots = {*_disks(os.path.basename(os.path.realpath(root)), sysfs)
             } if root else set()
    for kind, folder in ((Kind.DISK, 'block'), (Kind.NETWORK, 'net')):
        names = sorted(path.name for path in (
            sysfs / 'class' / folder).glob('*'))[:_MOST]
        # That with the disk for the image is the one that is kept.
        for name in sorted(names, key=lambda name: name not in roots):
            for device in _chain(kind, sysfs / 'class' / folder / name,
                                 sysfs):
                found.setdefault(device.alias, dataclasses.replace(
                    device, is_root=(
                        kind is Kind.DISK and (name in roots if root
                                               else None))))
    return tuple(found.values())


def _disks(name: str, sysfs: pathlib.Path, deep: int = 0) -> Iterator[str]:
    """Disks that a block device, maybe an array or a partition, is made of."""
    folder = sysfs / 'class/block' / name
    if (folder / 'partition').exists():
        name = folder.resolve().parent.name
    yield name
    for below in sorted((sysfs / 'class/block' / name).glob('slaves/*')):
        if deep < _DEEPEST:
            yield from _disks(below.name, sysfs, deep + 1)


def _chain(kind: Kind, path: pathlib.Path, sysfs: pathlib.Path
           ) -> Iterator[Device]:
    """The devices that one hangs on, from it to the top."""
    # Without one it is a part of another, or only software.
    if not (path / 'device').exists():
        return
    top = (sysfs / 'devices').resolve()
    device = (path / 'device').resolve()
    if device.name.startswith(_SUBSYSTEM):
        for each in sorted(device.iterdir()):
            if _CONTROLLER.fullmatch(each.name):
                yield from _parents(kind, path.name, each.resolve(), top)
    yield from _parents(kind, path.name, device, top)


def _parents(kind: Kind, name: str, device: pathlib.Path, top: pathlib.Path
             ) -> Iterator[Device]:
    for parent in (device, *device.parents):
        if top not in parent.parents:
            return
        yield from _device(kind, name, parent)


def _device(kind: Kind, name: str, folder: pathlib.Path) -> Iterator[Device]:
    try:
        alias = (folder / 'modalias').read_text().strip()
        driver = (folder / 'driver').resolve(strict=True)
    except OSError:
        return
    if _ALIAS.match(alias):
        module = driver / 'module'
        yield Device(
            kind=kind, alias=alias, name=name, driver=(
                module.resolve() if module.exists() else driver
            ).name.replace('-', '_'))
