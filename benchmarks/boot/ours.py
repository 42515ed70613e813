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
from ironic_imagedeploy.agent import partitioning
from ironic_imagedeploy import engine


def main() -> None:
    run = step.Run.start()
    platform = grub.platform(run.boot_mode, step.ARCH)
    with run.timed('layout'):
        made = partitioning.make(run.node, run.image_info, run.device, None,
                                 boot_mode=run.boot_mode, arch=step.ARCH)
    root = made['partitions']['root']
    with run.timed('image'), partitioning.held_open(root), \
            engine.open_source(run.image) as source, \
            engine.open_target(root) as target:
        inspection = engine.inspect(source, engine.Expectation(
            disk_format='qcow2', image_type='partition'))
        engine.transfer(inspection, target)
    with run.timed('bootloader'):
        made = partitioning.with_uuids(made)
        install.install(
            install.Disk(
                device=run.device, root=root,
                kind=inspection.file_system or '', uuid=made['root uuid'],
                partition_uuid=partitioning.partition_uuid(root),
                esp=made['partitions'].get('efi system partition'),
                esp_uuid=made.get('efi system partition uuid')),
            platform, step.ARCH)
    run.print()


if __name__ == '__main__':
    main()
