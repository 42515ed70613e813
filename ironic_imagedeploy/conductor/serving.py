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

"""Publication of images, as they are stored, for their nodes."""

import dataclasses
import os

from oslo_utils import fileutils

from ironic.common import exception
from ironic.common import image_service
from ironic.common import images as stock_images
from ironic.conductor import task_manager
from ironic.conf import CONF
from ironic.drivers.modules import deploy_utils
from ironic import objects

from ironic_imagedeploy.conductor.cache import delivery
from ironic_imagedeploy.conductor.cache import manifests
from ironic_imagedeploy.conductor.checks import acceptance
from ironic_imagedeploy.conductor.checks import separate_kernel
from ironic_imagedeploy.conductor.checks import start
from ironic_imagedeploy.conductor import declared
from ironic_imagedeploy.conductor import images
from ironic_imagedeploy.conductor import refusals
from ironic_imagedeploy.contract import names
from ironic_imagedeploy.contract import order
from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import start_policy as _start_policy


@dataclasses.dataclass(frozen=True, kw_only=True)
class Served:
    """Files that the node gets to read.

    :ivar image: to be written.
    :ivar separate_kernel: for an image that may have none.
    :ivar manifest: of the image.
    :ivar disk_manifest: of the disk in it.
    :ivar public: everybody may read the image.
    :ivar start_policy: for how the system in it starts.
    """

    image: delivery.Provided
    separate_kernel: order.SeparateKernel | None = None
    manifest: order.RemoteManifest | None = None
    disk_manifest: order.RemoteManifest | None = None
    public: bool = False
    start_policy: _start_policy.StartPolicy = _start_policy.StartPolicy()


def provide(task: task_manager.TaskManager) -> Served:
    """Check the image, and fill in all that write_image needs.

    The keys of instance_info are those that the direct interface fills in.
    The image is never converted, and may be larger than the memory of the
    node.

    :raises InvalidParameterValue: with the reason, when the image is
        refused.
    :raises IronicException: when it cannot be kept or served.
    """
    node = task.node
    image = acceptance.with_devices(task, declared.image(task))
    provided = acceptance.accept(image)
    files = _provide_separate_kernel(task, image, provided)
    info = dict(node.instance_info)
    info.update(image.declared.instance_info)
    info['image_type'] = (stock_images.IMAGE_TYPE_PARTITION if image.partition
                          else stock_images.IMAGE_TYPE_WHOLE_DISK)
    if image.partition:
        # Sizes of all partitions, in MiB.
        info.update(deploy_utils.parse_instance_info(node))
    if image.disk_format and not image.registry:
        # The next image of a registry may be of another format.
        info['image_disk_format'] = image.disk_format
    if provided.checksum_is_ours and provided.checksum:
        info['image_os_hash_algo'] = provided.checksum.algorithm
        info['image_os_hash_value'] = provided.checksum.value
    info['image_url'] = _url(image)
    manifest = _publish_manifest(
        node, images.MANIFEST, provided.manifest, image.manifest_file)
    disk_manifest = _publish_manifest(
        node, images.DISK_MANIFEST, provided.disk_manifest,
        image.disk_manifest_file)
    node.instance_info = info
    node.save()
    return Served(image=provided, separate_kernel=files, manifest=manifest,
                  disk_manifest=disk_manifest, public=image.declared.public,
                  start_policy=start.of_image(image))


def withdraw(node: objects.Node) -> None:
    """Serve no file beside the image any longer, and forget their URLs.

    A temporary URL of Swift is a secret for as long as it is valid.
    """
    for role in (*images.BOOT_FILES, images.MANIFEST, images.DISK_MANIFEST):
        fileutils.delete_if_exists(_link(node, role))
    sent = node.driver_internal_info.get(names.KEY) or {}
    fulfilled = order.fulfilled(sent)
    if fulfilled != sent:
        node.set_driver_internal_info(names.KEY, fulfilled)
        node.save()


def _provide_separate_kernel(
        task: task_manager.TaskManager, image: images.InstanceImage,
        provided: delivery.Provided) -> order.SeparateKernel | None:
    needed = separate_kernel.needed(task, image, provided.verdict)
    if not needed:
        return None
    options = separate_kernel.options(task)
    files = {}
    for file in needed:
        checksum = acceptance.accept(file).checksum
        assert checksum is not None
        files[file.role] = order.RemoteFile(
            url=_url(file), checksum=checksum)
    return order.SeparateKernel(**files, options=options)


def _url(image: images.InstanceImage) -> str:
    """URL at which the node gets the image."""
    if image.served_by_conductor:
        return _publish(image)
    if image.registry:
        return image.registry.url
    if not image.glance:
        return image.href
    url = image.glance.swift_temp_url({'id': image.glance_id})
    _check_served(
        image, url, message='The temporary URL of Swift does not give the '
        'image.', fix='Check the options [glance]swift_* and '
        '[DEFAULT]webserver_*, and whether this conductor reaches Swift.')
    return url


def _check_served(image: images.InstanceImage, url: str, *, message: str,
                  fix: str) -> None:
    try:
        image_service.HttpImageService().validate_href(url, secret=True)
    except exception.ImageRefValidationFailed as error:
        # What requests says of a connection may have a signature in it.
        cause = error.__context__
        raise refusals.refused(
            'image-unreadable', image.name, message=message,
            expected=f'HTTP status 200 of {engine.redact(url)}',
            found=(engine.reason(cause) if cause
                   else str(error).rstrip('.')),
            fix=fix) from None


def _publish(image: images.InstanceImage) -> str:
    """Serve a file under the URL of the node's image, or one beside it."""
    url = _linked(image.node, image.role, image.instance_file)
    _check_served(
        image, url, message='The web server of this conductor does not serve '
        'the image.', fix='Let it serve the files of [deploy]http_root, '
        f'{CONF.deploy.http_root}, and the files of [pxe]images_path that '
        'links there lead to, at [deploy]http_url.')
    return url


def _publish_manifest(node: objects.Node, role: str,
                      kept: manifests.KeptManifest | None, path: str
                      ) -> order.RemoteManifest | None:
    """Serve a manifest beside the image, or none at all."""
    if kept is None:
        fileutils.delete_if_exists(_link(node, role))
        return None
    return order.RemoteManifest(url=_linked(node, role, path),
                                root=kept.root, size=kept.size)


def _linked(node: objects.Node, role: str, path: str) -> str:
    """URL of a file, now that the web server has a link to it.

    :raises InstanceDeployFailure: when it cannot have one.
    """
    link = _link(node, role)
    try:
        fileutils.ensure_tree(os.path.dirname(link))
        fileutils.delete_if_exists(link)
        os.symlink(path, link)
    except OSError as error:
        raise exception.InstanceDeployFailure(
            f'The image of node {node.uuid} cannot be served by conductor '
            f'{CONF.host}: expected to make the link {link}, found '
            f'{error.strerror}. Free space in [deploy]http_root, or let '
            'ironic-conductor write there.') from error
    return '/'.join([CONF.deploy.http_url.rstrip('/'),
                     CONF.deploy.http_image_subdir, os.path.basename(link)])


def _link(node: objects.Node, role: str) -> str:
    """Path at which Ironic's web server has the image of a node."""
    name = node.uuid if role == images.DISK else f'{node.uuid}-{role}'
    return os.path.join(CONF.deploy.http_root, CONF.deploy.http_image_subdir,
                        name)
