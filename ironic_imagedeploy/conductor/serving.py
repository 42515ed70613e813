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

"""How the image comes to be within reach of the node, as it is stored."""

import os
import typing

from oslo_utils import fileutils

from ironic.common import checksum_utils
from ironic.common import image_service
from ironic.common import images as stock_images
from ironic.conductor import task_manager
from ironic.conf import CONF
from ironic.drivers.modules import deploy_utils
from ironic import objects

from ironic_imagedeploy.conductor import images

#: For files that come without a checksum.
ALGORITHM = 'sha256'


def instance_info(task: task_manager.TaskManager) -> dict[str, typing.Any]:
    """The instance_info of the node with all that write_image needs.

    The keys are those that the direct interface fills in. The image is never
    converted, and may be larger than the memory of the node.

    :raises IronicException: when the image cannot be fetched or served.
    """
    image = images.stated(task)
    info = dict(task.node.instance_info)
    if image.glance:
        info.update(_from_glance(image.record))
    info['image_type'] = stock_images.IMAGE_TYPE_WHOLE_DISK
    if image.disk_format:
        info['image_disk_format'] = image.disk_format
    if _comes_from_conductor(task.node, image):
        path = _fetch(task, image)
        if image.checksum is None:
            info['image_os_hash_algo'] = ALGORITHM
            info['image_os_hash_value'] = (
                checksum_utils.compute_image_checksum(path, ALGORITHM))
        info['image_url'] = _publish(task.node, path)
    elif image.glance:
        url = image.glance.swift_temp_url(image.record)
        image_service.HttpImageService().validate_href(url, secret=True)
        info['image_url'] = url
    else:
        info['image_url'] = image.href
    return info


def _from_glance(record: dict[str, typing.Any]) -> dict[str, typing.Any]:
    return {'image_checksum': record['checksum'],
            'image_os_hash_algo': record['os_hash_algo'],
            'image_os_hash_value': record['os_hash_value'],
            'image_container_format': record['container_format'],
            'image_tags': record.get('tags', []),
            'image_properties': record['properties']}


def _comes_from_conductor(node: objects.Node, image: images.Stated) -> bool:
    """What image_download_source means for this image."""
    download_source = deploy_utils.get_image_download_source(node)
    if image.glance:
        return download_source != 'swift'
    return image.scheme == 'file' or download_source == 'local'


def _fetch(task: task_manager.TaskManager, image: images.Stated) -> str:
    """Path of the image in the conductor's cache."""
    checksum = image.checksum
    _, path, _ = deploy_utils.cache_instance_image(
        task.context, task.node, force_raw=False,
        expected_format=image.disk_format,
        expected_checksum=checksum and checksum.value,
        expected_checksum_algo=checksum and checksum.algorithm)
    return path


def _publish(node: objects.Node, path: str) -> str:
    """Serve a file under the URL of the node's image."""
    folder = os.path.join(CONF.deploy.http_root, CONF.deploy.http_image_subdir)
    link = os.path.join(folder, node.uuid)
    fileutils.ensure_tree(folder)
    fileutils.delete_if_exists(link)
    os.symlink(path, link)
    url = '/'.join([CONF.deploy.http_url.rstrip('/'),
                    CONF.deploy.http_image_subdir, node.uuid])
    image_service.HttpImageService().validate_href(url)
    return url
