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

"""A conductor with a database, a web server and a Glance to talk to."""

import functools
import hashlib
import http.server
import json
import pathlib
import shutil
import tempfile
import threading
import typing
from unittest import mock

import fixtures
from futurist import periodics

from ironic.common.glance_service import (
    image_service as glance_image_service)
from ironic.common.glance_service import service_utils
from ironic.common import keystone
from ironic.common import states
from ironic.conductor import task_manager
from ironic.conf import CONF
from ironic.drivers import generic
from ironic.drivers.modules import deploy_utils
from ironic import objects
from ironic.tests.unit.conductor import mgr_utils
from ironic.tests.unit.db import base
from ironic.tests.unit.objects import utils as objects_utils
from ironic.tests.unit import policy_fixture

from ironic_imagedeploy.conductor.cache import access
from ironic_imagedeploy.conf import opts
from ironic_imagedeploy import engine
from ironic_imagedeploy.engine.sources import mirrors
from tests.support import images
from tests.support import loggers
from tests.support import web

MIB = 1 << 20
IMAGE_ID = '1be26c0b-03f2-4d2e-ae87-c02d7f33c781'


class Glance(web.Server):
    """As much of the image API as the conductor uses."""

    def __init__(self, directory: pathlib.Path) -> None:
        super().__init__(directory)
        self.endpoint = self.url('versions')
        (directory / 'versions').write_text(json.dumps({'versions': [{
            'id': 'v2.9', 'status': 'CURRENT',
            'links': [{'rel': 'self', 'href': self.url('v2/')}]}]}))

    def register(self, path: pathlib.Path, **metadata: typing.Any) -> None:
        """Have an image active in the store.

        :param path: the file, which the API names ``file``.
        :param metadata: instead of what is right.
        """
        content = path.read_bytes()
        (self.directory / 'file').write_bytes(content)
        (self.directory / IMAGE_ID).write_text(json.dumps({
            'id': IMAGE_ID, 'name': 'test', 'status': 'active',
            'visibility': 'public', 'size': len(content), 'min_disk': 0,
            'disk_format': 'qcow2', 'container_format': 'bare',
            'checksum': hashlib.md5(content).hexdigest(),
            'os_hash_algo': 'sha512',
            'os_hash_value': hashlib.sha512(content).hexdigest(),
            'file': f'/v2/images/{IMAGE_ID}/file', 'tags': ['deployed'],
            'schema': '/v2/schemas/image', **metadata}))


class ConductorTestCase(mgr_utils.ServiceSetUpMixin, base.DbTestCase):
    """One node that is to be deployed with the interface imagedeploy."""

    block_execute = False

    def setUp(self) -> None:
        # Policies are the API's, and copying them all takes longer than to set
        # up the database.
        with mock.patch.object(policy_fixture, 'PolicyFixture',
                               fixtures.Fixture):
            super().setUp()
        loggers.enable()
        self.enterContext(mock.patch.object(mirrors, '_PAUSE', 0))
        self.directory = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.directory)
        self.addCleanup(setattr, generic.GenericHardware,
                        'supported_deploy_interfaces',
                        generic.GenericHardware.supported_deploy_interfaces)
        opts.register_opts(self.cfg_fixture.conf)
        self.config(enabled_deploy_interfaces=['direct', 'imagedeploy'],
                    default_deploy_interface=None,
                    enabled_hardware_types=['fake-hardware'],
                    tempdir=str(self.directory))
        self._set_up_servers()
        guest, self.image = images.bootable(4 * MIB, seed=1)
        self.guest = self.directory / 'guest'
        self.guest.write_bytes(guest)
        self.qcow2 = self.web / 'disk.qcow2'
        self.qcow2.write_bytes(self.image)
        self.node = objects_utils.create_test_node(
            self.context, driver='fake-hardware',
            deploy_interface='imagedeploy', network_interface='noop',
            provision_state=states.AVAILABLE,
            power_state=states.POWER_OFF,
            properties={'cpu_arch': 'x86_64',
                        'capabilities': 'boot_mode:bios'},
            driver_internal_info={}, instance_info={})

    def start_conductor(self) -> None:
        """Let the conductor register itself, without its periodic tasks.

        They would share the one connection of SQLite with the test.
        """
        self.service.prepare_host()
        self.addCleanup(self.service.del_host)
        with mock.patch.object(periodics, 'PeriodicWorker', autospec=True):
            self.service.init_host(start_consoles=False,
                                   start_allocations=False)

    def _set_up_servers(self) -> None:
        self.web = self.directory / 'web'
        self.web.mkdir()
        self.server = web.Server(self.web)
        self.addCleanup(self.server.stop)
        (self.directory / 'glance').mkdir()
        self.glance = Glance(self.directory / 'glance')
        self.addCleanup(self.glance.stop)
        # Ironic keeps its sessions in these modules.
        for module, name in ((glance_image_service, '_GLANCE_SESSION'),
                             (service_utils, '_GLANCE_SESSION'),
                             (deploy_utils, '_IRONIC_SESSION')):
            setattr(module, name, None)
            self.addCleanup(setattr, module, name, None)
        keystone.register_auth_opts(self.cfg_fixture.conf, 'glance', 'image')
        self.config(auth_type='none', endpoint_override=self.glance.endpoint,
                    group='glance')
        keystone.register_auth_opts(self.cfg_fixture.conf, 'service_catalog',
                                    'baremetal')
        self.config(auth_type='none', endpoint_override='http://127.0.0.1:1',
                    group='service_catalog')
        self.http = self.directory / 'http'
        self.http.mkdir()
        self.http_url = self._serve(self.http)
        self.config(http_root=str(self.http), http_url=self.http_url,
                    default_boot_mode='bios', group='deploy')
        self.config(images_path=str(self.directory / 'images'),
                    instance_master_path=str(self.directory / 'master'),
                    group='pxe')

    def _serve(self, directory: pathlib.Path) -> str:
        """The URL of a web server as conductors have one."""
        server = http.server.ThreadingHTTPServer(
            ('127.0.0.1', 0), functools.partial(
                _Quiet, directory=str(directory)))
        threading.Thread(target=server.serve_forever, args=(0.01,),
                         daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return f'http://127.0.0.1:{server.server_port}'

    def use(self, source: str | None = None, **info: typing.Any) -> None:
        """Give the node an image, by default that of the web server."""
        if source is None:
            source = self.server.url('disk.qcow2')
        digest = hashlib.sha256(self.image).hexdigest()
        stated: dict[str, typing.Any] = {
            'image_source': source, 'image_os_hash_algo': 'sha256',
            'image_os_hash_value': digest, 'image_disk_format': 'qcow2'}
        if source == IMAGE_ID:
            stated = {'image_source': source}
        self.node.instance_info = {**stated, **info}
        self.node.driver_internal_info = {'is_whole_disk_image': True}
        self.node.save()

    def task(self, shared: bool = True) -> task_manager.TaskManager:
        """A task for the node."""
        return task_manager.acquire(self.context, self.node.uuid,
                                    shared=shared)

    def expect_quick_servers(self) -> None:
        """Let a look at a web server end after a second."""
        self.give_each_request(1)
        self.enterContext(mock.patch.object(access, 'REQUESTS', 1))
        self.enterContext(mock.patch.object(engine, 'LOOK_TIMEOUT', 1))

    def give_each_request(self, seconds: int) -> None:
        """Set Ironic's option, where this release of it has one."""
        if hasattr(CONF, 'webserver_verify_timeout'):
            self.config(webserver_verify_timeout=seconds)

    def transferred(self, server: web.Server) -> list[int]:
        """The bytes of images that a server sends from now on."""
        sent: list[int] = []
        answer = server.answer

        def count(exchange: web.Exchange) -> None:
            if exchange.file.name in (IMAGE_ID, 'versions'):
                answer(exchange)
                return
            with mock.patch.object(exchange, 'wfile',
                                   _Counted(exchange.wfile, sent)):
                answer(exchange)

        server.answer = count
        return sent

    def refreshed(self) -> objects.Node:
        """The node as the database has it."""
        self.node.refresh()
        return self.node


class _Counted:
    """The file that an answer is written to."""

    def __init__(self, file: typing.Any, sent: list[int]) -> None:
        self._file = file
        self._sent = sent

    def write(self, content: bytes) -> int:
        """Send it, and count it."""
        self._sent.append(len(content))
        return self._file.write(content)

    def __getattr__(self, name: str) -> typing.Any:
        return getattr(self._file, name)


class _Quiet(http.server.SimpleHTTPRequestHandler):

    def log_message(self, format: str, *args: typing.Any) -> None:
        """Say nothing."""
