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

"""What an agent does with an image, but for a disk to write it to."""

import contextlib
import dataclasses
import hashlib
from typing import Any

import requests

from ironic_imagedeploy.contract import names
from ironic_imagedeploy.contract import neighbours as _neighbours
from ironic_imagedeploy import engine
from ironic_imagedeploy.engine.transfer import report

_CHUNK = 1 << 20


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcome:
    """An image that was read.

    :ivar url: where it came from.
    :ivar ours: whether the agent side of imagedeploy had to write it.
    :ivar partition: whether it was ordered as a partition image.
    :ivar preserve_ephemeral: whether the ephemeral partition was to stay.
    :ivar size: bytes that were read.
    :ivar virtual_size: bytes of the disk in it.
    :ivar checksum: that was asked for, as ``algorithm:value``.
    :ivar neighbours: that the order named, if it named any.
    :ivar verified: whether all was read and has that checksum.
    """

    url: str
    ours: bool
    partition: bool
    preserve_ephemeral: bool
    format: str
    size: int
    virtual_size: int
    checksum: str
    verified: bool
    neighbours: _neighbours.Neighbours | None = None

    def progress(self, seconds: float, total: float) -> dict[str, Any]:
        """The preliminary result of the command, as our agent side has it."""
        done = int(self.virtual_size * min(seconds / (total or 1), 0.99))
        return {'imagedeploy': {'progress': engine.Progress(
            phase='write', done=done, total=self.virtual_size,
            bytes_per_second=done / (seconds or 1),
            bottleneck='network')._asdict()}}

    def result(self, seconds: float) -> Any:
        """What the deploy step returns."""
        stock = {'result': 'prepare_image: image written to device /dev/sda'}
        if not self.ours:
            return stock
        algorithm, value = self.checksum.split(':')
        return {**stock, 'imagedeploy': engine.Report(
            source=self.url, format=self.format,
            virtual_size=self.virtual_size, target_size=self.virtual_size,
            bytes_read=self.size,
            bytes_written=self.virtual_size, bytes_zeroed=0,
            zeroes_written=0, resumes=0, seconds=seconds, read_back='none',
            bottleneck='network', checksum=report.ChecksumReport(
                algorithm=algorithm, value=value,
                verified=self.verified)).to_dict()}


def read(node: dict[str, Any], image_info: dict[str, Any],
         whole: bool, ours: bool) -> Outcome:
    """Fetch an image as the agent in charge of the node does.

    :param whole: not only its begin.
    :param ours: whether the ramdisk carries the agent side of imagedeploy.
    :raises ImageDeployError, RequestException, ValueError: when it cannot be
        had, or is not what was ordered.
    """
    if ours and names.is_ours(node['deploy_interface'],
                              node['instance_info']):
        return _read_ours(node, image_info, whole)
    return _read_stock(image_info, whole)


def read_by_step(node: dict[str, Any], whole: bool) -> Outcome:
    """Fetch the image of instance_info, as our step without arguments.

    :param whole: not only its begin.
    :raises RequestException, ValueError: as :func:`read`.
    """
    info = node['instance_info']
    outcome = _read_stock({
        'urls': [info['image_source']], 'image_type': info.get('image_type'),
        'os_hash_algo': info['image_os_hash_algo'],
        'os_hash_value': info['image_os_hash_value'],
        'disk_format': info['image_disk_format']}, whole)
    return dataclasses.replace(outcome, ours=True)


def _ordered(image_info: dict[str, Any]) -> dict[str, Any]:
    url, = image_info['urls']
    return {'url': url,
            'partition': image_info.get('image_type') == 'partition',
            'preserve_ephemeral': bool(image_info.get('preserve_ephemeral'))}


def _read_ours(node: dict[str, Any], image_info: dict[str, Any],
               whole: bool) -> Outcome:
    ordered = _ordered(image_info)
    order = node['driver_internal_info']['imagedeploy']
    checksum = engine.Checksum.parse(order['checksum'])
    with engine.open_source(ordered['url']) as source:
        inspection = engine.inspect(source, engine.Expectation(
            disk_format=order['disk_format'], checksum=checksum,
            image_type='partition' if ordered['partition'] else 'whole-disk',
            require_checksum=True,
            permitted=tuple(order['permitted_formats'])))
        inspection.raise_if_refused()
        digest, size = hashlib.new(checksum.algorithm), 0
        buffer = memoryview(bytearray(_CHUNK))
        with contextlib.closing(source.open_stream()) as stream:
            while count := stream.readinto(buffer):
                digest.update(buffer[:count])
                size += count
                if not whole:
                    break
        return Outcome(
            **ordered, ours=True, format=inspection.format or '', size=size,
            virtual_size=inspection.virtual_size or 0,
            checksum=order['checksum'],
            neighbours=_neighbours.Neighbours.from_dict(
                order.get('neighbours')), verified=_verified(
                digest.hexdigest(), checksum.value, whole))


def _read_stock(image_info: dict[str, Any], whole: bool) -> Outcome:
    ordered = _ordered(image_info)
    algorithm = image_info['os_hash_algo']
    digest, size = hashlib.new(algorithm), 0
    with requests.get(ordered['url'], stream=True, timeout=60) as answer:
        answer.raise_for_status()
        for chunk in answer.iter_content(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
            if not whole:
                break
        total = int(answer.headers['Content-Length'])
    value = image_info['os_hash_value']
    return Outcome(
        **ordered, ours=False, format=image_info['disk_format'], size=size,
        virtual_size=total, checksum=f'{algorithm}:{value}',
        verified=_verified(digest.hexdigest(), value, whole))


def _verified(found: str, expected: str, whole: bool) -> bool:
    if whole and found != expected:
        raise ValueError(f'checksum: expected {expected}, found {found}')
    return whole
