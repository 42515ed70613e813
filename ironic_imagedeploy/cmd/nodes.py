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

"""Nodes and their deployments, as Ironic's API tells of them."""

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import dataclasses
import datetime
import typing

from ironic_imagedeploy.cmd import text
from ironic_imagedeploy.contract import fields
from ironic_imagedeploy.contract import inventory
from ironic_imagedeploy.contract import names
from ironic_imagedeploy import engine
from ironic_imagedeploy.engine.contents import efi_programs
from ironic_imagedeploy.engine import hardware

#: Provision states of a node that is being deployed.
DEPLOYING = ('deploying', 'wait call-back', 'deploy hold')
#: Seconds for an answer of the cloud, where clouds.yaml has none.
_TIMEOUT = 60.0
_FIELDS = ('id', 'name', 'provision_state', 'deploy_step', 'last_error',
           'driver_internal_info')
_MACHINE_FIELDS = ('id', 'name', 'properties', 'instance_info', 'boot_mode')
#: Digits of a size in GiB.
_DIGITS = 8


class CloudError(engine.exceptions.SourceError):
    """Ironic gave no answer that can be used."""

    summary = 'Ironic cannot be asked'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Deployment:
    """Deployment of a node, in printable text only.

    :ivar identifier: its UUID.
    :ivar name: its name, else its UUID.
    :ivar state: its provision state.
    :ivar step: the deploy step.
    :ivar error: its last error.
    :ivar progress: of the write; None when nothing is written.
    :ivar waiting_for: what a stalled write waits for, else empty.
    :ivar stalled: seconds since when.
    :ivar report: of the write, once it has ended.
    """

    identifier: str
    name: str
    state: str
    step: str = ''
    error: str = ''
    progress: engine.Progress | None = None
    waiting_for: str = ''
    stalled: float = 0.0
    report: Mapping[str, typing.Any] | None = None

    @property
    def deploying(self) -> bool:
        """Whether its deployment goes on."""
        return self.state in DEPLOYING

    @classmethod
    def of(cls, node: typing.Any) -> 'Deployment':
        """The deployment of a node of openstacksdk."""
        ours = _mapping(_mapping(node.driver_internal_info).get(names.KEY))
        told = _mapping(ours.get('progress'))
        stall = _mapping(told.get('stalled'))
        return cls(
            identifier=_word(node.id), name=_word(node.name or node.id),
            state=_word(node.provision_state),
            step=_word(_mapping(node.deploy_step).get('step')),
            error=_word(node.last_error),
            progress=_progress(told) if told else None,
            waiting_for=_word(stall.get('waiting_for')),
            stalled=_seconds_since(stall.get('since')),
            report=_mapping(ours.get('report')) or None)

    def to_dict(self) -> dict[str, typing.Any]:
        """As JSON values."""
        values = dataclasses.asdict(self)
        values['progress'] = self.progress and self.progress._asdict()
        return values


@dataclasses.dataclass(frozen=True, kw_only=True)
class Machine:
    """The machine of a node, as far as Ironic knows it; None: it does not.

    :ivar name: of the node, printable.
    :ivar arch: the processor, as ``x86_64``.
    :ivar boot_mode: ``bios`` or ``uefi``.
    :ivar secure_boot: the firmware starts signed programs only.
    :ivar disk_size: bytes of its disk.
    :ivar devices: that need drivers; none without an inventory.
    """

    name: str
    arch: str | None = None
    boot_mode: str | None = None
    secure_boot: bool = False
    disk_size: int | None = None
    devices: tuple[hardware.Device, ...] = ()

    @classmethod
    def of(cls, node: typing.Any, told: Mapping[str, typing.Any]
           ) -> 'Machine':
        """The machine of a node of openstacksdk.

        :param told: its inventory; empty without one.
        """
        properties = _mapping(node.properties)
        stated = {**_capabilities(properties.get('capabilities')),
                  **_capabilities(_mapping(node.instance_info).get(
                      'capabilities'))}
        arch = efi_programs.canonical(_word(properties.get('cpu_arch')))
        mode = stated.get('boot_mode') or _word(node.boot_mode)
        size = str(properties.get('local_gb') or '')
        secure = stated.get('secure_boot', '').lower() == 'true'
        return cls(
            name=_word(node.name or node.id),
            arch=arch if arch in efi_programs.ARCHITECTURES else None,
            boot_mode=mode if mode in ('bios', 'uefi') else None,
            secure_boot=secure,
            disk_size=(int(size) << 30 if size.isdecimal()
                       and len(size) < _DIGITS else None),
            devices=inventory.devices(told.get('inventory'),
                                      told.get('plugin_data')))


class Ironic:
    """The bare metal service of a cloud.

    :param cloud: name in clouds.yaml; by default OS_CLOUD or OS_* decide.
    :param command: that asks.
    :raises CloudError: when there is none.
    """

    def __init__(self, cloud: str | None, command: str = 'watch') -> None:
        openstack = engine.require_sdk(command, CloudError)
        self._cloud = cloud
        self._command = command
        self._missing = openstack.exceptions.NotFoundException
        try:
            connection = openstack.connect(cloud=cloud)
            engine.limit_service(connection, _TIMEOUT)
            self._api = connection.baremetal
        except Exception as error:
            raise self._unusable(error) from error

    def deployments(self) -> list[Deployment]:
        """Nodes that are being deployed.

        :raises CloudError: when Ironic does not tell.
        """
        try:
            return [Deployment.of(node) for state in DEPLOYING
                    for node in self._api.nodes(
                        provision_state=state, fields=list(_FIELDS))]
        except Exception as error:
            raise self._unusable(error) from error

    def nodes(self, names: Sequence[str]) -> Iterator[Deployment | None]:
        """Nodes by name or UUID; None for one that does not exist.

        :raises CloudError: when Ironic does not tell.
        """
        for name in names:
            try:
                node = self._api.get_node(name, fields=list(_FIELDS))
            except self._missing:
                yield None
                continue
            except Exception as error:
                raise self._unusable(error) from error
            yield Deployment.of(node)

    def machine(self, name: str) -> Machine:
        """The machine of a node, by its name or UUID.

        :raises CloudError: when there is none, or Ironic does not tell.
        """
        told: Mapping[str, typing.Any] = {}
        try:
            node = self._api.get_node(name, fields=list(_MACHINE_FIELDS))
            with contextlib.suppress(self._missing):
                told = _mapping(self._api.get_node_inventory(node.id))
        except self._missing:
            raise no_such_node(name) from None
        except Exception as error:
            raise self._unusable(error) from error
        return Machine.of(node, told)

    def details(self, names: Sequence[str]) -> Iterator[typing.Any]:
        """Nodes of openstacksdk, by name or UUID; all when none is named.

        :raises CloudError: when Ironic does not tell, or has no such node.
        """
        fields = [*_FIELDS, 'resource_class']
        try:
            if not names:
                yield from self._api.nodes(fields=fields)
            for name in names:
                try:
                    yield self._api.get_node(name, fields=fields)
                except self._missing:
                    raise no_such_node(name) from None
        except CloudError:
            raise
        except Exception as error:
            raise self._unusable(error) from error

    def _unusable(self, error: Exception
                  ) -> engine.exceptions.ImageDeployError:
        return engine.cloud_failure(error, self._command, service='Ironic',
                                    cloud=self._cloud, kind=CloudError)


def no_such_node(name: str) -> CloudError:
    """The error about a name that no node has."""
    return CloudError(
        text.printable(name), expected='a node of that name', found='none',
        fix="See 'openstack baremetal node list'.")


def _capabilities(stated: typing.Any) -> dict[str, str]:
    """Capabilities of a node: text as a:b,c:d, or an object."""
    if isinstance(stated, Mapping):
        return {str(name): str(value) for name, value in stated.items()}
    pairs = [pair.partition(':') for pair in str(stated or '').split(',')]
    return {name.strip(): value.strip() for name, _, value in pairs}


def _progress(told: Mapping[str, typing.Any]) -> engine.Progress:
    left = _seconds_until(told.get('estimated_end'))
    return engine.Progress(
        _word(told.get('phase')), int(_number(told.get('done'))),
        int(_number(told.get('total'))),
        _number(told.get('bytes_per_second')), _word(told.get('bottleneck')),
        None if left is None else max(left, 0.0))


def _seconds_since(stamp: typing.Any) -> float:
    seconds = _seconds_until(stamp)
    return max(-seconds, 0.0) if seconds is not None else 0.0


def _seconds_until(stamp: typing.Any) -> float | None:
    """Seconds from now to a time in ISO 8601, negative when it is over."""
    try:
        then = datetime.datetime.fromisoformat(stamp)
        return (then - datetime.datetime.now(datetime.UTC)).total_seconds()
    except (TypeError, ValueError):
        return None


def _mapping(value: typing.Any) -> Mapping[str, typing.Any]:
    return value if isinstance(value, Mapping) else {}


def _word(value: typing.Any) -> str:
    return text.printable(text.without_secrets(str(value or '')))


def _number(value: typing.Any) -> float:
    return fields.number(value) or 0
