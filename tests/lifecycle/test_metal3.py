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

"""Hosts of Metal3, of which nobody names the interface."""

import dataclasses
import hashlib
import time

from tests.lifecycle import base
from tests.support import commands
from tests.support import metal3
from tests.support.simulation import agent
from tests.support.simulation import image

_MIB = 1 << 20
#: What its ironic.conf enables, and imagedeploy.
_ENABLED = """\
[DEFAULT]
enabled_deploy_interfaces = autodetect,direct,ramdisk,custom-agent,bootc,\
imagedeploy
enabled_inspect_interfaces = no-inspect,agent
"""
_DEFAULT = _ENABLED + 'default_deploy_interface = imagedeploy\n'
_AUTODETECT = _ENABLED + """\
default_deploy_interface = autodetect
autodetect_deploy_interfaces = ramdisk,bootc,imagedeploy,direct
"""


class HostTestCase(base.LifeCycleTestCase):
    """Both conductors have the options of Metal3.

    :cvar options: in ironic.conf.
    """

    options: str

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        site = base.cloud().site
        cls.operator = metal3.Operator(site.url)
        cls.web = f'http://{site.address}:8080'
        folder = site.state / 'http'
        path = image.make(folder / 'debian.qcow2', 16 * _MIB, 4 * _MIB)
        cls.sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        (folder / 'SHA256SUMS').write_text(f'{cls.sha256}  {path.name}\n')
        (folder / 'live.iso').write_bytes(b'nobody boots this')
        cls.addClassCleanup(cls.configure, '')
        cls.configure(cls.options)

    @classmethod
    def configure(cls, text: str) -> None:
        """Start the conductors anew, with these options."""
        site = base.cloud().site
        for conductor in site.conductors:
            conductor.configure(text)
        commands.wait_for(
            'return of the conductors',
            lambda: len(site.alive()) == len(site.conductors), timeout=60)
        for conductor in site.conductors:
            conductor.wait_until_ready()

    def setUp(self) -> None:
        super().setUp()
        self.host = metal3.Host(
            name=self.id().rsplit('.', 1)[1].replace('_', '-'),
            mac='52:54:' + ':'.join(
                hashlib.sha256(self.id().encode()).hexdigest()[at:at + 2]
                for at in range(0, 8, 2)),
            boot_mode='legacy', access={
                'driver': 'manual-management', 'power_interface': 'fake',
                'driver_info': {'deploy_forces_oob_reboot': True}})
        self.uuid = self.operator.register(self.host)
        self.subject = base.Subject('imagedeploy', agent.Behaviour(),
                                    self.uuid)
        self.addCleanup(base.remove, self.subject)

    def spec(self, **changes: str) -> metal3.Spec:
        """A host with the image."""
        return metal3.Spec(image={
            'url': f'{self.web}/debian.qcow2', 'checksum': self.sha256,
            'checksumType': 'sha256', 'format': 'qcow2', **changes},
            user_data='#cloud-config\n')

    def begin(self, spec: metal3.Spec) -> None:
        """Ask for what the operator asks for."""
        self.operator.begin(self.uuid, self.host, spec)

    def provision(self, spec: metal3.Spec) -> None:
        """Deploy, to the end."""
        self.begin(spec)
        found = self.operator.wait(self.uuid, 'active', 'deploy failed')
        self.assertEqual('active', found['provision_state'],
                         found['last_error'])
        self.assertEqual([], self.subject.machine.errors)

    def assert_written(self, times: int = 1) -> None:
        """By our agent side, as it was asked for."""
        writes = self.subject.machine.writes
        self.assertEqual([(True, True, f'sha256:{self.sha256}')] * times, [
            (write.ours, write.verified, write.checksum)
            for write in writes])
        node = self.operator.node(self.uuid)
        self.assertTrue(node['driver_internal_info']['imagedeploy'][
            'report']['checksum']['verified'])
        self.assertEqual(self.host.uid, node['instance_uuid'])
        # It hides what is in there.
        self.assertIn('configdrive', node['instance_info'])


class DefaultInterfaceTest(HostTestCase):
    """Of an Ironic with default_deploy_interface = imagedeploy."""

    options = _DEFAULT

    def interface(self) -> str:
        """The one of the node."""
        name: str = self.operator.node(self.uuid)['deploy_interface']
        return name

    def test_provision_and_deprovision(self) -> None:
        self.assertEqual('imagedeploy', self.interface())
        self.provision(self.spec())
        self.assert_written()
        self.operator.deprovision(self.uuid)
        self.provision(self.spec())
        self.assert_written(2)

    def test_checksums(self) -> None:
        listed = f'{self.web}/SHA256SUMS'
        for times, changes in enumerate((
                {'checksum': listed},
                {'checksum': listed, 'checksumType': ''},
                {'checksumType': 'auto'}), 1):
            with self.subTest(changes):
                self.provision(self.spec(**changes))
                self.assert_written(times)
                self.operator.deprovision(self.uuid)

    def test_image_that_is_refused(self) -> None:
        with self.assertRaisesRegex(metal3.ValidationError,
                                    'format-mismatch'):
            self.begin(self.spec(format='raw'))
        self.assertEqual('available', self.operator.node(self.uuid)[
            'provision_state'])
        self.assertEqual(0, self.subject.machine.boots)
        self.provision(self.spec())
        self.assert_written()

    def test_another_image_after_a_failure(self) -> None:
        self.subject.machine.held = True
        self.begin(self.spec())
        self.subject.wait_for_write()
        self.subject.machine.silent = True
        self.operator.wait(self.uuid, 'deploy failed')
        machine = self.subject.machine
        machine.power_off()
        machine.held = machine.silent = False
        self.provision(self.spec(url=f'{self.web}/debian.qcow2?again'))
        self.assert_written(2)

    def test_live_iso_and_back(self) -> None:
        self.provision(metal3.Spec(image={
            'url': f'{self.web}/live.iso', 'format': 'live-iso'}))
        self.assertEqual('ramdisk', self.interface())
        self.assertEqual([], self.subject.machine.writes)
        self.operator.deprovision(self.uuid)
        self.provision(self.spec())
        self.assertEqual('imagedeploy', self.interface())
        self.assert_written()

    def test_host_that_is_deleted_by_force(self) -> None:
        self.subject.machine.held = True
        self.begin(self.spec())
        self.subject.wait_for_write()
        self.operator.abort(self.uuid)
        found = self.operator.wait(self.uuid, 'deploy failed')
        self.assertIn('aborted', found['last_error'])
        self.assertEqual('power off', found['power_state'])
        self.subject.wait_for_end()

    def test_custom_deploy(self) -> None:
        self.provision(self.by_step())
        self.assertEqual('custom-agent', self.interface())
        self.assert_streamed()

    def test_custom_deploy_that_is_undone_while_it_writes(self) -> None:
        machine = self.subject.machine
        machine.held = True
        self.begin(self.by_step())
        self.subject.wait_for_write()
        began = time.monotonic()
        self.operator.deprovision(self.uuid)
        self.assertLess(time.monotonic() - began, 30)
        self.subject.wait_for_end()
        self.assertEqual('power off', self.operator.node(self.uuid)[
            'power_state'])
        machine.held = False
        self.provision(self.by_step())
        self.assert_streamed(2)

    def by_step(self) -> metal3.Spec:
        """A host with the image and ``customDeploy``."""
        return dataclasses.replace(self.spec(), method='stream_image')

    def assert_streamed(self, times: int = 1) -> None:
        """By our agent side alone."""
        self.assertEqual([(True, True, f'sha256:{self.sha256}')] * times, [
            (write.ours, write.verified, write.checksum)
            for write in self.subject.machine.writes])
        self.assertNotIn('imagedeploy', self.operator.node(self.uuid)[
            'driver_internal_info'])


class AutodetectTest(HostTestCase):
    """Of an Ironic with autodetect, as Metal3 and Ironic have it."""

    options = _AUTODETECT

    def test_provision_and_deprovision(self) -> None:
        for times in (1, 2):
            self.assertEqual('autodetect', self.operator.node(self.uuid)[
                'deploy_interface'])
            self.provision(self.spec())
            self.assert_written(times)
            self.assertEqual('imagedeploy', self.operator.node(self.uuid)[
                'deploy_interface'])
            self.operator.deprovision(self.uuid)
