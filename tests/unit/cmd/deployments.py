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

"""Deployments that have ended, as Ironic and files tell of them."""

import datetime
import typing

from ironic_imagedeploy.contract import names
from ironic_imagedeploy.contract import timeline

MIB = 1 << 20
EVENTS = [(timeline.Event.BEGUN, 0), (timeline.Event.ACCEPTED, 2),
          (timeline.Event.POWER, 3), (timeline.Event.RAMDISK, 8),
          (timeline.Event.AGENT, 98), (timeline.Event.WRITE, 99),
          (timeline.Event.WRITTEN, 129), (timeline.Event.BOOT, 130),
          (timeline.Event.DONE, 140)]
HOSTILE = '</style><script>alert("1")</script>\x1b[31m'


def report(**values: typing.Any) -> dict[str, typing.Any]:
    """What an agent told of a write of 20 seconds."""
    return {
        'source': 'https://images.example.com/debian-13.qcow2',
        'format': 'qcow2', 'virtual_size': 2048 * MIB,
        'target_size': 4096 * MIB, 'backup_gpt_misplaced': False,
        'bytes_read': 512 * MIB, 'bytes_written': 900 * MIB,
        'bytes_zeroed': 1148 * MIB, 'zeroes_written': 0, 'resumes': 1,
        'seconds': 20.0, 'read_back': 'none', 'bottleneck': 'network',
        'peak_rss': 80 * MIB, 'reused': 0, 'verified_by': 'chunks',
        'checksum': {'algorithm': 'sha512', 'value': 'ab' * 64,
                     'verified': True},
        'sources': [
            {'name': 'conductor', 'bytes': 128 * MIB, 'bad_chunks': 0},
            {'name': 'https://192.0.2.7:9998', 'bytes': 384 * MIB,
             'bad_chunks': 1}],
        'phases': [{'name': 'inspect', 'start': 0.0, 'seconds': 1.5},
                   {'name': 'write', 'start': 1.5, 'seconds': 20.0},
                   {'name': 'boot', 'start': 21.5, 'seconds': 3.0}],
        'throughput': [
            {'seconds': 2.0 * (index + 1), 'read': (5 + index) * 8 * MIB,
             'written': 90 * MIB, 'bottleneck': (
                 'network', 'decode', 'disk')[index // 4]}
            for index in range(10)],
        'partitions': [
            {'number': 1, 'start': MIB, 'length': 124 * MIB, 'name': 'EFI',
             'type': 'c12a7328-f81f-11d2-ba4b-00a0c93ec93b'},
            {'number': 2, 'start': 128 * MIB, 'length': 1900 * MIB,
             'name': 'root',
             'type': '4f68bce3-e8cd-4db1-96e7-fbcaf984b709'}],
        **values}


class Node:
    """A node, as openstacksdk gives it."""

    def __init__(self, name: str = 'node-1', *, slower: float = 0.0,
                 **values: typing.Any) -> None:
        start = datetime.datetime(2026, 11, 26, tzinfo=datetime.UTC)
        times = {}
        late = 0.0
        for event, seconds in EVENTS:
            late = slower if event in ('written', 'boot', 'done') else late
            times[str(event)] = (start + datetime.timedelta(
                seconds=seconds + late)).isoformat()
        self.id = '1be26c0b-03f2-4d2e-ae87-c02d7f33c781'
        self.name = name
        self.provision_state = values.pop('state', 'active')
        self.last_error = values.pop('error', None)
        self.resource_class = values.pop('kind', 'large')
        handover = values.pop('handover', None)
        told = values.pop('report', report(**values))
        kept: dict[str, typing.Any] = {timeline.KEY: times}
        if handover:
            kept[names.HANDOVER] = handover
        if told is not None:
            kept[names.REPORT] = told
        self.driver_internal_info = {names.KEY: kept}
