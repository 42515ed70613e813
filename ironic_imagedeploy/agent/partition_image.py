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
from ironic_imagedeploy.agent.boot import grub_reader
from ironic_imagedeploy.agent.boot import image_tree
from ironic_imagedeploy.agent.boot import install
from ironic_imagedeploy.agent.boot import menu
from ironic_imagedeploy.agent.boot import mounts
from ironic_imagedeploy.agent.boot import separate_kernel
from ironic_imagedeploy.agent.boot import software_raid
from ironic_imagedeploy.agent import findings
from ironic_imagedeploy.agent import handover
from ironic_imagedeploy.agent.neighbours import sharing
from ironic_imagedeploy.agent import order as orders
from ironic_imagedeploy.agent import partition_checks
from ironic_imagedeploy.agent import partition_devices
from ironic_imagedeploy.agent import partitioning
from ironic_imagedeploy.agent import progress
from ironic_imagedeploy.agent import twins
from ironic_imagedeploy.contract import names
from ironic_imagedeploy import engine

LOG = log.getLogger(__name__)


def write(order: orders.WriteOrder, source: engine.Source, device: str,
          publisher: progress.Publisher) -> dict[str, typing.Any]:
    """Partition the disk, stream the image, make the disk boot.

    :param publisher: shows how far it is.
    :returns: what the agent's command prepare_image gives, and under
        ``imagedeploy`` the report of the transfer.
    :raises ImageDeployError: when the image is not written, or wrong.
    :raises DeploymentError: when the agent fails; nothing boots then.
    """
    platform = grub.platform_of(order.boot_mode, order.arch)
    array = software_raid.find(device)
    grub.check(platform, raid=array is not None)
    if array:
        array.check(platform)
    with sharing.sharing(order.neighbours, source) as shared:
        return _write(order, source, device, publisher, shared, platform,
                      array)


def _write(order: orders.WriteOrder, source: engine.Source, device: str,
           publisher: progress.Publisher, shared: sharing.Sharing,
           platform: grub.Platform, array: software_raid.Array | None
           ) -> dict[str, typing.Any]:
    inspection = _inspect(order, source, device, platform)
    kind = mounts.permitted(inspection.file_system)
    found = twins.find(inspection, device)
    install_kernel = _kernel_installer(order, inspection, publisher)
    partitions = partitioning.make(order, device)
    LOG.info('Writing %(format)s partition image %(image)s to %(device)s',
             {'format': inspection.format, 'image': source.name,
              'device': partitions.root})
    with partition_devices.held_open(partitions.root):
        with engine.open_target(partitions.root) as target:
            with shared.disk(inspection, target):
                report = engine.transfer(
                    inspection, target, read_back=order.policy.read_back,
                    workers=order.policy.workers or None, progress=publisher,
                    verify_file=order.policy.verify == 'both',
                    journals=orders.JOURNALS, written=shared.written)
        publisher.show('boot', 'disk')
        with handover.bootable_or_wiped(partitions.root, device):
            if array:
                array.check_members()
            partitions = partitions.with_uuids()
            installed = install.install(
                install.Disk(
                    device=device, root=partitions.root, kind=kind,
                    uuid=partitions.root_uuid,
                    partition_uuid=partition_devices.partition_uuid(
                        partitions.root),
                    esp=partitions.esp, esp_uuid=partitions.esp_uuid,
                    label=partitions.root_label,
                    swap_uuid=partitions.swap_uuid, has_twin=bool(found),
                    array=array),
                platform, order.arch, install_kernel,
                verify=order.policy.read_back != 'none')
            result = handover.finish(order, {
                **partitions.of_agent, names.BOOTLOADER: platform.name})
            if array:
                array.check_members()
    return {**result, names.KEY: {
        **report.to_dict(), **shared.report(), 'bootloader': installed,
        'warnings': [*(twin.warning(device) for twin in found),
                     *findings.warnings(inspection)]}}


def _inspect(order: orders.WriteOrder, source: engine.Source, device: str,
             platform: grub.Platform) -> engine.Inspection:
    """See that image, disk and partitions go together."""
    with engine.open_target(device) as disk:
        if platform is grub.BIOS:
            bios.check(device, disk.sector_size)
        partition_checks.check_fit(order, disk.size)
        partition_checks.check_formats(order)
        inspection = engine.inspect(source, order.expectation(
            disk, order.partition_sizes.root_bytes),
            engine.Budget.before_write())
    inspection.raise_if_refused()
    grub_reader.check_image(inspection, platform, order.arch)
    return inspection


def _kernel_installer(order: orders.WriteOrder,
                      inspection: engine.Inspection,
                      publisher: progress.Publisher
                      ) -> Callable[[image_tree.ImageTree], menu.Entry]:
    """Function that puts a kernel into a root file system without one."""
    if order.separate_kernel is None or inspection.has_kernel:
        return separate_kernel.no_kernel
    files = separate_kernel.BootFiles.read(order)
    files.check(order.download)
    return functools.partial(files.install, download=order.download,
                             publisher=publisher)
