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
import pathlib
import re

SYSFS = pathlib.Path('/sys')
#: PCI devices for disks and networks, and what virtio makes of them. Bridges
#: and ports between them have drivers that no list of a kernel names.
_ALIAS = re.compile(r'pci:v\w+bc0[12]sc\w+|virtio:d\w+')
_MOST = 512


class Kind(enum.StrEnum):
    """Purpose of a device."""

    DISK = 'disk'
    NETWORK = 'network'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Device:
    """A controller or a network card.

    :ivar alias: as modules name what they drive, ``pci:v00008086d...``.
    :ivar name: of the first disk or interface that it has here, as ``sda``.
    :ivar driver: the module that drives it here; empty when nothing tells.
    """

    kind: Kind
    alias: str
    name: str
    driver: str = ''


def devices(sysfs: pathlib.Path = SYSFS) -> tuple[Device, ...]:
    """Controllers of the disks, and network cards, that work here.

    :param sysfs: where sysfs is mounted.
    """
    found: dict[str, Device] = {}
    for kind, folder in ((Kind.DISK, 'block'), (Kind.NETWORK, 'net')):
        for path in sorted((sysfs / 'class' / folder).glob('*'))[:_MOST]:
            # Without one it is a part of another, or only software.
            if (path / 'device').exists():
                for device in _chain(kind, path, sysfs):
                    found.setdefault(device.alias, device)
    return tuple(found.values())


def _chain(kind: Kind, path: pathlib.Path, sysfs: pathlib.Path
           ) -> Iterator[Device]:
    """The devices that one hangs on, from it to the top."""
    top = (sysfs / 'devices').resolve()
    device = (path / 'device').resolve()
    for parent in (device, *device.parents):
        if top not in parent.parents:
            return
        yield from _device(kind, path.name, parent)


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
