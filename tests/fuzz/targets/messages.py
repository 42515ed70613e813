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


"""Readers of what conductor, agent, neighbours and clouds tell."""

import json
import tempfile
import types
import typing

from ironic.common import exception

from ironic_imagedeploy.agent.neighbours import protocol
from ironic_imagedeploy.cmd import nodes
from ironic_imagedeploy.conductor.cache import record
from ironic_imagedeploy.conductor import node_fields
from ironic_imagedeploy.conductor.progress import answers
from ironic_imagedeploy.conductor.progress import records
from ironic_imagedeploy.contract import neighbours
from ironic_imagedeploy.contract import order
from ironic_imagedeploy.contract import policy
from ironic_imagedeploy.contract import progress
from ironic_imagedeploy.contract import report
from ironic_imagedeploy.engine import findings
from tests.fuzz import target

Values = dict[str, typing.Any]
_POLICY = policy.Policy(
    permitted_formats=('raw', 'qcow2'), read_back='none',
    insecure_checksums_permitted=False, workers=0)
_CERTIFICATE = ('-----BEGIN CERTIFICATE-----\nMIIBAAAA\n'
                '-----END CERTIFICATE-----\n')
#: JSON of an order and of a report of 40 KB fits.
_MOST = 200_000

ORDER: Values = {
    'version': 1, 'permitted_formats': ['raw', 'qcow2'], 'read_back': 'none',
    'insecure_checksums_permitted': False, 'workers': 0, 'minimum_speed': 0,
    'decompression_memory': 128, 'verify': 'chunks', 'disk_format': 'qcow2',
    'checksum': 'sha256:' + 'a' * 64, 'checksum_is_ours': False,
    'boot_files': {'options': 'quiet', 'kernel': {
        'url': 'http://a/k', 'checksum': 'sha256:' + 'b' * 64}, 'ramdisk': {
        'url': 'http://a/r', 'checksum': 'sha256:' + 'c' * 64}},
    'manifest': {'url': 'http://a/m', 'root': 'd' * 64, 'size': 200},
    'neighbours': {
        'ticket': 'x' * 40, 'seconds': 3600, 'port': 9998,
        'max_served': None, 'peers': [
            {'url': 'https://192.0.2.1:9998', 'certificate': _CERTIFICATE},
            {'url': 'https://[2001:db8::1]:9998',
             'certificate': _CERTIFICATE}]}}
PROGRESS: Values = {
    'phase': 'write', 'done': 100, 'total': 1000, 'bytes_per_second': 5.5,
    'bottleneck': 'network', 'seconds_left': 12.5}
REPORT: Values = {
    'source': 'http://a/b', 'format': 'qcow2', 'virtual_size': 1 << 30,
    'bytes_read': 5, 'resumes': 0, 'seconds': 1.5, 'checksum': {
        'algorithm': 'sha256', 'value': 'a' * 64, 'verified': True},
    'sources': [{'name': 'x', 'bytes': 5, 'bad_chunks': 0}],
    'bootloader': {'platform': 'i386-pc', 'kernels': ['/boot/vmlinuz']},
    'warnings': [{'code': 'twin', 'message': 'm', 'expected': 'e',
                  'found': 'f', 'fix': 'x'}]}
COMMAND: Values = {
    'command_name': 'execute_deploy_step', 'command_status': 'RUNNING',
    'command_result': {'imagedeploy': {'progress': PROGRESS},
                       'deploy_result': {'imagedeploy': REPORT}}}
KEPT: Values = {
    **PROGRESS, 'percent': 10.0, 'updated_at': '2026-01-01T00:00:00+00:00',
    'moved_at': '2026-01-01T00:00:00+00:00', 'estimated_end': None,
    'stalled': {'since': '2026-01-01T00:00:00+00:00',
                'waiting_for': 'disk'}}
NODE: Values = {
    'id': 'u', 'name': 'node-1', 'provision_state': 'deploying',
    'last_error': None, 'deploy_step': {'step': 'write_image'},
    'driver_internal_info': {'imagedeploy': {'progress': {
        **KEPT, 'estimated_end': '2026-01-01T00:00:00+00:00'},
        'report': REPORT}}}
FIELDS: Values = {
    'instance_info': {
        'image_source': 'http://a/b', 'image_checksum': 'a' * 64,
        'image_os_hash_algo': 'sha256', 'root_gb': 10, 'swap_mb': '5',
        'image_type': 'whole-disk', 'root_device': {'name': '/dev/sda'}},
    'properties': {'cpu_arch': 'x86_64', 'capabilities': 'boot_mode:uefi'}}
RECORD: Values = {
    'identity': [1, 2, 3, 4], 'read_at': 1.5,
    'checksums': {'sha256': 'a' * 64}, 'manifest': {
        'version': 1, 'root': 'a' * 64, 'size': 100,
        'checksum': 'sha256:' + 'b' * 64}, 'verdicts': {'x': {
            'name': 'x', 'format': 'raw', 'virtual_size': 5,
            'has_kernel': None, 'findings': [findings.Finding(
                code='backing-file', expected='none', found='one',
                data={'format': 'qcow2'}).to_dict()]}}}


def read_order(sent: typing.Any) -> object:
    """The agent reads an order, and gives the same when it sends it."""
    found = order.DeployOrder.from_dict(
        sent if isinstance(sent, dict) else {}, _POLICY)
    again = order.DeployOrder.from_dict(found.to_dict(), _POLICY)
    if again != found:
        raise AssertionError(f'{found} became {again}')
    return found


def read_neighbours(sent: typing.Any) -> object:
    """Neighbours of an order: what each names can be used."""
    found = neighbours.Neighbours.from_dict(sent)
    if found is None:
        return None
    return found, [(peer.address, peer.der) for peer in found.peers]


def read_progress(told: typing.Any) -> object:
    """The conductor takes what an agent tells, and keeps it."""
    before = progress.ProgressRecord.from_dict(told)
    after = records.advanced(before, told, 60.0)
    for each in (before, after):
        if each:
            bounded(each.to_dict())
    return before, after and after.percent


def read_command(told: typing.Any) -> object:
    """The conductor takes the answer of an agent's API."""
    found = answers.result(told if isinstance(told, dict) else {})
    checked = report.checked(found.get('report'))
    bounded(checked)
    return checked, progress.AgentProgress.from_dict(found.get('progress'))


def bounded(value: object) -> None:
    """What is kept in a database is JSON, and not much of it."""
    if len(json.dumps(value, allow_nan=False)) > _MOST:
        raise AssertionError('too much is kept')


def read_node(told: typing.Any) -> object:
    """The command line takes a node of Ironic's API."""
    values = {**NODE, **(told if isinstance(told, dict) else {})}
    found = nodes.Deployment.of(types.SimpleNamespace(**values))
    for text in (found.name, found.state, found.step, found.error):
        if not text.isprintable():
            raise AssertionError(f'{text!r} on a terminal')
    return found.name, found.state, found.report


def read_fields(sent: typing.Any) -> object:
    """The conductor takes the fields of a node."""
    values = sent if isinstance(sent, dict) else {}
    return node_fields.check(types.SimpleNamespace(
        uuid='u', **{place: found if isinstance(
            found := values.get(place), dict) else {}
            for place in ('instance_info', 'properties')}))


def read_record(kept: typing.Any) -> object:
    """The conductor takes what it has noted beside a file of its cache."""
    with tempfile.NamedTemporaryFile('w', dir='/dev/shm') as file:
        json.dump(kept, file)
        file.flush()
        return record.Record.load(file.name)


def read_request(head: bytes) -> object:
    """A node takes a request of another."""
    found = protocol.Request.parse(head)
    if found.root and found.token:
        again = protocol.Request.parse(
            found.head('x').removesuffix(protocol.END_OF_HEAD))
        if again != found:
            raise AssertionError(f'{found} became {again}')
    return found.root, found.index, found.span, found.version, found.token


def read_answer(head: bytes) -> object:
    """A node takes the head of an answer of another."""
    found = protocol.Answer.parse(head)
    if found.status in protocol.REASONS and found.status != 304:
        again = protocol.Answer.parse(
            found.head().removesuffix(protocol.END_OF_HEAD))
        if again != found:
            raise AssertionError(f'{found} became {again}')
    return found


_HEADS = (b'\r\n', b': ', b'Range: bytes=', b'Content-Length: ', b'GET ',
          b'/v1/chunks/', b'HTTP/1.1 ', b'Authorization: Bearer ', b'\t',
          b'If-None-Match: "', b'Transfer-Encoding: chunked', b'\xb2')
_REQUEST = protocol.Request(token='t' * 40, root='a' * 64, index=3,
                            span=(0, 9)).head('h:1').rstrip()
_NEWS = protocol.Request(token='t' * 40, root='a' * 64, version=7
                         ).head('h:1').rstrip()
TARGETS: list[target.Target] = [
    target.MessageTarget('order', [ORDER], read_order,
                         errors=(order.InvalidOrder,)),
    target.MessageTarget('neighbours', [ORDER['neighbours']],
                         read_neighbours),
    target.MessageTarget('progress', [PROGRESS, KEPT], read_progress),
    target.MessageTarget('command', [COMMAND], read_command),
    target.MessageTarget('node', [NODE], read_node),
    target.MessageTarget('node-fields', [FIELDS], read_fields,
                         errors=(exception.InvalidParameterValue,)),
    target.MessageTarget('record', [RECORD], read_record),
    target.TextTarget('request', [_REQUEST, _NEWS], read_request,
                      words=_HEADS, errors=(protocol.BadMessage,)),
    target.TextTarget(
        'answer', [protocol.Answer(200, 5, 3).head().rstrip(),
                   protocol.Answer(304, version=1, keeps=False
                                   ).head().rstrip()],
        read_answer, words=_HEADS, errors=(protocol.BadMessage,)),
]
