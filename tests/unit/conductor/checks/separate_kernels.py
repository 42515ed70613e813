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

import hashlib
import json

import requests

from ironic.common import exception

from ironic_imagedeploy.conductor.checks import acceptance
from ironic_imagedeploy.conductor import serving
from tests.support import boot_files
from tests.unit.conductor import base
from tests.unit.conductor import partition_images

IDS = {'kernel': '2c1f4f0a-5f43-49e3-8d36-8ba0b5a7b0c1',
       'ramdisk': '7d0f9c57-2a53-4f8e-bb2c-4e6a1b0c4d72'}
CONTENT = {'kernel': boot_files.bzimage(), 'ramdisk': boot_files.initramfs()}
OWN = ('boot/vmlinuz-6.1', 'usr/sbin/grub-install')
NONE = ('sbin/init', 'etc/hostname')


class KernelTestCase(partition_images.PartitionImageTestCase):
    """A node with a partition image, and what is beside that."""

    def setUp(self):
        super().setUp()
        self.config(image_download_source='http', group='agent')
        for role, content in CONTENT.items():
            (self.web / role).write_bytes(content)
        self.glance.answer = self.answer

    def answer(self, exchange):
        """Glance's, which knows the file of each image."""
        if exchange.file.name == 'file':
            content = self.directory / 'glance' / (
                exchange.path.split('/')[-2] + '.data')
            exchange.file = content if content.exists() else exchange.file
        exchange.serve()

    def register(self, role, **metadata):
        """Have a kernel or an initramfs in Glance."""
        content = CONTENT[role]
        folder = self.directory / 'glance'
        (folder / f'{IDS[role]}.data').write_bytes(content)
        (folder / IDS[role]).write_text(json.dumps({
            'id': IDS[role], 'name': role, 'status': 'active',
            'visibility': 'public', 'size': len(content), 'min_disk': 0,
            'disk_format': 'aki', 'container_format': 'aki',
            'checksum': hashlib.md5(content).hexdigest(),
            'os_hash_algo': 'sha512',
            'os_hash_value': hashlib.sha512(content).hexdigest(),
            'file': f'/v2/images/{IDS[role]}/file', 'tags': [],
            'schema': '/v2/schemas/image', **metadata}))

    def beside(self, *files, **info):
        """An image with these files at a URL, and this beside it."""
        self.provide(*files)
        self.state(**info)

    def of_glance(self, *files, **metadata):
        """The same in Glance."""
        self.provide(*files)
        self.glance.register(self.web / 'root.qcow2', **metadata)
        self.node.instance_info = {'image_source': base.IMAGE_ID,
                                   'root_gb': 10}
        self.node.save()

    def by_url(self, *files, algorithm='sha256', **info):
        """The same, with all of it at URLs."""
        self.beside(*files, **{
            role: self.server.url(role) for role in CONTENT}, **{
            f'{role}_checksum': f'{algorithm}:'
            f'{hashlib.new(algorithm, content).hexdigest()}'
            for role, content in CONTENT.items()}, **info)

    def state(self, **info):
        self.node.instance_info = {**self.node.instance_info, **info}
        self.node.save()

    def order(self, **options):
        """What the agent is told about boot files."""
        self.config(group='agent', **options)
        with self.task(shared=False) as task:
            files = serving.provide(task).separate_kernel
            return files and files.to_dict()

    def assert_served(self, order):
        """The conductor has them, as they are and as they must be."""
        for role, content in CONTENT.items():
            url = order[role]['url']
            self.assertEqual(
                f'{self.http_url}/agent_images/{self.node.uuid}-{role}', url)
            self.assertEqual(content, requests.get(url, timeout=60).content)
            algorithm, value = order[role]['checksum'].split(':')
            self.assertEqual(hashlib.new(algorithm, content).hexdigest(),
                             value)

    def refusal(self, *words):
        """What validation says, which has these words in it."""
        with self.task() as task:
            error = self.assertRaises(exception.InvalidParameterValue,
                                      acceptance.check_image, task)
        for word in words:
            self.assertIn(word, str(error))
        return str(error)

    def node_set(self, *options):
        return ' '.join(['openstack baremetal node set', *options,
                         self.node.uuid])
