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

"""A partition image onto machines of several kinds, which boot it."""

from collections.abc import Sequence
import functools
import hashlib
import json
import pathlib
from typing import Any

from openstack.baremetal.v1 import node as _node
from openstack.image.v2 import image as _image

from tests.lab import cloud
from tests.lab import disk
from tests.lab import diskimage
from tests.lab import image
from tests.lab import job
from tests.lab import machine
from tests.support import progress

#: Of diskimage-builder the kernel is bigger, and grub2 with its signed
#: programs is in the image.
BUILDERS = {'debian': image.partition, 'dib': diskimage.partition,
            'kernel-beside': image.kernel_beside}

#: SeaBIOS boots from no disk with sectors of 4096 bytes. Several disks become
#: one mirror.
KINDS: dict[str, dict[str, Any]] = {
    'uefi': {},
    'bios': {'boot_mode': 'bios'},
    'nvme': {'disk_bus': 'nvme'},
    '4kn': {'sector_size': 4096},
    'raid': {'disk_count': 2},
    'raid-bios': {'disk_count': 2, 'boot_mode': 'bios'}}

#: After our check_agent (85), before write_image (80).
_MIRROR = {
    'interface': 'raid', 'step': 'apply_configuration', 'priority': 83,
    'args': {'raid_config': {'logical_disks': [
        {'size_gb': 'MAX', 'raid_level': '1', 'controller': 'software'}]}}}

_LAYOUT = {'root_gb': 3, 'swap_mb': 128, 'ephemeral_gb': 1}

_SWAP, _EPHEMERAL, _CONFIG_DRIVE = 'swap1', 'ephemeral0', 'config-2'

_MIB = 1 << 20


def _takes_whole_disks(hardware: machine.Machine) -> bool:
    """An array does; nobody would install what a BIOS boots from."""
    return hardware.disk_count > 1 and hardware.boot_mode == 'uefi'


class PartitionJob(job.Job):
    """Each machine is deployed, with all partitions, and boots."""

    def __init__(self, checkout: pathlib.Path, state: pathlib.Path,
                 kinds: Sequence[str], builder: str, rebuild: bool,
                 force_raw_images: bool) -> None:
        super().__init__(checkout, state, ['imagedeploy'], force_raw_images)
        self.make_image = BUILDERS[builder]
        self._kernel_origin = ('beside' if builder == 'kernel-beside'
                               else 'image')
        self._rebuild = rebuild
        self._kinds = {kind: self._new_machine(**KINDS[kind])
                       for kind in dict.fromkeys(kinds)}
        self._nodes: dict[str, _node.Node] = {}
        self._kept = hashlib.shake_256(b'kept').digest(_MIB)

    @property
    def checks(self) -> list[job.Check]:
        """All of them, in order."""
        found: list[job.Check] = [
            *super().checks, ('partition image in Glance', self.upload)]
        for kind, hardware in self._kinds.items():
            steps = [(f'{kind} machine boots the partition image',
                      self.deploy)]
            if hardware.sector_size != 512:
                steps.insert(0, (
                    f'{kind} machine refuses an image for other sectors',
                    self.refuse))
            if hardware.disk_count > 1:
                steps.append((f'{kind} machine boots from each disk alone',
                              self.lose_disks))
            if self._rebuild:
                steps.append((f'{kind} machine keeps its ephemeral partition '
                              'when it is rebuilt', self.rebuild))
            if _takes_whole_disks(hardware):
                steps += [(f'{kind} machine boots a whole-disk image',
                           self.deploy_whole_disk),
                          (f'{kind} machine boots that from each disk alone',
                           self.lose_disks)]
            steps.append((f'{kind} machine is given back', self.undeploy))
            found += [(name, functools.partial(step, kind))
                      for name, step in steps]
        return found

    def build_image(self) -> None:
        super().build_image()
        # Later there is no network to build it with.
        if any(each.sector_size != 512 or _takes_whole_disks(each)
               for each in self.machines):
            self._whole_disk = image.whole_disk()

    def upload(self) -> None:
        self._cloud = cloud.Cloud()
        beside = {}
        if self._kernel_origin == 'beside':
            for name, role, kind in (('vmlinuz', 'kernel_id', 'aki'),
                                     ('initrd.img', 'ramdisk_id', 'ari')):
                beside[role] = self._cloud.upload(
                    f'debian-{name}', self._image_path.with_name(name), kind,
                    container_format=kind).id
        self._image = self._cloud.upload(
            'debian-root', self._image_path, 'qcow2', img_type='partition',
            **beside)

    def refuse(self, kind: str) -> None:
        """A table that counts sectors of 512 bytes does not fit the disk."""
        hardware = self._kinds[kind]
        before = _MIB * b'\xa5'
        with hardware.disk.open('r+b') as target:
            target.write(before)
        whole = self._cloud.upload(f'debian-for-{kind}', self._whole_disk,
                                   'qcow2')
        node = self._cloud.deploy(self._node(kind), whole, job.HOSTNAME,
                                  job.DEPLOY_TIMEOUT)
        progress.say(f'    last_error: {node.last_error}')
        if (node.provision_state != 'deploy failed'
                or 'sector-size' not in (node.last_error or '')):
            raise AssertionError(f'the node is {node.provision_state}')
        with hardware.disk.open('rb') as target:
            if target.read(_MIB) != before:
                raise AssertionError('the first MiB was overwritten')

    def deploy(self, kind: str) -> None:
        self._deploy(kind)

    def lose_disks(self, kind: str) -> None:
        """It boots whichever of its disks is missing."""
        hardware = self._kinds[kind]
        for path in hardware.disks:
            self._cloud.switch_off(self._node(kind))
            with hardware.without(path):
                begin = hardware.console.stat().st_size
                self._cloud.switch_on(self._node(kind))
                progress.say(f'    without {path.stem}:')
                job.wait_for_login(hardware, begin)
                self._cloud.switch_off(self._node(kind))

    def rebuild(self, kind: str) -> None:
        """Only the ephemeral partition stays as it was."""
        hardware = self._kinds[kind]
        self._cloud.switch_off(self._node(kind))
        for label in (_EPHEMERAL, image.ROOT_LABEL):
            with disk.mounted(hardware, label) as place:
                (place / 'written-before').write_bytes(self._kept)
        self._deploy(kind, rebuild=True, preserve_ephemeral=True)
        self._cloud.switch_off(self._node(kind))
        with disk.mounted(hardware, _EPHEMERAL) as place:
            if (place / 'written-before').read_bytes() != self._kept:
                raise AssertionError('the file has another content')
        with disk.mounted(hardware, image.ROOT_LABEL) as place:
            if (place / 'written-before').exists():
                raise AssertionError('the root partition was not written')

    def deploy_whole_disk(self, kind: str) -> None:
        """It is alone in a new array."""
        whole = self._cloud.upload('debian-for-mirror', self._whole_disk,
                                   'qcow2')
        if 'bootloader' in self._boot(kind, whole, rebuild=True,
                                      steps=[_MIRROR]):
            raise AssertionError('it was taken for a partition image')
        # That would copy the EFI system partition once more.
        if 'image.install_bootloader' in (
                self.services.conductor_log.read_text(errors='replace')):
            raise AssertionError('the agent itself installed a boot loader')

    def undeploy(self, kind: str) -> None:
        self._cloud.undeploy(self._node(kind))

    def _node(self, kind: str) -> _node.Node:
        if kind not in self._nodes:
            hardware = self._kinds[kind]
            self._nodes[kind] = self._cloud.enrol(
                hardware, 'imagedeploy', raid_interface=(
                    'agent' if hardware.disk_count > 1 else 'no-raid'))
        return self._nodes[kind]

    def _deploy(self, kind: str, rebuild: bool = False, **more: int) -> None:
        hardware = self._kinds[kind]
        report = self._boot(
            kind, self._image, rebuild=rebuild, steps=(
                [_MIRROR] if hardware.disk_count > 1 and not rebuild else ()),
            **_LAYOUT, **more)
        if report['bootloader']['kernel_origin'] != self._kernel_origin:
            raise AssertionError(f'the kernel is not {self._kernel_origin}')
        self._check_layout(hardware)

    def _boot(self, kind: str, what: _image.Image, **order: Any
              ) -> dict[str, Any]:
        """Deploy an image, until the login prompt.

        :returns: the report of the transfer
        """
        hardware = self._kinds[kind]
        begin = hardware.console.stat().st_size
        node = self._cloud.deploy(self._node(kind), what, job.HOSTNAME,
                                  job.DEPLOY_TIMEOUT, **order)
        if node.provision_state != 'active':
            raise AssertionError(f'{node.provision_state}: {node.last_error}')
        report: dict[str, Any] = node.driver_internal_info[
            'imagedeploy']['report']
        print(json.dumps(report.get('bootloader'), indent=4), flush=True)
        job.wait_for_login(hardware, begin)
        return report

    @staticmethod
    def _check_layout(hardware: machine.Machine) -> None:
        found = {each.label.lower(): each
                 for each in disk.partitions(hardware)}
        for label, each in found.items():
            progress.say(f'    {each.kind} {label}: {each.size // _MIB} MiB')
        missing = {_SWAP, _EPHEMERAL, _CONFIG_DRIVE,
                   image.ROOT_LABEL} - found.keys()
        if missing:
            raise AssertionError(f'no partitions {sorted(missing)}')
