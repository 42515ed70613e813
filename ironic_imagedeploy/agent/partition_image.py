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

"""The deployment of a partition image."""

from collections.abc import Callable
import functools
import typing

from oslo_log import log

from ironic_python_agent import config  # noqa: F401 (before hardware)

from ironic_imagedeploy.agent.boot import bios
from ironic_imagedeploy.agent.boot import grub
from ironic_imagedeploy.agent.boot import image_tree
from ironic_imagedeploy.agent.boot import install
from ironic_imagedeploy.agent.boot import menu
from ironic_imagedeploy.agent.boot import mounts
from ironic_imagedeploy.agent.boot import separate_kernel
from ironic_imagedeploy.agent.boot import software_raid
from ironic_imagedeploy.agent import handover
from ironic_imagedeploy.agent import order
from ironic_imagedeploy.agent import partitioning
from ironic_imagedeploy.agent import progress
from ironic_imagedeploy import engine

LOG = log.getLogger(__name__)

#: Among the UUIDs that the conductor asks for: there is one already.
BOOTLOADER = 'bootloader'


def write(wanted: order.Order, node: dict[str, typing.Any],
          image_info: dict[str, typing.Any], source: engine.Source,
          device: str, configdrive: str | None,
          publisher: progress.Publisher) -> dict[str, typing.Any]:
    """Partition the disk, stream the image, make the disk boot.

    :param publisher: shows how far it is.
    :returns: what the agent's command prepare_image gives, and under
        ``imagedeploy`` the report of the transfer.
    :raises ImageDeployError: when the image is not written, or wrong.
    :raises DeploymentError: when the agent fails; nothing boots then.
    """
    platform = grub.platform(wanted.boot_mode, wanted.arch)
    array = software_raid.find(device)
    grub.check(platform, raid=array is not None)
    if array:
        array.check(platform)
    inspection = _inspect(wanted, image_info, source, device, configdrive,
                          platform)
    kind = mounts.permitted(inspection.file_system)
    place = _kernel_beside(wanted, inspection, image_info, publisher)
    made = partitioning.make(node, image_info, device, configdrive,
                             boot_mode=wanted.boot_mode, arch=wanted.arch)
    root = made['partitions']['root']
    LOG.info('Writing %(format)s partition image %(image)s to %(device)s',
             {'format': inspection.format, 'image': source.name,
              'device': root})
    with partitioning.held_open(root):
        with engine.open_target(root) as target:
            report = engine.transfer(
                inspection, target, read_back=wanted.policy.read_back,
                workers=wanted.policy.workers or None, progress=publisher)
        publisher.show('boot', 'disk')
        with handover.bootable_or_wiped(root):
            made = {**partitioning.with_uuids(made), BOOTLOADER: platform.name}
            installed = install.install(
                install.Disk(
                    device=device, root=root, kind=kind,
                    uuid=made['root uuid'],
                    partition_uuid=partitioning.partition_uuid(root),
                    esp=made['partitions'].get('efi system partition'),
                    esp_uuid=made.get('efi system partition uuid'),
                    array=array),
                platform, wanted.arch, place)
            result = handover.finish(image_info, configdrive, made)
    return {**result, 'imagedeploy': {**report.to_dict(),
                                      'bootloader': installed}}


def _inspect(wanted: order.Order, image_info: dict[str, typing.Any],
             source: engine.Source, device: str, configdrive: str | None,
             platform: grub.Platform) -> engine.Inspection:
    """See that image, disk and partitions go together."""
    with engine.open_target(device) as disk:
        if platform is grub.BIOS:
            bios.check(device, disk.sector_size)
        partitioning.check_fit(image_info, disk.size, wanted.boot_mode,
                               configdrive)
        partitioning.check_formats(image_info, wanted.boot_mode)
        inspection = engine.inspect(source, wanted.expectation(
            disk, partitioning.root_size(image_info)))
    inspection.raise_if_refused()
    return inspection


def _kernel_beside(wanted: order.Order, inspection: engine.Inspection,
                   image_info: dict[str, typing.Any],
                   publisher: progress.Publisher
                   ) -> Callable[[image_tree.Tree], menu.Entry]:
    """What puts a kernel into a root file system that has none."""
    if wanted.beside is None or inspection.has_kernel:
        return separate_kernel.no_kernel
    wanted.beside.check(image_info)
    return functools.partial(wanted.beside.place, image_info=image_info,
                             publisher=publisher)
