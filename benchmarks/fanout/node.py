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

"""One node of the benchmark, as a process in a network namespace of its own.

It reads a line of JSON that says what to do, says that it is ready, waits for
another line, and prints one line of JSON at the end.
"""

from collections.abc import Iterator
import contextlib
import json
import pathlib
import ssl
import sys
import time
import typing
from unittest import mock

from ironic_python_agent import config  # noqa: F401  registers options
from ironic_python_agent.extensions import standby
from oslo_config import cfg

from ironic_imagedeploy.agent.neighbours import sharing
from ironic_imagedeploy.agent.neighbours import store as stores
from ironic_imagedeploy.contract import neighbours as contract
from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import manifest as manifests

Plan = dict[str, typing.Any]


def main() -> None:
    plan: Plan = json.loads(sys.stdin.readline())
    if plan['way'] == 'direct':
        cfg.CONF([], project='ironic-python-agent', default_config_files=[])
    print('ready', flush=True)
    sys.stdin.readline()
    start, busy = time.monotonic(), time.process_time()
    says = _direct(plan) if plan['way'] == 'direct' else _ours(plan)
    print(json.dumps({'seconds': says.pop('seconds') - start,
                      'processor': time.process_time() - busy, **says}),
          flush=True)


def _direct(plan: Plan) -> Plan:
    """Write the image as the deploy interface direct does.

    Without what it does to a block device afterwards: its target is a file.
    """
    with mock.patch.multiple(standby.disk_utils, autospec=True,
                             fix_gpt_partition=mock.DEFAULT,
                             block_uuid=mock.DEFAULT):
        extension = standby.StandbyExtension()
        extension.partition_uuids = {}
        extension._stream_raw_image_onto_device(plan['image_info'],
                                                plan['target'])
    return {'seconds': time.monotonic()}


def _ours(plan: Plan) -> Plan:
    """Write the image as our hardware manager does."""
    manifest = manifests.Manifest.decode(
        pathlib.Path(plan['manifest']).read_bytes())
    with engine.open_source(plan['url'], checksum_stated=True) as origin:
        source = engine.ChunkedSource(manifest, origin)
        with _sharing(plan, source) as shared:
            with engine.open_target(plan['target']) as target:
                inspection = engine.inspect(source, engine.Expectation(
                    disk_format='raw', disk_size=target.size,
                    checksum=manifest.checksum))
                inspection.raise_if_refused()
                with shared.disk(inspection, target):
                    report = engine.transfer(inspection, target,
                                             written=shared.written)
            end = time.monotonic()
            # What is still to do on a node: the partition table, the config
            # drive, and the answer to the conductor.
            time.sleep(plan['rest'])
            return {'seconds': end, **shared.report(),
                    'sources': report.to_dict()['sources']}


@contextlib.contextmanager
def _sharing(plan: Plan, source: engine.ChunkedSource
             ) -> Iterator[sharing.Sharing]:
    if plan['way'] == 'alone':
        yield sharing.Sharing()
        return
    named = contract.Neighbours.from_dict(plan['neighbours'])
    assert named is not None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(plan['certificate'])
    shared = sharing.NeighbourSharing(named, source, plan['memory'])
    if plan['lies']:
        # The same object, so that all that know it are lied to.
        shared.store.__class__ = _LyingStore
    shared.start(plan['address'], context)
    try:
        yield shared
    finally:
        shared.stop()


class _LyingStore(stores.ChunkStore):
    """Gives other bytes than those of the chunks."""

    def get(self, index: int) -> bytes | None:
        content = super().get(index)
        if content is None:
            return None
        return bytes([content[0] ^ 1]) + bytes(content[1:])


if __name__ == '__main__':
    main()
