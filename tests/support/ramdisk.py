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

"""The agent as in a ramdisk, on a disk that is a file."""

import hashlib
import pathlib
import shutil
import subprocess
import tempfile
import typing
from unittest import mock

import fixtures
from oslo_config import cfg
from oslo_config import fixture
from oslotest import base as oslotest_base

from ironic_python_agent import disk_utils
from ironic_python_agent.extensions import base
from ironic_python_agent.extensions import standby
from ironic_python_agent import hardware

from ironic_imagedeploy.agent import manager
from tests.support import images
from tests.support import web

MIB = 1 << 20
DISK_SIZE = 16 * MIB
OLD = b'\xa5'
NODE_ID = '6f0d3c25-5f35-4b1c-9b93-6a3c53c6b7de'


class Process(subprocess.Popen):
    """A process that does not begin as a copy of this one.

    oslo.concurrency asks for a copy only to have SIGPIPE reset in there, which
    subprocess does by itself. To copy a large process takes ten times as long
    as most commands.
    """

    def __init__(self, *arguments: typing.Any, preexec_fn: typing.Any = None,
                 **how: typing.Any) -> None:
        if getattr(preexec_fn, 'args', None) == (None,):
            preexec_fn = None
        super().__init__(*arguments, preexec_fn=preexec_fn, **how)


class Agent(base.ExecuteCommandMixin):
    """What executes commands in ironic-python-agent."""

    def __init__(self) -> None:
        super().__init__()
        self.force_heartbeat = mock.Mock(spec=())
        self.ext_mgr = base.init_ext_manager(self)


class Machine(hardware.GenericHardwareManager):
    """The stock hardware manager on a machine with one disk."""

    def __init__(self, disk: str | pathlib.Path) -> None:
        super().__init__()
        self.architecture = 'x86_64'
        self.waited_for_disks = 0
        self.refreshed = False
        self.written: list[dict[str, typing.Any]] = []
        self._disk = disk

    def set_disk(self, disk: str) -> None:
        """Let another one be the machine's disk."""
        self._disk = disk

    def get_os_install_device(self, permit_refresh: bool = False) -> str:
        self.refreshed |= permit_refresh
        return str(self._disk)

    def get_cpus(self) -> hardware.CPU:
        return hardware.CPU('test', 1, 1, self.architecture)

    def wait_for_disks(self) -> None:
        self.waited_for_disks += 1

    def write_image(self, node: dict[str, typing.Any], ports: typing.Any,
                    image_info: dict[str, typing.Any],
                    configdrive: str | None = None) -> str:
        self.written.append(image_info)
        return 'written by the stock manager'


class AgentTestCase(oslotest_base.BaseTestCase):
    """A ramdisk with our hardware manager beside the stock one."""

    def setUp(self) -> None:
        super().setUp()
        self.patched(subprocess, 'Popen', Process)
        self.directory = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.directory)
        self.conf = self.useFixture(fixture.Config(cfg.CONF))
        self.log = self.useFixture(fixtures.FakeLogger())
        self.server = web.Server(self.directory)
        self.addCleanup(self.server.stop)
        self.disk = self.directory / 'disk'
        self.disk.write_bytes(OLD * DISK_SIZE)
        guest, image = images.bootable(8 * MIB, seed=2)
        self.guest = self.directory / 'guest'
        self.guest.write_bytes(guest)
        self.image = self.directory / 'disk.qcow2'
        self.image.write_bytes(image)
        self._set_up_agent()
        self.node = {
            'uuid': NODE_ID, 'deploy_interface': 'imagedeploy',
            'instance_info': {}, 'driver_internal_info': {},
            'properties': {'capabilities': 'boot_mode:bios'}}

    def _set_up_agent(self) -> None:
        self.patched(base, '_EXT_MANAGER', None)
        self.patched(hardware, 'NODE', None)
        self.agent = Agent()
        self.standby: standby.StandbyExtension = base.get_extension('standby')
        self.machine = Machine(self.disk)
        ours = manager.ImageDeployHardwareManager()
        self.patched(hardware, '_global_managers', [
            {'name': type(each).__name__, 'manager': each,
             'support': each.evaluate_hardware_support()}
            for each in (ours, self.machine)])
        self._replace_disk_tools()

    def _replace_disk_tools(self) -> None:
        # These look for the kernel's view of a disk; a file has none.
        self.rescanned = self.patched(disk_utils, 'trigger_device_rescan')
        self.validated = self.patched(standby, '_validate_partitioning')

    def patched(self, owner: typing.Any, name: str, *new: typing.Any
                ) -> typing.Any:
        """Replace an attribute for the test."""
        patcher = mock.patch.object(owner, name, *new,
                                    **({} if new else {'autospec': True}))
        self.addCleanup(patcher.stop)
        return patcher.start()

    def image_info(self, **info: typing.Any) -> dict[str, typing.Any]:
        """What Ironic tells about the image, or else."""
        digest = hashlib.sha512(self.image.read_bytes()).hexdigest()
        return {'id': 'the-image', 'urls': [self.server.url('disk.qcow2')],
                'disk_format': 'qcow2', 'container_format': 'bare',
                'image_type': 'whole-disk', 'node_uuid': NODE_ID,
                'os_hash_algo': 'sha512', 'os_hash_value': digest,
                'stream_raw_images': True, **info}

    def write_image(self, configdrive: str | None = None,
                    **info: typing.Any) -> dict[str, typing.Any]:
        """Let Ironic execute the deploy step: the command as it ended."""
        command = self.agent.execute_command(
            'deploy.execute_deploy_step', ports=[], node=self.node, step={
                'interface': 'deploy', 'step': 'write_image', 'args': {
                    'image_info': self.image_info(**info),
                    'configdrive': configdrive}})
        return command.join().serialize()

    def written(self, **info: typing.Any) -> dict[str, typing.Any]:
        """Write an image, and it succeeds: what the step gave."""
        command = self.write_image(**info)
        self.assertEqual('SUCCEEDED', command['command_status'],
                         command['command_error'])
        return command['command_result']['deploy_result']

    def failed(self, **info: typing.Any) -> str:
        """Write an image, and it fails: the details of the error."""
        command = self.write_image(**info)
        self.assertEqual('FAILED', command['command_status'])
        self.assertIsNone(self.standby.cached_image_id)
        return command['command_error'].serialize()['details']

    def assert_written(self) -> None:
        """The disk holds the image."""
        disk, guest = self.disk.read_bytes(), self.guest.read_bytes()
        self.assertTrue(disk.startswith(guest), 'the disk differs')

    def assert_untouched(self) -> None:
        """The disk is what it was."""
        self.assertEqual(DISK_SIZE, self.disk.read_bytes().count(OLD))

    def assert_boots_nothing(self) -> None:
        """Both ends of the disk are zero."""
        disk = self.disk.read_bytes()
        self.assertFalse(any(disk[:MIB]) or any(disk[-MIB:]))
