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

"""The table of file systems of an image, for the disk that it is on now.

It was written for the disk that the image was made of. A line for a device
that is not here lets the system wait, or stop, at boot (fstab(5),
systemd-fstab-generator(8)).
"""

from collections.abc import Iterator
import dataclasses
import enum
import re
import typing

#: Device, mount point, type and options, with the blanks before each; and
#: the rest of the line.
_LINE = re.compile(
    rb'(\s*)([^#\s]\S*)(\s+)(\S+)(\s+)(\S+)(?:([ \t]+)(\S+))?(.*)', re.DOTALL)
#: Mount points of an EFI system partition and of nothing else.
_ESP_MOUNTS = (b'/boot/efi', b'/efi')
_TAG = re.compile(rb'(?:UUID|LABEL|PARTUUID|PARTLABEL|ID)=')
_BY_TAG = re.compile(rb'/dev/disk/by-(uuid|label|partuuid|partlabel)/')
#: With these nothing waits for a device.
_HARMLESS = frozenset((b'nofail', b'noauto'))
_ESP_OPTIONS = b'umask=0077,nofail'


class Role(enum.StrEnum):
    """Purpose of what a line is about, where a disk has its own of these."""

    ESP = 'esp'
    SWAP = 'swap'
    OTHER = ''


class Foreign(typing.NamedTuple):
    """A line for a device that is not on the disk.

    :ivar device: as the table names it: hostile text, as the mount point.
    :ivar blocks: a system waits for it.
    """

    device: str
    mount: str
    role: Role
    blocks: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class Disk:
    """File systems on the disk that the image is on now.

    :ivar root_uuid: of the root file system.
    :ivar root_label: of the same; empty when it has none.
    :ivar esp_uuid: of the EFI system partition, if there is one.
    :ivar swap_uuid: of the swap partition, if there is one.
    """

    root_uuid: str
    root_label: str = ''
    esp_uuid: str | None = None
    swap_uuid: str | None = None


def adapted(table: bytes, disk: Disk) -> bytes:
    """The table with no line that keeps the system from booting.

    Lines for partitions that were made for the image get these; others for
    devices that are not here get the option nofail. All else stays, byte for
    byte. An ESP gets a line where it has none.
    """
    lines = [_adapted(line, disk) for line in table.splitlines(keepends=True)]
    if disk.esp_uuid and not any(map(_esp_mount, lines)):
        if lines and not lines[-1].endswith(b'\n'):
            lines[-1] += b'\n'
        lines.append(b'UUID=%b\t/boot/efi\tvfat\t%b\t0\t1\n' % (
            disk.esp_uuid.encode('ascii'), _ESP_OPTIONS))
    return b''.join(lines)


def foreign(table: bytes, disk: Disk) -> Iterator[Foreign]:
    """Lines for devices of the disk that the image was made of.

    :param disk: the one that the image is on; of it counts the root.
    """
    for line in table.splitlines():
        match = _LINE.fullmatch(line)
        if not match or _stays(match, disk):
            continue
        options = (match[8] or b'').split(b',')
        yield Foreign(match[2].decode('utf-8', 'replace'),
                      match[4].decode('utf-8', 'replace'), _role(match),
                      not _HARMLESS & set(options))


def esp_mounts(table: bytes) -> Iterator[str]:
    """Paths in the image that a table mounts an ESP at."""
    for line in table.splitlines():
        if mount := _esp_mount(line):
            yield mount[1:].decode('ascii')


def _esp_mount(line: bytes) -> bytes | None:
    match = _LINE.fullmatch(line)
    mount = match[4].rstrip(b'/') if match else None
    return mount if mount in _ESP_MOUNTS else None


def _adapted(line: bytes, disk: Disk) -> bytes:
    match = _LINE.fullmatch(line)
    if not match or _stays(match, disk):
        return line
    before, device, gap, mount, gap2, kind, gap3, options, rest = (
        field or b'' for field in match.groups())
    if uuid := {Role.ESP: disk.esp_uuid, Role.SWAP: disk.swap_uuid}.get(
            _role(match)):
        device = b'UUID=' + uuid.encode('ascii')
    if not _HARMLESS & set(options.split(b',')):
        gap3 = gap3 or b'\t'
        options = b','.join(filter(None, (options or b'defaults', b'nofail')))
    return b''.join((before, device, gap, mount, gap2, kind, gap3, options,
                     rest))


def _stays(line: re.Match[bytes], disk: Disk) -> bool:
    """Whether a line is about the root file system, or about no device.

    The root is mounted by then: nobody waits for it.
    """
    tags = {b'UUID=' + disk.root_uuid.encode('ascii')}
    if disk.root_label:
        tags.add(b'LABEL=' + disk.root_label.encode())
    return line[4] == b'/' or not _is_device(line[2]) or (
        _tag(line[2]) in tags)


def _role(line: re.Match[bytes]) -> Role:
    if line[6] == b'swap':
        return Role.SWAP
    return Role.ESP if line[4].rstrip(b'/') in _ESP_MOUNTS else Role.OTHER


def _is_device(device: bytes) -> bool:
    return bool(_TAG.match(device)) or device.startswith(b'/dev/')


def _tag(device: bytes) -> bytes:
    """The same device, as a tag without quotes where it has one."""
    device = _BY_TAG.sub(lambda match: match[1].upper() + b'=', device)
    return device.replace(b'"', b'')
