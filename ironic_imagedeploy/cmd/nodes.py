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
import dataclasses
import datetime
import typing

from ironic_imagedeploy.cmd import text
from ironic_imagedeploy.contract import fields
from ironic_imagedeploy.contract import names
from ironic_imagedeploy import engine

#: Provision states of a node that is being deployed.
DEPLOYING = ('deploying', 'wait call-back', 'deploy hold')
#: Seconds for an answer of the cloud, where clouds.yaml has none.
_TIMEOUT = 60.0
_FIELDS = ('id', 'name', 'provision_state', 'deploy_step', 'last_error',
           'driver_internal_info')


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


class Ironic:
    """The bare metal service of a cloud.

    :param cloud: name in clouds.yaml; by default OS_CLOUD or OS_* decide.
    :raises CloudError: when there is none.
    """

    def __init__(self, cloud: str | None) -> None:
        try:
            import openstack
        except ImportError:
            raise CloudError(
                'watch', expected='openstacksdk', found='no such package',
                fix="Install ironic-imagedeploy with its extra 'glance'."
            ) from None
        self._cloud = cloud
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

    def _unusable(self, error: Exception
                  ) -> engine.exceptions.ImageDeployError:
        return engine.cloud_failure(error, 'watch', service='Ironic',
                                    cloud=self._cloud, kind=CloudError)


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
