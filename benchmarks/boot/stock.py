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

"""One partition image by ironic-python-agent, as ``direct`` asks it to.

``python -m benchmarks.boot.stock DEVICE IMAGE bios|uefi`` prints its seconds.
Its option ``enable_bios_bootloader_install`` is on: it executes
``grub-install`` of the image.
"""

from ironic_python_agent import config  # noqa: F401  (before the extensions)
from ironic_python_agent import disk_utils
from ironic_python_agent.extensions import image
from ironic_python_agent import partition_utils
from ironic_python_agent import utils
from oslo_config import cfg

from benchmarks.boot import step


def main() -> None:
    run = step.Run.start()
    cfg.CONF.set_override('enable_bios_bootloader_install', True)
    with run.timed('layout'):
        made = partition_utils.work_on_disk(
            run.device, step.ROOT, step.SWAP, 0, None, None, 'node',
            boot_mode=run.boot_mode, disk_label=run.label,
            cpu_arch=step.ARCH)
    partitions = made['partitions']
    with run.timed('image'):
        disk_utils.populate_image(run.image, partitions['root'],
                                  source_format='qcow2')
    uuids = {_uuid(partitions[name]): partitions[name]
             for name in ('root', 'efi system partition')
             if name in partitions}
    # It asks udev for them, which does not run everywhere.
    partition_utils.get_partition = lambda device, uuid: uuids[uuid]
    root, esp, *_ = *uuids, None
    with run.timed('bootloader'):
        image._install_grub2(run.device, root_uuid=root,
                             efi_system_part_uuid=esp,
                             target_boot_mode=run.boot_mode)
    run.print()


def _uuid(partition: str) -> str:
    uuid: str = utils.execute('blkid', '-p', '-s', 'UUID', '-o', 'value',
                              partition)[0]
    return uuid.strip()


if __name__ == '__main__':
    main()
