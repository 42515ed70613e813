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

"""Progress and end of a write in Ironic's notifications, metrics, history."""

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import typing

from oslo_log import log
from oslo_utils import units

from ironic.common import context as ironic_context
from ironic.common import metrics_utils
from ironic.common import states
from ironic.conductor import utils as conductor_utils
from ironic.conf import CONF
from ironic import objects
from ironic.objects import fields
from ironic.objects import node as node_objects
from ironic.objects import notification

from ironic_imagedeploy.contract import names
from ironic_imagedeploy.contract import progress
from ironic_imagedeploy import engine

LOG = log.getLogger(__name__)
METRICS = metrics_utils.get_metrics_logger(__name__)

_ACTION = names.STEP
_BOTTLENECKS = ('network', 'decode', 'disk')


def progressed(context: ironic_context.RequestContext, uuid: str,
               before: progress.ProgressRecord | None,
               record: progress.ProgressRecord) -> None:
    """Notify of the progress: the start, a stall, or else how far it is."""
    level = fields.NotificationLevel.DEBUG
    status = fields.NotificationStatus.SUCCESS
    if not before:
        level = fields.NotificationLevel.INFO
        status = fields.NotificationStatus.START
    elif record.stalled and not before.stalled:
        level = fields.NotificationLevel.WARNING
        status = fields.NotificationStatus.ERROR
        LOG.warning('Node %(node)s: no byte of its image came to the disk '
                    'since %(since)s; it waits for %(waiting_for)s',
                    {'node': uuid, 'since': record.stalled.since,
                     'waiting_for': record.stalled.waiting_for})
    if _wanted(level):
        _emit(context, objects.Node.get(context, uuid), level, status,
              {names.PROGRESS: record.to_dict()})


def ended(context: ironic_context.RequestContext, node: objects.Node,
          report: Mapping[str, typing.Any]) -> None:
    """Tell of an image that is on the disk of a node.

    :param report: of the agent, checked.
    """
    seconds = report.get('seconds', 0)
    METRICS.send_timer(METRICS.get_metric_name('ImageDeploy.write'),
                       seconds * 1000)
    conductor_utils.node_history_record(
        node, event=_summary(report, seconds), event_type=states.DEPLOYING)
    for warning in report.get('warnings', ()):
        sentence = _sentence(warning)
        LOG.warning('Node %(node)s: %(warning)s',
                    {'node': node.uuid, 'warning': sentence})
        _record_warning(node, sentence)
    if _wanted(fields.NotificationLevel.INFO):
        _emit(context, node, fields.NotificationLevel.INFO,
              fields.NotificationStatus.END, {names.REPORT: dict(report)})


def accepted(node: objects.Node, warnings: Iterable[engine.Finding]) -> None:
    """Tell of what is odd about the image that a node is to get."""
    for finding in warnings:
        _record_warning(node, str(finding))


def _record_warning(node: objects.Node, sentence: str) -> None:
    conductor_utils.node_history_record(
        node, event=f'imagedeploy warns: {sentence}',
        event_type=states.DEPLOYING)


def measure(records: Sequence[progress.ProgressRecord | None]) -> None:
    """Gauges of all writes that this conductor looks after."""
    moving = [record for record in records
              if record and not record.stalled]
    stalled = sum(bool(record and record.stalled) for record in records)
    gauges = {
        'writing': len(records),
        'stalled': stalled,
        'bytes_per_second': sum(record.bytes_per_second for record in moving)}
    for bottleneck in _BOTTLENECKS:
        gauges[f'limited_by.{bottleneck}'] = sum(
            record.bottleneck == bottleneck for record in moving)
    for name, value in gauges.items():
        METRICS.send_gauge(METRICS.get_metric_name(f'ImageDeploy.{name}'),
                           value)


def _sentence(warning: Mapping[str, str]) -> str:
    code, message, expected, found, fix = (
        warning.get(key, '-')
        for key in ('code', 'message', 'expected', 'found', 'fix'))
    return f'{code}: {message} Expected {expected}, found {found}. {fix}'


def _summary(report: Mapping[str, typing.Any], seconds: float) -> str:
    size = report.get('virtual_size', 0) / units.Mi
    rate = size / max(seconds, 0.001)
    checksum = report.get('checksum') or {}
    verified = 'verified' if checksum.get('verified') else 'not verified'
    return (f'imagedeploy wrote the image: {report.get("format")}, '
            f'{size:.0f} MiB of disk in {seconds:.1f} s ({rate:.0f} MiB/s), '
            f'{checksum.get("algorithm")} {verified}, read back: '
            f'{report.get("read_back")}, resumed: {report.get("resumes")}, '
            f'limited by {report.get("bottleneck")}')


def _wanted(level: str) -> bool:
    """Whether the operator wants notifications of that level."""
    least = CONF.notification_level
    levels = notification.NOTIFY_LEVELS
    return least is not None and levels[level] >= levels[least]


def _emit(context: ironic_context.RequestContext, node: objects.Node,
          level: str, status: str, outcome: dict[str, typing.Any]) -> None:
    """Send Ironic's notification about a node, with ours in its step."""
    try:
        payload = node_objects.NodePayload(node)
        payload.deploy_step = {**(payload.deploy_step or {}),
                               names.KEY: outcome}
        notification.mask_secrets(payload)
        # The name of the class is not sent, only the event and the payload.
        node_objects.NodeMaintenanceNotification(
            publisher=notification.NotificationPublisher(
                service='ironic-conductor', host=CONF.host),
            event_type=notification.EventType(
                object='node', action=_ACTION, status=status),
            level=level, payload=payload).emit(context)
    except Exception:
        # A message bus that is down stops no deployment.
        LOG.exception('No notification of the write to node %s', node.uuid)
