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

"""Images whose kernels have no driver for the disk of a machine.

Each is refused before the disk is touched. Where its owner wants it all the
same, it is deployed, and does not start. The same image with a kernel that has
the driver does.
"""

from collections.abc import Callable
from collections.abc import Sequence
import dataclasses
import functools
import hashlib
import pathlib

from openstack.baremetal.v1 import node as _node
from openstack.image.v2 import image as _image

from tests.lab import cloud
from tests.lab import image
from tests.lab import job
from tests.support import commands
from tests.support import progress

_MIB = 1 << 20
#: Of initramfs-tools, when no driver gives it the root.
_NO_ROOT = b'does not exist'
#: Seconds; the usual kernel, on an emulated machine.
_BOOT_TIMEOUT = 900


@dataclasses.dataclass(frozen=True, kw_only=True)
class Controller:
    """A controller of the disk.

    :ivar said: words of the refusal: of the device, and its disk
    :ivar lacking: makes an image whose kernel has no driver for it
    :ivar boot_mode: that of a firmware that reads its disk
    """

    said: tuple[str, ...]
    lacking: Callable[[], pathlib.Path]
    boot_mode: str = 'uefi'


#: By the bus of the disk; with the first bytes of PCI's or virtio's names.
CONTROLLERS: dict[str, Controller] = {
    'virtio': Controller(
        said=('virtio:d00000002', 'vda'), lacking=image.no_disk_drivers),
    'nvme': Controller(
        said=('bc01sc08', 'nvme0n1'), lacking=image.no_disk_drivers),
    'sata': Controller(
        said=('bc01sc06', 'sda'), lacking=image.whole_disk),
    'pvscsi': Controller(
        said=('pci:v000015ADd000007C0', 'sda'),
        lacking=image.no_disk_drivers, boot_mode='bios')}


class StartJob(job.Job):
    """A machine for each controller, deployed one after the other."""

    #: With a kernel that has drivers for all of them
    make_image = staticmethod(image.usual_kernel)

    def __init__(self, checkout: pathlib.Path, state: pathlib.Path,
                 kinds: Sequence[str], force_raw_images: bool) -> None:
        super().__init__(checkout, state, ['imagedeploy'], force_raw_images)
        self._kinds = {
            kind: self._new_machine(
                disk_bus=kind, boot_mode=CONTROLLERS[kind].boot_mode)
            for kind in dict.fromkeys(kinds)}
        self._paths: dict[Callable[[], pathlib.Path], pathlib.Path] = {}
        self._nodes: dict[str, _node.Node] = {}
        self._marker = hashlib.shake_256(b'untouched').digest(_MIB)

    @property
    def checks(self) -> list[job.Check]:
        """All of them, in order."""
        steps = (
            ('image without a driver for the disk is refused', self.refuse),
            ('its disk is untouched', self.untouched),
            ('the same image with the right kernel boots', self.boot),
            ('deployed where its owner wants no findings', self.deploy),
            ('that system does not find its root', self.give_up))
        return [
            *super().checks, ('images uploaded to Glance', self.upload),
            *((f'{kind}: {name}', functools.partial(step, kind))
              for kind in self._kinds for name, step in steps)]

    def build_image(self) -> None:
        super().build_image()
        # Later there is no network to build them with.
        for kind in self._kinds:
            for make in (CONTROLLERS[kind].lacking, self.make_image):
                self._paths[make] = make()

    def upload(self) -> None:
        self._cloud = cloud.Cloud()
        self._images: dict[Callable[[], pathlib.Path], _image.Image] = {}
        self._silent: dict[Callable[[], pathlib.Path], _image.Image] = {}
        for make, path in self._paths.items():
            self._images[make] = self._cloud.upload(
                make.__name__, path, 'qcow2')
            self._silent[make] = self._cloud.upload(
                f'{make.__name__}-silent', path, 'qcow2',
                imagedeploy_start_findings='off')

    def refuse(self, kind: str) -> None:
        hardware = self._kinds[kind]
        with hardware.disk.open('r+b') as disk:
            disk.write(self._marker)
        self._nodes[kind] = self._cloud.enrol(hardware, 'imagedeploy')
        node = self._deploy(kind, self._images[CONTROLLERS[kind].lacking])
        progress.say(f'    last_error: {node.last_error}')
        if node.provision_state != 'deploy failed':
            raise AssertionError(f'the node is {node.provision_state}')
        missing = [word for word in ('driver-missing',
                                     *CONTROLLERS[kind].said)
                   if word not in node.last_error]
        if missing:
            raise AssertionError(f'last_error does not say {missing}')

    def untouched(self, kind: str) -> None:
        with self._kinds[kind].disk.open('rb') as disk:
            if disk.read(_MIB) != self._marker:
                raise AssertionError('the first MiB was overwritten')

    def deploy(self, kind: str) -> None:
        self._console = self._kinds[kind].console.stat().st_size
        self._must_be_active(self._deploy(
            kind, self._silent[CONTROLLERS[kind].lacking]))

    def give_up(self, kind: str) -> None:
        def has_given_up() -> bool:
            told = self._kinds[kind].console.read_bytes()[self._console:]
            if f'{job.HOSTNAME} login:'.encode() in told:
                raise AssertionError('the system started all the same')
            return _NO_ROOT in told

        commands.wait_for('an initramfs without a root', has_given_up,
                          timeout=_BOOT_TIMEOUT)
        self._cloud.undeploy(self._nodes[kind])

    def boot(self, kind: str) -> None:
        hardware = self._kinds[kind]
        begin = hardware.console.stat().st_size
        self._must_be_active(self._deploy(
            kind, self._images[self.make_image]))
        job.wait_for_login(hardware, begin, _BOOT_TIMEOUT)
        self._cloud.undeploy(self._nodes[kind])

    def _deploy(self, kind: str, what: _image.Image) -> _node.Node:
        return self._cloud.deploy(self._nodes[kind], what, job.HOSTNAME,
                                  job.DEPLOY_TIMEOUT)

    @staticmethod
    def _must_be_active(node: _node.Node) -> None:
        if node.provision_state != 'active':
            raise AssertionError(f'{node.provision_state}: {node.last_error}')
