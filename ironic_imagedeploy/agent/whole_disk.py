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

"""The deployment of a whole-disk image."""

import typing

from oslo_log import log

from ironic_imagedeploy.agent.boot import grub
from ironic_imagedeploy.agent.boot import previous_system
from ironic_imagedeploy.agent.boot import software_raid
from ironic_imagedeploy.agent import findings
from ironic_imagedeploy.agent import handover
from ironic_imagedeploy.agent.neighbours import sharing
from ironic_imagedeploy.agent import order as orders
from ironic_imagedeploy.agent import progress
from ironic_imagedeploy.agent import twins
from ironic_imagedeploy.contract import names
from ironic_imagedeploy import engine

LOG = log.getLogger(__name__)


def write(order: orders.WriteOrder, source: engine.Source, device: str,
          publisher: progress.Publisher) -> dict[str, typing.Any]:
    """Stream the image to the disk, and let the agent finish it.

    :param publisher: shows how far it is.
    :returns: what the agent's command prepare_image gives, and under
        ``imagedeploy`` the report of the transfer.
    :raises ImageDeployError: when the image is not written, or wrong.
    :raises DeploymentError: when the agent fails; nothing boots then.
    """
    software_raid.check_whole_disk(device, order.boot_mode)
    array = None
    if order.boot_mode == 'uefi':
        array = software_raid.find(device)
    if array:
        array.check(grub.platform_of(order.boot_mode, order.arch))
    with sharing.sharing(order.neighbours, source) as shared:
        return _write(order, source, device, publisher, shared, array)


def _write(order: orders.WriteOrder, source: engine.Source, device: str,
           publisher: progress.Publisher, shared: sharing.Sharing,
           array: software_raid.Array | None) -> dict[str, typing.Any]:
    with engine.open_target(device) as target:
        inspection = engine.inspect(source, order.expectation(target),
                                    engine.Budget.before_write())
        inspection.raise_if_refused()
        found = twins.find(inspection, device)
        LOG.info('Writing %(format)s image %(image)s to %(device)s',
                 {'format': inspection.format, 'image': source.name,
                  'device': device})
        previous_system.disable_array(
            device, verify=order.policy.read_back != 'none')
        with shared.disk(inspection, target):
            report = engine.transfer(
                inspection, target, read_back=order.policy.read_back,
                workers=order.policy.workers or None, progress=publisher,
                verify_file=order.policy.verify == 'both',
                journals=orders.JOURNALS, written=shared.written)
    publisher.show('boot', 'disk')
    result, is_repaired = handover.make_bootable(order, device, array)
    return {**result, names.KEY: {
        **report.to_dict(), **shared.report(), 'backup_gpt_misplaced': (
            report.backup_gpt_misplaced and not is_repaired),
        'warnings': [*(twin.warning(device) for twin in found),
                     *findings.warnings(inspection)]}}
