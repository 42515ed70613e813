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

"""One partition image by our agent side, in the steps that it takes.

``python -m benchmarks.boot.ours DEVICE IMAGE bios|uefi`` prints its seconds.
"""

from benchmarks.boot import step
from ironic_imagedeploy.agent.boot import grub
from ironic_imagedeploy.agent.boot import install
from ironic_imagedeploy.agent import order as orders
from ironic_imagedeploy.agent import partition_devices
from ironic_imagedeploy.agent import partitioning
from ironic_imagedeploy import engine


def main() -> None:
    run = step.Run.start()
    order = orders.WriteOrder.read(run.node, run.image_info)
    platform = grub.platform_of(order.boot_mode, order.arch)
    with run.timed('layout'):
        partitions = partitioning.make(order, run.device)
    with run.timed('image'), \
            partition_devices.held_open(partitions.root), \
            engine.open_source(run.image) as source, \
            engine.open_target(partitions.root) as target:
        inspection = engine.inspect(source, engine.Expectation(
            disk_format='qcow2', image_type='partition'))
        engine.transfer(inspection, target)
    with run.timed('bootloader'):
        partitions = partitions.with_uuids()
        install.install(
            install.Disk(
                device=run.device, root=partitions.root,
                kind=inspection.file_system or '',
                uuid=partitions.root_uuid,
                partition_uuid=partition_devices.partition_uuid(
                    partitions.root),
                esp=partitions.esp, esp_uuid=partitions.esp_uuid),
            platform, order.arch)
    run.print()


if __name__ == '__main__':
    main()
