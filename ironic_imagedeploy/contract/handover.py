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

"""How a deployed system was started, where kexec was asked for."""

import enum
import typing

from ironic_imagedeploy.contract import fields

_PATH = fields.text(256)
_LOADED = fields.mapping(
    kernel=_PATH, menu=_PATH, initramfs=fields.sequence(_PATH, 16))
_HANDOVER = fields.mapping(
    way=fields.text(fields.WORD), reason=fields.text(1024), kernel=_PATH,
    menu=_PATH, initramfs=fields.sequence(_PATH, 16))


class Way(enum.StrEnum):
    """Way in which the deployed system was started."""

    KEXEC = 'kexec'
    FIRMWARE = 'firmware'


def by_kexec(told: typing.Any) -> dict[str, typing.Any]:
    """The record of a system that was started by kexec.

    :param told: by the agent, of the kernel that it has loaded.
    """
    return {'way': Way.KEXEC.value, **(_LOADED(told) or {})}


def by_firmware(reason: str) -> dict[str, typing.Any]:
    """The record of a system that was started as always.

    :param reason: why not by kexec.
    """
    return {'way': Way.FIRMWARE.value,
            'reason': fields.printable(reason, 1024)}


def checked(told: typing.Any) -> dict[str, typing.Any] | None:
    """The record with its known fields only; None when it is not one."""
    record: dict[str, typing.Any] | None = _HANDOVER(told)
    return record if record and record.get('way') in list(Way) else None
