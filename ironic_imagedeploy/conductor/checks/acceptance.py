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

"""Whether an image may be deployed to a node."""

from collections.abc import Iterator
import contextlib
import dataclasses

from oslo_log import log

from ironic.common import exception
from ironic.common import metrics_utils
from ironic.conductor import task_manager
from ironic.conf import CONF
from ironic.drivers.modules import boot_mode_utils

from ironic_imagedeploy.conductor.cache import access
from ironic_imagedeploy.conductor.cache import delivery
from ironic_imagedeploy.conductor.cache import record
from ironic_imagedeploy.conductor.checks import metadata
from ironic_imagedeploy.conductor.checks import remedies
from ironic_imagedeploy.conductor.checks import separate_kernel
from ironic_imagedeploy.conductor.checks import size_limits
from ironic_imagedeploy.conductor.checks import start
from ironic_imagedeploy.conductor import declared
from ironic_imagedeploy.conductor import images
from ironic_imagedeploy.conductor import inventory
from ironic_imagedeploy.conductor import node_fields
from ironic_imagedeploy.conf import policy
from ironic_imagedeploy import engine

LOG = log.getLogger(__name__)
METRICS = metrics_utils.get_metrics_logger(__name__)


def check_image(task: task_manager.TaskManager) -> record.Verdict:
    """Look at the image and hold it against its metadata and the node.

    Reads its head and its tables only, and not even these of an image that
    is in the conductor's cache.

    :raises InvalidParameterValue: with the reason, when it cannot be read
        or must not be deployed to this node.
    """
    image = with_devices(task, declared.image(task))
    verdict = _check(image)
    if boot_files := separate_kernel.needed(task, image, verdict):
        separate_kernel.options(task)
    for each in boot_files:
        _check(each)
    return verdict


def with_devices(task: task_manager.TaskManager, image: images.InstanceImage
                 ) -> images.InstanceImage:
    """The image, with the devices of its node where they are looked at."""
    if not start.of_image(image).looks:
        return image
    return dataclasses.replace(image, devices=inventory.devices(task))


def _check(image: images.InstanceImage) -> record.Verdict:
    with _refusals(image):
        return _judge(image)


def accept(image: images.InstanceImage) -> delivery.Provided:
    """The image, checked, and fetched when the conductor serves it.

    :raises InvalidParameterValue: with the reason, as :func:`check_image`.
    :raises IronicException: when it cannot be kept.
    """
    with _refusals(image):
        if (not image.served_by_conductor
                or any(metadata.objections(image))):
            return delivery.Provided(verdict=_judge(image),
                                     checksum=image.checksum)
        provided = delivery.provide(image, _expectation(image))
        _decide(image, provided.verdict)
        return provided


def _judge(image: images.InstanceImage) -> record.Verdict:
    expectation = _expectation(image)
    verdict = delivery.cached_verdict(image, expectation) or _inspect(
        image, expectation)
    _decide(image, verdict)
    return verdict


def _expectation(image: images.InstanceImage) -> engine.Expectation:
    """Expectation of the bytes of an image, or of a file beside it.

    It is the same for all nodes of a kind, so that one inspection serves
    them.

    :raises InvalidParameterValue: when a root device hint is not valid.
    """
    options = policy.from_conf(CONF)
    limit = size_limits.of_image(image)
    start_policy = start.of_image(image)
    return engine.Expectation(
        disk_format=image.disk_format,
        image_type=_image_type(image),
        checksum=image.checksum,
        # Of a file of its own the conductor computes the checksum.
        require_checksum=image.scheme != 'file',
        permit_weak=options.insecure_checksums_permitted,
        permitted=options.permitted_formats,
        decompression_memory=options.decompression_memory << 20,
        disk_size=limit.size if limit else None,
        boot_mode=boot_mode_utils.get_boot_mode(image.node),
        arch=node_fields.processor(image.node),
        secure_boot=boot_mode_utils.is_secure_boot_requested(image.node),
        has_kernel=image.has_kernel,
        # A file beside it would be read to its end, before it is fetched.
        contents=start_policy.looks and image.role == images.DISK,
        devices=image.devices, start_policy=start_policy)


def _image_type(image: images.InstanceImage) -> str:
    if image.role != images.DISK:
        return image.role
    return 'partition' if image.partition else 'whole-disk'


@METRICS.timer('ImageDeploy.inspect')
def _inspect(image: images.InstanceImage, expectation: engine.Expectation
             ) -> record.Verdict:
    with access.open_image(image) as source:
        if finding := image.declared.wrong_size(source.size):
            return record.Verdict(name=image.name, findings=(finding,))
        try:
            return record.Verdict.of(engine.inspect(source, expectation))
        except engine.exceptions.SourceNotSeekable:
            if not image.served_by_conductor:
                raise
    LOG.warning('The server of image %s gives no ranges: its tables can be '
                'checked only once it is in the cache', image.name)
    return record.Verdict(name=image.name)


def _decide(image: images.InstanceImage, verdict: record.Verdict) -> None:
    """Refuse the image if there is a reason; log what is only odd."""
    for finding in verdict.findings:
        if finding not in verdict.errors:
            LOG.warning('Image %s for node %s: %s', image.name,
                        image.node.uuid, finding)
    limit, size = size_limits.of_image(image), verdict.virtual_size
    errors = [
        limit.exceeded(image, 'an image', size)
        if limit and size and finding.code == 'too-large'
        else remedies.with_remedy(finding, image)
        for finding in verdict.errors]
    errors += metadata.objections(image)
    if errors:
        raise engine.exceptions.ImageRefused(image.name, errors)


@contextlib.contextmanager
def _refusals(image: images.InstanceImage) -> Iterator[None]:
    """Turn the engine's errors into the one that Ironic's users see."""
    try:
        yield
    except engine.exceptions.ImageDeployError as error:
        # Not 'from error': what is below may name a URL with its secrets.
        raise exception.InvalidParameterValue(
            str(_coded(image, error))) from None


def _coded(image: images.InstanceImage,
           error: engine.exceptions.ImageDeployError
           ) -> engine.exceptions.ImageRefused:
    """Every reason has a code, also the ones that no inspection found."""
    if isinstance(error, engine.exceptions.ImageRefused):
        return error

    def refused(code: str, fix: str = error.fix
                ) -> engine.exceptions.ImageRefused:
        finding = engine.Finding(
            code=code, expected=error.expected, found=error.found,
            message=f'{error.summary[0].upper()}{error.summary[1:]}.',
            fix=fix)
        return engine.exceptions.ImageRefused(
            image.name, [remedies.with_remedy(finding, image)])

    if isinstance(error, engine.exceptions.TlsTooOld):
        return refused('image-unreadable', fix=remedies.tls(image))
    if isinstance(error, engine.exceptions.SourceNotFound):
        return refused('image-not-found')
    if isinstance(error, engine.exceptions.ChecksumMismatch):
        return refused('checksum-mismatch')
    return refused('image-unreadable')
