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

"""A real Glance on a loopback address of its own."""

import json
import os
import pathlib
import shutil
import typing
from unittest import mock

import requests

from tests.functional import base
from tests.support import disks
from tests.support import images
from tests.support import services

MIB = base.MIB
SIZE = 16 * MIB
CLOUD = 'test'
PARTS = ('start=2048, size=8192, type=uefi, name="EFI system"\n'
         'size=20480, type=linux, name="root"\n')
#: Glance keeps a rule that is no longer in the file.
_DELETION = '\n"delete_image": "{}"\n'


class GlanceTestCase(base.FunctionalTestCase):
    """A cloud with Glance, and a disk that UEFI and BIOS could start."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        if os.geteuid() != 0:
            return
        cls.shared = disks.make_directory()
        cls.addClassCleanup(shutil.rmtree, cls.shared)
        number = os.getpid()
        cls.address = f'127.77.{number >> 8 & 255}.{number & 255 or 1}'
        running = services.Services(cls.shared, cls.address)
        cls.addClassCleanup(running.stop)
        running.start_glance()
        (cls.shared / 'clouds.yaml').write_text(
            f'clouds:\n  {CLOUD}:\n    auth_type: none\n'
            f'    image_endpoint_override: {cls.url()}\n')
        cls.guest = images.make_guest(cls.shared / 'guest', SIZE, seed=21)
        images.partition(cls.guest, 'gpt', PARTS)
        images.fill_esp(cls.guest, start=MIB, size=4 * MIB)
        cls.image = images.convert(cls.guest, cls.shared / 'disk.qcow2',
                                   compress=True)

    def setUp(self) -> None:
        super().setUp()
        self.enterContext(mock.patch.dict(os.environ, {
            'OS_CLIENT_CONFIG_FILE': str(self.shared / 'clouds.yaml'),
            'OS_CLOUD': CLOUD}))
        self.addCleanup(self.empty)

    @classmethod
    def url(cls) -> str:
        """Where Glance is."""
        return f'http://{cls.address}:{services.GLANCE_PORT}'

    def records(self) -> dict[str, dict[str, typing.Any]]:
        """Records of all images, by name."""
        answer = requests.get(f'{self.url()}/v2/images', timeout=30)
        return {record['name']: record
                for record in answer.json()['images']}

    def record(self, identifier: str) -> dict[str, typing.Any]:
        """The record of an image."""
        answer = requests.get(f'{self.url()}/v2/images/{identifier}',
                              timeout=30)
        answer.raise_for_status()
        return answer.json()

    def content(self, identifier: str) -> bytes:
        """The bytes of an image."""
        answer = requests.get(f'{self.url()}/v2/images/{identifier}/file',
                              timeout=60)
        answer.raise_for_status()
        return answer.content

    def put(self, path: pathlib.Path, **values: typing.Any) -> str:
        """An image with whatever metadata, as somebody else uploaded it."""
        created = requests.post(
            f'{self.url()}/v2/images', timeout=30,
            json={'name': path.name, 'container_format': 'bare', **values})
        created.raise_for_status()
        identifier: str = created.json()['id']
        requests.put(
            f'{self.url()}/v2/images/{identifier}/file', timeout=60,
            data=path.read_bytes(), headers={
                'Content-Type': 'application/octet-stream'}
        ).raise_for_status()
        return identifier

    def deny_deletion(self) -> None:
        """Let nobody delete an image, until the end of the test."""
        policy = self.shared / 'glance/policy.yaml'
        before = policy.read_text()
        policy.write_text(before + _DELETION.format('!'))
        self.addCleanup(policy.write_text, before + _DELETION.format('@'))

    def empty(self) -> None:
        """Delete all images."""
        for record in self.records().values():
            requests.delete(f'{self.url()}/v2/images/{record["id"]}',
                            timeout=30).raise_for_status()

    def upload(self, *arguments: typing.Any) -> dict[str, typing.Any]:
        """What an upload that succeeds prints."""
        outcome = self.invoke('upload', *arguments, '--json')
        self.assert_status(0, outcome)
        result: dict[str, typing.Any] = json.loads(outcome.stdout)
        return result
