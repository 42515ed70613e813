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

"""The deploy interface imagedeploy."""

import typing

from ironic.common import metrics_utils
from ironic.common import states
from ironic.conductor import task_manager
from ironic.conductor import utils
from ironic.conf import CONF
from ironic.drivers import base
from ironic.drivers.modules import agent
from ironic.drivers.modules import boot_mode_utils
from ironic.drivers.modules import deploy_utils

from ironic_imagedeploy.conductor.checks import acceptance
from ironic_imagedeploy.conductor import checksums
from ironic_imagedeploy.conductor import declared
from ironic_imagedeploy.conductor import hardware
from ironic_imagedeploy.conductor import kexec
from ironic_imagedeploy.conductor.neighbours import tracker
from ironic_imagedeploy.conductor import node_fields
from ironic_imagedeploy.conductor import order
from ironic_imagedeploy.conductor.progress import answers
from ironic_imagedeploy.conductor.progress import client
from ironic_imagedeploy.conductor.progress import moments
from ironic_imagedeploy.conductor.progress import notifications
from ironic_imagedeploy.conductor.progress import poll
from ironic_imagedeploy.conductor import serving
from ironic_imagedeploy.conductor import withdrawal
from ironic_imagedeploy.conf import opts
from ironic_imagedeploy.contract import names
from ironic_imagedeploy.contract import timeline

METRICS = metrics_utils.get_metrics_logger(__name__)


class ImageDeploy(agent.AgentDeploy):
    """Deploy interface like direct, for checked and streamed images.

    Everything that is not here is that of direct: the same instance_info,
    the same steps, the same boot of the ramdisk and of the instance.
    """

    def __init__(self) -> None:
        super().__init__()
        opts.register_opts(CONF)
        if CONF.imagedeploy.extend_hardware_types:
            hardware.support_everywhere(type(self))
        # The conductor collects the periodic tasks of each interface.
        self.follow_writes = poll.periodic_task()
        self.withdraw_orders = withdrawal.periodic_task()

    def get_properties(self) -> dict[str, str]:
        """Keys of driver_info by which operators choose what is done."""
        return {**super().get_properties(), names.KEXEC: (
            'Whether the deployed system may be started by kexec, without a '
            'second start of the firmware, where [imagedeploy]kexec of the '
            'conductor is set. Experimental. Optional, False by default.')}

    def supports_deploy(self, task: task_manager.TaskManager) -> bool:
        """Whether autodetect may choose this interface for the node.

        Autodetect asks only interfaces that an operator listed in
        [DEFAULT]autodetect_deploy_interfaces. Of those nodes this one takes
        the ones whose image it can write: one of a permitted format from
        Glance, a web server or a file.
        """
        return declared.deployable(task)

    @METRICS.timer('ImageDeploy.validate')
    def validate(self, task: task_manager.TaskManager) -> None:
        """Validate the node, its instance_info and its image.

        A deployment, which holds the node exclusively, starts with prepare():
        the image is checked there, where a refusal is kept in last_error and
        no request waits for an image server.

        :raises InvalidParameterValue: with the reason.
        :raises MissingParameterValue: when something was not given.
        """
        node_fields.check(task.node)
        checksums.check_given(task.node)
        super().validate(task)
        if task.shared and task.driver.storage.should_write_image(task):
            acceptance.check_image(task)

    @METRICS.timer('ImageDeploy.prepare')
    @task_manager.require_exclusive_lock
    def prepare(self, task: task_manager.TaskManager) -> None:
        """Check and fetch the image, then prepare the node; in this order.

        :raises InvalidParameterValue: when the image is refused. Nothing was
            done to the node by then, not even its power state was changed.
        """
        if (task.node.provision_state == states.DEPLOYING
                and task.driver.storage.should_write_image(task)):
            begun = timeline.now()
            served = serving.provide(task)
            order.give(task, served)
            notifications.accepted(task.node, served.image.verdict.findings)
            moments.accepted(task.node, begun)
        try:
            super().prepare(task)
        except Exception:
            # Ironic does not call clean_up() then.
            serving.withdraw(task.node)
            raise

    def _update_instance_info(self, task: task_manager.TaskManager) -> None:
        """Called by prepare(): make the image available to the node.

        At the start of a deployment it is already. Another conductor, which
        takes the node over while it is being deployed, has yet to do it.
        """
        if (task.node.provision_state != states.DEPLOYING
                and task.driver.storage.should_write_image(task)):
            order.renew(task, serving.provide(task))

    @METRICS.timer('ImageDeploy.clean_up')
    def clean_up(self, task: task_manager.TaskManager) -> None:
        """Called when the ramdisk is done: serve nothing any longer.

        With Redfish virtual media that switches the power off, which clears
        last_error: the reason of a failure would be lost there. With others
        it does not, and an agent whose deployment is aborted, which is a
        failure without a reason yet, would go on to write.
        """
        node = task.node
        reason = node.last_error
        super().clean_up(task)
        serving.withdraw(node)
        if reason and not node.last_error and node.provision_state in (
                states.DEPLOYING, states.DEPLOYWAIT):
            node.last_error = reason
            node.save()
        if (node.provision_state == states.DEPLOYFAIL and not reason
                and CONF.deploy.power_off_after_deploy_failure):
            utils.node_power_action(task, states.POWER_OFF)

    @METRICS.timer('ImageDeploy.check_agent')
    @base.deploy_step(priority=85)
    @task_manager.require_exclusive_lock
    def check_agent(self, task: task_manager.TaskManager) -> None:
        """Deploy step: fail before write_image if the ramdisk is not ours.

        :raises InstanceDeployFailure: when it does not carry the agent side
            and [imagedeploy]require_agent is set.
        """
        if task.driver.storage.should_write_image(task):
            order.check_agent(task)

    @METRICS.timer('ImageDeploy.prepare_instance_boot')
    @base.deploy_step(priority=60)
    @task_manager.require_exclusive_lock
    def prepare_instance_boot(self, task: task_manager.TaskManager) -> None:
        """Deploy step after write_image: make it boot, serve nothing more.

        A deployment that goes well ends without clean_up().
        """
        super().prepare_instance_boot(task)
        serving.withdraw(task.node)

    @METRICS.timer('ImageDeploy.tear_down_agent')
    @base.deploy_step(priority=40)
    @task_manager.require_exclusive_lock
    def tear_down_agent(self, task: task_manager.TaskManager) -> None:
        """Deploy step: power off, unless the agent starts the system.

        It does so only where an operator asks for that.
        """
        if not kexec.hand_over(task):
            super().tear_down_agent(task)

    @METRICS.timer('ImageDeploy.boot_instance')
    @base.deploy_step(priority=20)
    @task_manager.require_exclusive_lock
    def boot_instance(self, task: task_manager.TaskManager) -> None:
        """Deploy step: power on, unless the system runs already."""
        if not kexec.has_started(task.node):
            super().boot_instance(task)

    def configure_local_boot(self, task: task_manager.TaskManager,
                             **partitions: str | None) -> None:
        """Called after write_image: boot loader and boot device.

        The boot loader of a partition image is there already when our agent
        side wrote it, and so is that of an image of a whole disk on a
        software RAID. Otherwise it is ironic-python-agent's to install it.

        :raises InstanceDeployFailure: when it is not installed.
        """
        if order.boot_loader_is_there(task):
            agent.set_boot_to_disk(
                task, boot_mode_utils.get_boot_mode(task.node))
        else:
            super().configure_local_boot(task, **partitions)

    @METRICS.timer('ImageDeploy.heartbeat')
    def heartbeat(self, task: task_manager.TaskManager, *args: typing.Any,
                  **kwargs: typing.Any) -> None:
        """Called at each heartbeat: no agent holds it up."""
        client.bounded(task)
        super().heartbeat(task, *args, **kwargs)
        if task.node.provision_state == states.DEPLOYFAIL:
            # Ironic does not call clean_up() then.
            serving.withdraw(task.node)

    def execute_deploy_step(self, task: task_manager.TaskManager,
                            step: dict[str, typing.Any]) -> typing.Any:
        """Called for each step, with the bounds of a heartbeat."""
        client.bounded(task)
        if step['step'] == names.STEP:
            tracker.introduce(task)
        moments.before_step(task.node, step)
        outcome = super().execute_deploy_step(task, step)
        moments.after_step(task.node, step)
        return outcome

    def execute_clean_step(self, task: task_manager.TaskManager,
                           step: dict[str, typing.Any]) -> typing.Any:
        """Called for each step, with the bounds of a heartbeat."""
        client.bounded(task)
        return super().execute_clean_step(task, step)

    def execute_service_step(self, task: task_manager.TaskManager,
                             step: dict[str, typing.Any]) -> typing.Any:
        """Called for each step, with the bounds of a heartbeat."""
        client.bounded(task)
        return super().execute_service_step(task, step)

    def process_next_step(self, task: task_manager.TaskManager,
                          step_type: str, **kwargs: typing.Any) -> None:
        """Called at each heartbeat: keep what the agent tells, go on."""
        if step_type == 'deploy':
            try:
                answers.keep(task)
            except client.Unbounded as error:
                # Such an agent is not asked for its logs either.
                deploy_utils.set_failed_state(
                    task, f'Failed to process the next deploy step: {error}',
                    collect_logs=False)
                return
        super().process_next_step(task, step_type, **kwargs)
