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

"""Images as Glance, or the user of a node, declares them."""

from oslo_utils import uuidutils

from ironic.common import exception
from ironic.common.glance_service import service_utils
from ironic.common import image_service
from ironic.conductor import task_manager
from ironic.conf import CONF
from ironic import objects

from ironic_imagedeploy.conductor import checksums
from ironic_imagedeploy.conductor import glance
from ironic_imagedeploy.conductor import images
from ironic_imagedeploy.conductor import node_fields
from ironic_imagedeploy.conductor import refusals
from ironic_imagedeploy.conductor import registry
from ironic_imagedeploy.conf import policy

#: Schemes of the places that images are taken from.
SCHEMES = ('glance', 'http', 'https', 'file', 'oci')
#: Characters of a property that an error shows.
_MOST_SHOWN = 80


def deployable(task: task_manager.TaskManager) -> bool:
    """Whether what is declared of the image lets us write it."""
    node = task.node
    if not node.instance_info.get('image_source') or (
            node.driver_internal_info.get('is_whole_disk_image') is None):
        return False
    try:
        found = image(task)
    except exception.InvalidParameterValue:
        return False
    return (found.scheme in SCHEMES
            and found.disk_format in (
                None, *policy.from_conf(CONF).permitted_formats))


def image(task: task_manager.TaskManager) -> images.InstanceImage:
    """Image of a node, as Glance declares it, else the user of the node.

    :raises InvalidParameterValue: when Glance does not answer, or the
        checksum or a field of the node is not usable.
    """
    node, info = task.node, task.node.instance_info
    node_fields.check(node)
    href = info['image_source']
    service = blob = None
    if service_utils.is_glance_image(href):
        service = glance.ImageService(context=task.context)
        declared = glance.declared(service, node, href)
    elif image_service.is_container_registry_url(href):
        declared, blob = registry.declared(node, href)
    else:
        declared = _in_instance_info(node, href)
    return images.InstanceImage(
        node=node, href=href, glance=service, declared=declared,
        registry=blob,
        partition=(node.driver_internal_info.get('is_whole_disk_image')
                   is False),
        has_kernel=any(info.get(role) or role in declared.boot_files
                       for role in images.BOOT_FILES))


def boot_file(task: task_manager.TaskManager, role: str, href: str, *,
              of: images.InstanceImage | None) -> images.InstanceImage:
    """Kernel or initramfs that comes separately from an image.

    :param of: the image, when its properties in Glance name this file.
    :raises InvalidParameterValue: when Glance does not answer, the checksum
        is missing or not usable, or a property names a file elsewhere.
    """
    node, service = task.node, None
    if of:
        _check_property(of, role, href)
    if service_utils.is_glance_image(href):
        service = glance.ImageService(context=task.context)
        declared = glance.declared(service, node, href, role)
    else:
        checksums.check_boot_file(node, role, href)
        declared = images.DeclaredImage(checksum=checksums.declared(
            node, href, algorithm=None, value=None, role=role,
            other=node.instance_info.get(f'{role}_checksum')))
    return images.InstanceImage(node=node, href=href, glance=service,
                                declared=declared, role=role, of=of)


def _check_property(image: images.InstanceImage, role: str, href: str
                    ) -> None:
    """Check that an image names nothing but another image of Glance.

    Properties belong to the owner of the image, who may be any tenant: a URL
    or a file would be read with what the conductor may read.
    """
    if uuidutils.is_uuid_like(href):
        return
    raise refusals.refused(
        'image-not-found', image.name,
        message=f'The image names a {role} that is not in Glance.',
        expected=f'the UUID of an image in {role}_id',
        found=ascii(href[:_MOST_SHOWN]),
        fix=f'openstack image set --property {role}_id=ID '
            f'{image.glance_id}, or name it for this node alone: openstack '
            f'baremetal node set --instance-info kernel=URL '
            f'--instance-info ramdisk=URL {image.node.uuid}')


def _in_instance_info(node: objects.Node, href: str) -> images.DeclaredImage:
    """Metadata that the user of the node gives."""
    return images.DeclaredImage(
        disk_format=node.instance_info.get('image_disk_format') or None,
        checksum=checksums.of_node(node, href))
