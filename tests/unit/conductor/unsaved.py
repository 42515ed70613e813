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

"""Nodes and images of Ironic that no database knows."""

import typing
from unittest import mock

from ironic.common import context
from ironic.common import image_service
from ironic import objects

from ironic_imagedeploy.conductor import images

NODE_ID = '0b8d4c7e-5f0a-4b3c-9f43-0d1c2f4ad3c1'
IMAGE_ID = '1be26c0b-03f2-4d2e-ae87-c02d7f33c781'


def node(**fields: typing.Any) -> objects.Node:
    """A node of these fields, which are dictionaries mostly."""
    return objects.Node(context.get_admin_context(), **{
        'uuid': NODE_ID, 'deploy_interface': 'imagedeploy',
        'boot_interface': 'pxe', 'properties': {}, 'instance_info': {},
        'driver_info': {}, 'driver_internal_info': {}, **fields})


def image(href: str = IMAGE_ID, node: objects.Node | None = None,
          declared: typing.Mapping[str, typing.Any] = {},
          **fields: typing.Any) -> images.InstanceImage:
    """An image on its way to a node, by default one of Glance.

    :param declared: fields of what is declared of it.
    """
    service = None if '://' in href else mock.create_autospec(
        image_service.GlanceImageService, instance=True)
    return images.InstanceImage(**{
        'node': node or globals()['node'](), 'href': href, 'glance': service,
        'declared': images.DeclaredImage(**declared), **fields})
