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

"""Metadata of images in Glance."""

import typing

from keystoneauth1 import exceptions as keystone_exceptions
from openstack import exceptions as sdk_exceptions

from ironic.common import exception
from ironic.common.glance_service import service_utils
from ironic.common import image_service
from ironic.conf import CONF
from ironic import objects

from ironic_imagedeploy.conductor import checksums
from ironic_imagedeploy.conductor import images
from ironic_imagedeploy.conductor import refusals
from ironic_imagedeploy import engine

_ARCHITECTURES = ('hw_architecture', 'architecture')
#: Properties about how the system in an image starts.
START_FINDINGS = ('imagedeploy_start_findings',
                  'imagedeploy_start_findings_raised',
                  'imagedeploy_start_findings_muted')


class ImageService(image_service.GlanceImageService):
    """Ironic's client of Glance, which waits for no answer for ever."""

    def call(self, method: str, *args: typing.Any, **options: typing.Any
             ) -> typing.Any:
        """Call a method of the client.

        :raises GlanceConnectionFailed: also when the answer does not end.
        """
        engine.limit_service(self.client, CONF.webserver_connection_timeout)
        return super().call(method, *args, **options)


def declared(service: image_service.GlanceImageService, node: objects.Node,
             href: str, role: str = images.DISK) -> images.DeclaredImage:
    """Metadata of an image, by one request to Glance.

    :raises InvalidParameterValue: when Glance does not answer, or has no
        usable checksum.
    """
    record = _show(service, href, role)
    properties = record['properties']
    # Ironic asks openstacksdk for os_hash_algo, which calls it hash_algo;
    # the value ends up among the properties.
    algorithm, value = (
        record.get(f'os_{name}') or properties.get(name)
        for name in ('hash_algo', 'hash_value'))
    return images.DeclaredImage(
        disk_format=record['disk_format'],
        checksum=checksums.declared(
            node, href, algorithm=algorithm, value=value,
            other=record['checksum'],
            role=None if role == images.DISK else role),
        size=record.get('size'),
        public=record.get('visibility') == 'public',
        container_format=record.get('container_format'),
        min_disk=int(record.get('min_disk') or 0),
        architectures={name: properties[name] for name in _ARCHITECTURES
                       if properties.get(name)},
        firmware_type=properties.get('hw_firmware_type'),
        boot_files={role: properties[f'{role}_id']
                    for role in images.BOOT_FILES
                    if properties.get(f'{role}_id')},
        start_findings={name: properties[name] for name in START_FINDINGS
                        if properties.get(name) is not None},
        instance_info={
            'image_checksum': record['checksum'],
            'image_os_hash_algo': algorithm,
            'image_os_hash_value': value,
            'image_container_format': record.get('container_format'),
            'image_tags': record.get('tags', []),
            'image_properties': properties})


def _show(service: image_service.GlanceImageService, href: str, role: str
          ) -> dict[str, typing.Any]:
    identifier = service_utils.parse_image_id(href)
    name = images.named(f'glance:{identifier}', role)
    try:
        return service.show(href)
    except (exception.ImageNotFound, exception.ImageUnacceptable) as error:
        raise refusals.refused(
            'image-not-found', name, message='Glance has no such image.',
            expected='an active image of that UUID',
            found=str(error).rstrip('.'),
            fix=f'openstack image show {identifier}. If it is there, Ironic '
                'is not allowed to use it: openstack image set --community '
                f'{identifier}') from None
    except (exception.IronicException, keystone_exceptions.ClientException,
            sdk_exceptions.SDKException) as error:
        raise refusals.refused(
            'image-unreadable', name,
            message='Glance does not tell about the image.',
            expected='its metadata', found=str(error).rstrip('.'),
            fix='Check the options of [glance], and whether openstack image '
                f'show {identifier} works.') from None
