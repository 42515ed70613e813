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

"""A deployment over a slow network, watched from its begin to its end."""

from collections.abc import Sequence
import dataclasses
import datetime
import itertools
import pathlib
import threading
from typing import Any

import requests

from tests.lab import cloud
from tests.lab import job
from tests.lab import services
from tests.support import commands
from tests.support import progress
from tests.support import terminal

#: Of the network to the machine, bits a second.
_RATE = 8_000_000
#: Seconds
_OLDEST = 15
_WATCH_END = 60


@dataclasses.dataclass(frozen=True)
class Sample:
    """What Ironic's API said of the node at one moment."""

    at: datetime.datetime
    step: str
    progress: dict[str, Any]

    @property
    def age(self) -> float:
        """Seconds since the progress was learnt."""
        told = datetime.datetime.fromisoformat(self.progress['updated_at'])
        return (self.at - told).total_seconds()


class WatchJob(job.Job):
    """One node, and somebody who looks at it all the time."""

    def __init__(self, checkout: pathlib.Path, state: pathlib.Path,
                 force_raw_images: bool,
                 output: str) -> None:
        """Prepare it.

        :param output: file for what was to be seen; empty for none.
        """
        super().__init__(checkout, state, ['imagedeploy'], force_raw_images)
        self._machine = self._new_machine()
        self._output = output

    @property
    def checks(self) -> list[job.Check]:
        """All of them, in order."""
        return [
            *super().checks,
            ('node of our hardware type enrolled and available', self.enrol),
            ('deployed over a slow network', self.deploy),
            ('progress was shown early, and never old', self.fresh),
            ('progress was that of the write', self.true),
            ('watch drew it on a terminal', self.drawn)]

    def enrol(self) -> None:
        self._cloud = cloud.Cloud()
        self._node = self._cloud.enrol(self._machine, 'imagedeploy',
                                       'imagedeploy-redfish')
        self._image = self._cloud.upload('debian', self._image_path, 'qcow2')

    def deploy(self) -> None:
        commands.run('tc', 'qdisc', 'add', 'dev', self._machine.tap, 'root',
                     'tbf', 'rate', f'{_RATE}bit', 'burst', '64kb',
                     'latency', '400ms')
        with _Observer(self._node.id) as observer:
            node = self._cloud.deploy(self._node, self._image, job.HOSTNAME,
                                      job.DEPLOY_TIMEOUT)
            if observer.terminal is None:
                raise AssertionError('Ironic never began')
            self._status = observer.terminal.wait(_WATCH_END)
        self._observer = observer
        if node.provision_state != 'active':
            raise AssertionError(f'{node.provision_state}: {node.last_error}')
        self._report = node.driver_internal_info['imagedeploy']['report']
        progress.say(f'    written in {self._report["seconds"]:.0f} s')

    def fresh(self) -> None:
        writing = [each for each in self._observer.samples
                   if each.step == 'write_image']
        told = [each for each in writing if each.progress]
        if not told:
            raise AssertionError('no progress was shown')
        silence = (told[0].at - writing[0].at).total_seconds()
        age = max(each.age for each in told)
        progress.say(f'    {len(told)} looks; the first progress after '
                     f'{silence:.0f} s, never older than {age:.1f} s')
        if max(silence, age) > _OLDEST:
            raise AssertionError(f'older than {_OLDEST} s')

    def true(self) -> None:
        records = self._records()
        for each in records:
            progress.say(f'    {each["percent"]} %, '
                         f'{each["bytes_per_second"] / 1e6:.1f} MB/s, ends '
                         f'{each["estimated_end"]}, {each["bottleneck"]}')
        wrong = [each for each in records
                 if each['bottleneck'] != 'network' or each['stalled']
                 or not each['bytes_per_second'] or not each['estimated_end']
                 or each['total'] > self._report['virtual_size']]
        grows = all(one['percent'] < other['percent']
                    for one, other in itertools.pairwise(records))
        if len(records) < 4 or not grows or wrong:
            raise AssertionError(f'{len(records)} records, growing: {grows}, '
                                 f'wrong: {wrong}')
        self._compare_estimate(records)

    def drawn(self) -> None:
        assert self._observer.terminal is not None
        frames = self._observer.terminal.frames
        bars = [each for each in frames if '█' in each.text]
        chosen = [next(each for each in frames if each.text),
                  *_spread(bars, 3), frames[-1]]
        shown = terminal.story(chosen)
        print(shown, flush=True)
        if self._output:
            pathlib.Path(self._output).write_text(shown)
        lines = [each.text for each in bars]
        if (self._status or len(set(lines)) < 4
                or not all('network' in line and self._machine.name in line
                           for line in lines)):
            raise AssertionError(f'status {self._status}, '
                                 f'{len(set(lines))} different bars')
        if f'{self._machine.name}: active, ' not in frames[-1].text:
            raise AssertionError('the end is not to be seen')

    def _records(self) -> list[dict[str, Any]]:
        """What was told of the write, each once; not its ends."""
        by_time = {each.progress['updated_at']: each.progress
                   for each in self._observer.samples if each.progress}
        return [each for each in by_time.values()
                if each['phase'] == 'write'
                and 0 < each['done'] < each['total']]

    def _compare_estimate(self, records: list[dict[str, Any]]) -> None:
        """Hold the end, as estimated in the middle, against the real one."""
        middle = records[len(records) // 2]
        last = _time(records[-1]['updated_at'])
        written = next(each.at for each in self._observer.samples
                       if each.at > last and each.progress not in records)
        left = (written - _time(middle['updated_at'])).total_seconds()
        error = (_time(middle['estimated_end']) - written).total_seconds()
        progress.say(f'    {left:.0f} s before the end, it was estimated '
                     f'{error:+.0f} s off')
        if abs(error) > max(left, _OLDEST):
            raise AssertionError('the estimated end has nothing to do with '
                                 'the real one')


class _Observer:
    """Looks at the node once a second; watches as soon as it is deployed.

    :ivar terminal: of ``ironic-imagedeploy watch``.
    """

    def __init__(self, node: str) -> None:
        self.samples: list[Sample] = []
        self.terminal: terminal.Terminal | None = None
        self._node = node
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> '_Observer':
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        with requests.Session() as session:
            session.headers['X-OpenStack-Ironic-API-Version'] = '1.82'
            while not self._stopped.wait(1):
                self._look(session)

    def _look(self, session: requests.Session) -> None:
        answer = session.get(
            f'{services.IRONIC_URL}/v1/nodes/{self._node}', timeout=30)
        if not answer.ok:
            return
        node = answer.json()
        if node['provision_state'] == 'deploying' and self.terminal is None:
            self.terminal = terminal.watch(services.IRONIC_URL, self._node)
        ours = node['driver_internal_info'].get('imagedeploy') or {}
        self.samples.append(Sample(
            at=datetime.datetime.now(datetime.UTC),
            step=(node['deploy_step'] or {}).get('step', ''),
            progress=ours.get('progress') or {}))


def _spread(frames: Sequence[terminal.Frame], count: int
            ) -> list[terminal.Frame]:
    """So many of them, from the first to the last."""
    last = len(frames) - 1
    return [frames[last * each // (count - 1)] for each in range(count)]


def _time(stamp: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(stamp)
