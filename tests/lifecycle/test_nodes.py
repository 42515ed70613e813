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

"""What may happen to a node, by its user or by itself."""

from tests.lifecycle import base
from tests.support import commands
from tests.support import metal3
from tests.support.simulation import agent

_TIMEOUT = 'Timeout reached while waiting for callback'


class DeploymentTest(base.LifeCycleTestCase):
    """Deployments that go as they should."""

    def test_deploy_rebuild_undeploy(self) -> None:
        pair = self.pair()
        pair.each(base.Subject.deploy)
        self.assert_alike(pair)
        self.assertEqual(
            ['get_deploy_steps', 'execute_deploy_step write_image',
             'get_partition_uuids', 'sync'], pair.ours.machine.asked)
        self.assertTrue(pair.ours.machine.writes[0].verified)
        ours = pair.ours.node()['driver_internal_info']['imagedeploy']
        self.assertTrue(ours['report']['checksum']['verified'])

        def rebuild(subject: base.Subject) -> None:
            subject.order('rebuild', preserve_ephemeral=True)
            subject.settle('active')
        pair.each(rebuild)
        self.assert_alike(pair)
        self.assertEqual(2, len(pair.ours.machine.writes))

        def undeploy(subject: base.Subject) -> None:
            subject.api.provision(subject.uuid, 'deleted')
            subject.settle('available')
        pair.each(undeploy)
        self.assert_alike(pair)
        self.assertEqual({}, pair.ours.node()['instance_info'])

    def test_rebuild_keeps_the_ephemeral_partition(self) -> None:
        pair = self.pair()
        order = {'image_source': base.cloud().partition_image, 'root_gb': 1,
                 'ephemeral_gb': 1}
        pair.each(lambda subject: subject.deploy(**order))

        def rebuild(subject: base.Subject) -> None:
            subject.order('rebuild', preserve_ephemeral=True, **order)
            subject.settle('active')
        pair.each(rebuild)
        for machine in (pair.direct.machine, pair.ours.machine):
            self.assertEqual([], machine.errors)
            self.assertEqual([(True, False), (True, True)], [
                (each.partition, each.preserve_ephemeral)
                for each in machine.writes])
        # The difference is who installs the boot loader.
        self.assertEqual(2, pair.direct.machine.asked.count(
            'install_bootloader'))
        self.assertNotIn('install_bootloader', pair.ours.machine.asked)
        ours, direct = pair.ours.trace(), pair.direct.trace()
        self.assertEqual({**direct, 'asked': None}, {**ours, 'asked': None})

    def test_fast_track(self) -> None:
        pair = self.pair(driver_info={'fast_track': True,
                                      'deploy_forces_oob_reboot': True})

        def deploy(subject: base.Subject) -> None:
            subject.api.power(subject.uuid, 'power on')
            subject.machine.power_on()
            commands.wait_for(
                'first heartbeat', lambda: subject.node()[
                    'driver_internal_info'].get('agent_last_heartbeat'),
                timeout=20, interval=0.2)
            subject.deploy()
        pair.each(deploy)
        self.assert_alike(pair)
        self.assertEqual(1, pair.ours.machine.boots)
        self.assertEqual(1, len(pair.ours.machine.writes))

    def test_boot_from_volume(self) -> None:
        pair = self.pair(
            storage_interface='external', driver_info={}, properties={
                'capabilities': 'boot_mode:bios,iscsi_boot:true'})

        def deploy(subject: base.Subject) -> None:
            subject.api.ironic('POST', 'volume/targets', {
                'node_uuid': subject.uuid, 'volume_type': 'iscsi',
                'boot_index': 0, 'volume_id': 'a volume', 'properties': {
                    'target_iqn': 'iqn.2026-01.test:volume',
                    'target_portal': '127.0.0.1:3260', 'target_lun': 0}})
            subject.api.provision(subject.uuid, 'active')
            subject.settle('active')
        pair.each(deploy)
        self.assert_alike(pair)
        self.assertEqual([], pair.ours.machine.asked)
        self.assertNotIn('imagedeploy',
                         pair.ours.node()['driver_internal_info'])

    def test_ramdisk_without_our_agent_side(self) -> None:
        pair = self.pair(agent.Behaviour(ours=False))
        pair.direct.deploy()
        pair.ours.order()
        pair.ours.settle('deploy failed')
        self.assertIn('does not carry the agent side of imagedeploy',
                      pair.ours.node()['last_error'])
        self.assertEqual([], pair.ours.machine.writes)


class InterruptionTest(base.LifeCycleTestCase):
    """Deployments that are interrupted while the agent writes."""

    def test_abort(self) -> None:
        pair = self.pair()
        operator = metal3.Operator(base.cloud().site.url)

        def abort(subject: base.Subject) -> None:
            subject.write()
            operator.abort(subject.uuid)
            subject.settle('deploy failed')
        pair.each(abort)
        self.assertIn('aborted', pair.ours.node()['last_error'])
        # With direct, nobody tells the agent, which goes on to write.
        direct, ours = pair.direct.trace(), pair.ours.trace()
        self.assertEqual(('power on', 'power off'), (
            direct.pop('power_state'), ours.pop('power_state')))
        self.assertTrue(pair.direct.machine.busy)
        pair.ours.wait_for_end()
        self.assertEqual(direct, ours)

        def again(subject: base.Subject) -> None:
            subject.machine.power_off()
            subject.machine.held = False
            subject.deploy()
        pair.each(again)
        self.assertTrue(pair.ours.machine.writes[-1].verified)

    def test_undeploy(self) -> None:
        pair = self.pair()

        def abort(subject: base.Subject) -> None:
            subject.write()
            subject.api.provision(subject.uuid, 'deleted')
            subject.settle('available')
        pair.each(abort)
        self.assert_alike(pair)

        def again(subject: base.Subject) -> None:
            subject.machine.held = False
            subject.deploy()
        pair.each(again)
        self.assert_alike(pair)

    def test_heartbeat_loss(self) -> None:
        pair = self.pair()

        def lose(subject: base.Subject) -> None:
            subject.write()
            subject.machine.silent = True
            subject.settle('deploy failed')
        pair.each(lose)
        self.assert_alike(pair)
        self.assertIn(_TIMEOUT, pair.ours.node()['last_error'])

    def test_agent_restart(self) -> None:
        pair = self.pair()

        def restart(subject: base.Subject) -> None:
            subject.write()
            subject.machine.restart()
            subject.wait('active', 'deploy failed')
        pair.each(restart)
        # With direct, Ironic takes an agent without commands for one that
        # has done its step, and the disk that it left for a whole one.
        self.assertEqual('active', pair.direct.node()['provision_state'])
        ours = pair.ours.node()
        self.assertEqual('deploy failed', ours['provision_state'])
        self.assertIn('was started again while it wrote',
                      ours['last_error'])
        self.assertNotIn('report',
                         ours['driver_internal_info']['imagedeploy'])

        def again(subject: base.Subject) -> None:
            subject.machine.held = False
            subject.deploy()
        again(pair.ours)
        self.assertTrue(pair.ours.machine.writes[-1].verified)
