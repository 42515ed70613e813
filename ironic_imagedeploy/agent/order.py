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

"""The work of the deploy step write_image, read once from all that orders it.

The conductor's order comes with the node, Ironic describes the image, and
the machine says what it is.
"""

from collections.abc import Mapping
import dataclasses
import typing

from oslo_config import cfg

from ironic_python_agent import config  # noqa: F401 (before utils)
from ironic_python_agent import errors
from ironic_python_agent import hardware
from ironic_python_agent import utils

from ironic_imagedeploy.agent.boot import software_raid
from ironic_imagedeploy.agent import firmware
from ironic_imagedeploy.agent import sysfs
from ironic_imagedeploy.conf import policy
from ironic_imagedeploy.contract import names
from ironic_imagedeploy.contract import neighbours as contract_neighbours
from ironic_imagedeploy.contract import order as contract
from ironic_imagedeploy.contract import policy as contract_policy
from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import hardware as devices

CONF = cfg.CONF
_PARTITION = 'partition'
#: Folder for the journals of writes, in memory: they end with the ramdisk.
JOURNALS = '/run/ironic-imagedeploy'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Download:
    """Location of an image, and who asks for it.

    :ivar urls: of the image; any of them will do.
    :ivar authorization: a header's value, base64, that the user of the node
        supplied.
    :ivar login: user and password, for HTTP basic authentication.
    :ivar proxies: URLs by scheme.
    :ivar no_proxy: hosts that are asked without one.
    :ivar checksum_stated: a strong checksum tells the image in the end.
    :ivar minimum_speed: bytes per second that a server must give.
    """

    urls: tuple[str, ...]
    authorization: str | None = dataclasses.field(default=None, repr=False)
    login: tuple[str, str] | None = dataclasses.field(
        default=None, repr=False)
    proxies: Mapping[str, str] = dataclasses.field(default_factory=dict)
    no_proxy: str | None = None
    checksum_stated: bool = False
    minimum_speed: int = 0

    @classmethod
    def read(cls, image_info: Mapping[str, typing.Any],
             checksum: engine.Checksum | None,
             policy: contract_policy.Policy) -> 'Download':
        """The download that Ironic describes."""
        login = None
        if image_info.get('image_server_auth_strategy') == 'http_basic':
            login = (image_info.get('image_server_user') or '',
                     image_info.get('image_server_password') or '')
        return cls(
            urls=tuple(image_info['urls']), login=login,
            authorization=image_info.get('image_request_authorization'),
            proxies=image_info.get('proxies') or {},
            no_proxy=image_info.get('no_proxy'),
            checksum_stated=bool(checksum and not checksum.weak),
            minimum_speed=policy.minimum_speed)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PartitionSizes:
    """Sizes of the partitions around a partition image, in MiB.

    :ivar ephemeral_format: of its file system.
    :ivar preserve_ephemeral: the partitions are there already, and the
        ephemeral one keeps its content.
    """

    root: int
    swap: int = 0
    ephemeral: int = 0
    ephemeral_format: str | None = None
    preserve_ephemeral: bool = False

    @property
    def root_bytes(self) -> int:
        """Size of the root partition in bytes."""
        return self.root << 20

    @classmethod
    def read(cls, image_info: Mapping[str, typing.Any]) -> 'PartitionSizes':
        """The sizes that Ironic orders.

        :raises DeploymentError: when that of the root is missing.
        """
        try:
            root = int(image_info['root_mb'])
        except (KeyError, TypeError, ValueError):
            raise errors.DeploymentError(
                'The size of the root partition is not known: expected '
                'root_gb in instance_info of the node. openstack baremetal '
                'node set --instance-info root_gb=SIZE NODE') from None
        return cls(
            root=root, swap=int(image_info.get('swap_mb') or 0),
            ephemeral=int(image_info.get('ephemeral_mb') or 0),
            ephemeral_format=image_info.get('ephemeral_format'),
            preserve_ephemeral=bool(image_info.get('preserve_ephemeral')))


@dataclasses.dataclass(frozen=True, kw_only=True)
class WriteOrder:
    """An image, and how to write it to a disk of this machine.

    :ivar policy: what the operator allows and asks for.
    :ivar disk_format: the format that the image must have.
    :ivar start_judged: the conductor has judged how the system starts.
    :ivar own_boot_loader: nobody lets ironic-python-agent install a boot
        loader for an image of a whole disk that has one.
    :ivar checksum: what its stored bytes must hash to.
    :ivar separate_kernel: for a partition image that may have no kernel.
    :ivar manifest: of the image; None when its chunks are not verified.
    :ivar disk_manifest: of the disk in it, by which that is looked for on
        the disk here.
    :ivar neighbours: other nodes that write the image; None without them.
    :ivar download: where the image is.
    :ivar partitions: sizes; None for a whole-disk image.
    :ivar disk_label: ``gpt`` or ``msdos``, when the node must have it.
    :ivar boot_mode: bios or uefi, how the node will boot.
    :ivar arch: the processor's architecture.
    :ivar node_uuid: of the node, for names of partitions.
    :ivar configdrive: the config drive, or its URL.
    :ivar image_info: the image as ironic-python-agent's own prepare_image
        wants it described; read by :mod:`handover` alone.
    """

    policy: contract_policy.Policy
    disk_format: str | None
    start_judged: bool
    own_boot_loader: bool
    checksum: engine.Checksum | None
    separate_kernel: contract.SeparateKernel | None
    manifest: contract.RemoteManifest | None
    disk_manifest: contract.RemoteManifest | None
    neighbours: contract_neighbours.Neighbours | None
    download: Download
    partitions: PartitionSizes | None
    disk_label: str | None
    boot_mode: str
    arch: str
    node_uuid: str
    configdrive: str | None = dataclasses.field(repr=False)
    image_info: dict[str, typing.Any] = dataclasses.field(repr=False)

    @classmethod
    def read(cls, node: dict[str, typing.Any],
             image_info: dict[str, typing.Any],
             configdrive: str | None = None) -> 'WriteOrder':
        """The order in a call of the deploy step write_image.

        :raises InvalidOrder: when the conductor's cannot be carried out.
        :raises DeploymentError: when something is missing.
        """
        return cls.of(contract.DeployOrder.from_dict(
            (node.get('driver_internal_info') or {}).get(names.KEY) or {},
            policy.from_conf(CONF)), node, image_info, configdrive)

    @classmethod
    def of(cls, sent: contract.DeployOrder, node: dict[str, typing.Any],
           image_info: dict[str, typing.Any],
           configdrive: str | None = None) -> 'WriteOrder':
        """The order that somebody sent, for an image that is described.

        :raises DeploymentError: when something is missing.
        """
        checksum = sent.checksum or _checksum(image_info)
        is_partition = image_info.get('image_type') == _PARTITION
        return cls(
            policy=sent.policy,
            disk_format=image_info.get('disk_format') or sent.disk_format,
            start_judged=sent.start_judged,
            own_boot_loader=sent.own_boot_loader,
            checksum=checksum,
            separate_kernel=sent.separate_kernel,
            manifest=(sent.manifest if sent.policy.verify != 'file'
                      else None),
            disk_manifest=(sent.disk_manifest if sent.policy.verify == 'chunks'
                           else None),
            neighbours=sent.neighbours,
            download=Download.read(image_info, checksum, sent.policy),
            partitions=(PartitionSizes.read(image_info) if is_partition
                        else None),
            disk_label=utils.get_partition_table_type_from_specs(node),
            boot_mode=utils.get_node_boot_mode(node),
            arch=hardware.dispatch_to_managers('get_cpus').architecture,
            node_uuid=image_info.get('node_uuid', 'local'),
            configdrive=configdrive, image_info=image_info)

    def state_checksum(self, source: engine.Source) -> None:
        """Let the agent, which asks for a checksum, see that there is one.

        :param source: the image, whose manifest may be all that has it.
        """
        checksum = self.checksum or source.declared_checksum
        if checksum:
            self.image_info.setdefault('os_hash_algo', checksum.algorithm)
            self.image_info.setdefault('os_hash_value', checksum.value)

    @property
    def partition_sizes(self) -> PartitionSizes:
        """Sizes for a partition image; not for another."""
        assert self.partitions is not None
        return self.partitions

    def expectation(self, target: engine.Target, size: int | None = None
                    ) -> engine.Expectation:
        """Properties that the image must have to be deployed to a disk.

        :param target: the disk.
        :param size: bytes that there are for it; the whole disk by default.
        """
        start = self.policy.start
        return engine.Expectation(
            disk_format=self.disk_format,
            image_type=_PARTITION if self.partitions else 'whole-disk',
            checksum=self.checksum, require_checksum=True,
            permit_weak=self.policy.insecure_checksums_permitted,
            permitted=self.policy.permitted_formats,
            decompression_memory=self.policy.decompression_memory << 20,
            disk_size=target.size if size is None else size,
            sector_size=target.sector_size,
            boot_mode=self.boot_mode, arch=self.arch,
            secure_boot=firmware.boots_securely() is True,
            has_kernel=self.separate_kernel is not None,
            start_policy=start, contents=start.looks and not self.start_judged,
            devices=(devices.devices(root=target.path) if start.looks
                     else ()),
            initramfs=start.looks, raid_esp=(
                software_raid.ESP_SIZE if sysfs.is_array(target.path)
                else None))


def _checksum(image_info: Mapping[str, typing.Any]
              ) -> engine.Checksum | None:
    """The checksum as Ironic gives it, from whom the conductor has none."""
    algorithm = image_info.get('os_hash_algo')
    value = image_info.get('os_hash_value')
    try:
        if algorithm and value:
            return engine.Checksum(algorithm, value)
        if image_info.get('checksum'):
            return engine.Checksum.parse(image_info['checksum'])
    except ValueError as error:
        raise errors.DeploymentError(
            f'The image {image_info["id"]} has no usable checksum: {error}'
        ) from error
    return None
