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

"""Devices of a machine, as Ironic's inventory of its node has them.

What an inspection by the agent found is in there, and may be old; a BMC tells
less. Whoever has the node can have told it something else.
"""

from collections.abc import Iterator
from collections.abc import Mapping
import re
import typing

from ironic_imagedeploy.contract import fields
from ironic_imagedeploy.engine import hardware

Told = Mapping[str, typing.Any]

#: Devices of each list that are looked at.
_MOST = 256
_ID = re.compile(r'(?:0x)?([0-9a-fA-F]{1,4})')
_CLASS = re.compile('([0-9A-F]{2})' * 3)
_BUS = re.compile(r'[0-9a-f]{4,5}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]')
#: Where a disk hangs, by udev: pci-0000:00:1f.2-ata-1.
_PATH = re.compile(rf'.*/(?:virtio-)?pci-({_BUS.pattern})(?:-.*)?')
_NAME = fields.text(64)
_DRIVER = re.compile(r'[A-Za-z0-9_-]{1,56}')
#: Devices of virtio have numbers of another bus there.
_VIRTIO = '1af4'
#: In the name of a device whose class is that of storage.
_STORAGE = 'bc01'


def devices(inventory: typing.Any, plugin_data: typing.Any
            ) -> tuple[hardware.Device, ...]:
    """Devices that an inventory names well enough to tell their drivers.

    :param inventory: as ironic-python-agent or a BMC tells it.
    :param plugin_data: what came beside it.
    """
    inventory = _mapping(inventory)
    listed = [*_list(_mapping(plugin_data).get('pci_devices')),
              *_list(inventory.get('pci_devices'))]
    by_bus = {told['bus']: alias for told in listed
              if isinstance(told.get('bus'), str)
              and (alias := _alias(told)) is not None}
    found: dict[str, hardware.Device] = {}
    for device in (*_disks(inventory, by_bus), *_cards(inventory, by_bus)):
        found.setdefault(device.alias, device)
    return tuple(found.values())


def _disks(inventory: Told, by_bus: Mapping[str, str]
           ) -> Iterator[hardware.Device]:
    """Controllers that disks hang on; the only one is that of the image.

    Which of several it is, is not known.
    """
    disks = _list(inventory.get('disks'))
    aliases = [by_bus.get(_bus_of(disk), '') for disk in disks]
    for disk, alias in zip(disks, aliases, strict=True):
        if _STORAGE in alias:
            yield hardware.Device(
                kind=hardware.Kind.DISK, alias=alias,
                name=_NAME(disk.get('name')) or 'a disk',
                is_root=True if len({*aliases}) == 1 else None)


def _cards(inventory: Told, by_bus: Mapping[str, str]
           ) -> Iterator[hardware.Device]:
    for told in _list(inventory.get('interfaces')):
        address = told.get('pci_address')
        if not isinstance(address, str) or not _BUS.fullmatch(address):
            continue
        alias = by_bus.get(address) or _alias({
            'vendor_id': told.get('vendor'), 'class': '',
            'product_id': told.get('product')})
        driver = told.get('driver')
        if alias:
            yield hardware.Device(
                kind=hardware.Kind.NETWORK, alias=alias,
                name=_NAME(told.get('name')) or 'a network card',
                driver=(driver.replace('-', '_') if isinstance(driver, str)
                        and _DRIVER.fullmatch(driver) else ''))


def _bus_of(disk: Told) -> str:
    path = disk.get('by_path')
    match = _PATH.fullmatch(path[:256]) if isinstance(path, str) else None
    return match[1] if match else ''


def _alias(told: Told) -> str | None:
    """Name of a PCI device, as modules have it, with * for the unknown."""
    vendor, product = (_ID.fullmatch(str(told.get(name)))
                       for name in ('vendor_id', 'product_id'))
    kind = _CLASS.fullmatch(str(told.get('class')).upper())
    if vendor is None or product is None:
        return None
    if kind is None and vendor[1].lower() == _VIRTIO:
        return None
    numbers = 'bc{}sc{}i{}'.format(*(kind.groups() if kind else '***'))
    return (f'pci:v{vendor[1].upper():0>8}d{product[1].upper():0>8}sv*sd*'
            + numbers)


def _list(told: typing.Any) -> list[Told]:
    return [each for each in told[:_MOST] if isinstance(each, Mapping)
            ] if isinstance(told, list) else []


def _mapping(told: typing.Any) -> Told:
    return told if isinstance(told, Mapping) else {}
