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

"""What an operator sees of several deployments."""

from tests.lifecycle import base
from tests.support import commands
from tests.support.simulation import agent
from tests.support import terminal


class WatchTest(base.LifeCycleTestCase):
    """``ironic-imagedeploy watch``, by Ironic's API alone."""

    def test_until_the_last_one_has_ended(self) -> None:
        subjects = {}
        for name in ('fast', 'slow', 'stuck', 'stock'):
            subjects[name] = base.Subject.enrol(
                'direct' if name == 'stock' else 'imagedeploy',
                agent.Behaviour(write_seconds=8 if name == 'fast' else 20),
                name=f'node-{name}')
            self.addCleanup(base.remove, subjects[name])
        stuck = subjects['stuck']
        stuck.write()
        for name in ('fast', 'slow', 'stock'):
            subjects[name].order()
        shown = terminal.watch(base.cloud().site.url)
        self.addCleanup(shown.end)

        def seen(name: str, *words: str) -> bool:
            return any(_tells(each.text, name, *words)
                       for each in shown.frames)

        def wait(name: str, *words: str) -> None:
            try:
                commands.wait_for(f'{words} of {name}',
                                  lambda: seen(name, *words), timeout=60,
                                  interval=0.2)
            except commands.TimedOut as error:
                self.fail(f'{error}:\n{shown.text}')
        wait('stuck', 'STALLED for ', 'waits for network')
        wait('fast', 'writing', '█', '/s', ' left', 'network')
        wait('slow', 'writing', '█', '/s', ' left', 'network')
        wait('stock', 'wait call-back')
        wait('fast', 'active, 16 MiB written in ')
        stuck.machine.held = False
        self.assertEqual(0, shown.wait(60))
        both = [each for each in shown.frames
                if _tells(each.text, 'fast', 'active')
                and _tells(each.text, 'slow', 'writing')]
        self.assertTrue(both, shown.text)
        for name in ('fast', 'slow', 'stuck'):
            self.assertTrue(_tells(shown.text, name,
                                   'active, 16 MiB written in '), shown.text)
        self.assertTrue(_tells(shown.text, 'stock', 'active'), shown.text)
        chosen = [max(shown.frames, key=lambda each: each.text.count('▕')),
                  next(each for each in shown.frames
                       if 'STALLED' in each.text), shown.frames[-1]]
        (base.cloud().site.state / 'watch.txt').write_text(
            terminal.story(chosen))

    def test_failure(self) -> None:
        subject = base.Subject.enrol(
            'imagedeploy', agent.Behaviour(ours=False), name='node-old')
        self.addCleanup(base.remove, subject)
        subject.order()
        shown = terminal.watch(base.cloud().site.url, 'node-old')
        self.addCleanup(shown.end)
        self.assertEqual(0, shown.wait(60))
        self.assertIn('node-old: deploy failed, ', shown.text)
        self.assertIn('does not carry the agent side of imagedeploy',
                      shown.text)


def _tells(text: str, name: str, *words: str) -> bool:
    """Whether one line of the terminal is about the node and has these."""
    return any(all(word in line for word in words)
               for line in text.splitlines()
               if line.startswith(f'node-{name}'))
