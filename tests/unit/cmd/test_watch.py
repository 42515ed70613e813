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

"""The command watch against Ironic's own API."""

import contextlib
import datetime
import io
import json
import os
import pty
from unittest import mock

from tests.support import schema
from tests.unit.cmd import ironic_api

from ironic.tests.unit.objects import utils

from ironic_imagedeploy.cmd import imagedeploy
from ironic_imagedeploy.cmd import watch

MIB = 1 << 20
PROGRESS = {'phase': 'write', 'done': 25 * MIB, 'total': 100 * MIB,
            'bytes_per_second': 10 * MIB, 'bottleneck': 'network',
            'stalled': None}


class WatchTestCase(ironic_api.ApiTestCase):

    def add(self, name, number=1, **values):
        """A node that is being written to."""
        told = values.pop('progress', PROGRESS)
        return utils.create_test_node(
            self.context, name=name, uuid=f'{number:032x}',
            **{'provision_state': 'wait call-back',
               'deploy_step': {'step': 'write_image'},
               'driver_internal_info': {'imagedeploy': {'progress': told}},
               **values})

    def run_watch(self, *arguments, cloud='lab', stream=None):
        """The status; what was printed is in ``out`` and ``err``."""
        out, err = stream or io.StringIO(), io.StringIO()
        with (contextlib.redirect_stdout(out),
              contextlib.redirect_stderr(err)):
            status = imagedeploy.main([
                'watch', *(['--os-cloud', cloud] if cloud else []),
                *arguments])
        self.err = err.getvalue()
        if stream is None:
            self.out = out.getvalue()
            schema.check(('watch', *arguments), self.out)
        return status


class LinesTest(WatchTestCase):

    def test_a_line_for_each_deploying_node(self):
        self.add('one')
        self.add('two', 2, progress={**PROGRESS, 'stalled': {
            'since': '2026-01-01T00:00:00+00:00', 'waiting_for': 'disk'}})
        self.add('three', 3, driver_internal_info={},
                 provision_state='deploying')
        self.add('four', 4, provision_state='active')
        self.assertEqual(0, self.run_watch('--once'))
        three, one, two = self.out.splitlines()
        self.assertEqual('three: deploying, write_image', three)
        self.assertEqual('one: writing: 25%, 25 MiB of 100 MiB, 10 MiB/s, '
                         '7.5 s left, limited by network', one)
        self.assertRegex(two, '^two: STALLED for .* h .* min, waits for '
                         'disk, writing: 25%, 25 MiB of 100 MiB$')

    def test_the_time_left_is_that_of_the_record(self):
        """Bytes and their speed say nothing of zeroes."""
        end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(
            hours=2, minutes=30, seconds=20)
        self.add('one', progress={**PROGRESS,
                                  'estimated_end': end.isoformat()})
        self.assertEqual(0, self.run_watch('--once'))
        self.assertIn('2 h 30 min left', self.out)

    def test_ends_with_the_last_deployment(self):
        node = self.add('one')

        def finish(seconds):
            node.provision_state = 'active'
            node.set_driver_internal_info('imagedeploy', {'report': {
                'virtual_size': 100 * MIB, 'seconds': 4.2}})
            node.save()

        with mock.patch.object(watch, '_wait', autospec=True,
                               side_effect=finish) as sleep:
            self.assertEqual(0, self.run_watch('--interval', '2'))
        sleep.assert_called_once_with(2.0)
        self.assertEqual('one: active, 100 MiB written in 4.2 s',
                         self.out.splitlines()[-1])

    def test_failure(self):
        self.add('one', provision_state='deploy failed',
                 last_error='no\x1b[2J disk')
        self.assertEqual(0, self.run_watch('one'))
        self.assertEqual('one: deploy failed, no\\x1b[2J disk\n', self.out)

    def test_nothing_deploys(self):
        self.assertEqual(0, self.run_watch())
        self.assertEqual('', self.out)
        self.assertIn('no node is being deployed', self.err)

    def test_follow_waits_for_more(self):
        with (mock.patch.object(
                watch, '_wait', autospec=True, side_effect=[
                    None, KeyError]) as sleep,
              contextlib.suppress(KeyError)):
            self.run_watch('--follow')
        self.assertEqual(2, sleep.call_count)

    def test_named_nodes(self):
        self.add('one')
        self.add('two', 2)
        self.run_watch('two', '--once')
        self.assertTrue(self.out.startswith('two: '), self.out)
        self.assertEqual(1, len(self.out.splitlines()))
        self.assertEqual(3, self.run_watch('three'))
        self.assertIn('expected a node of that name, found none', self.err)

    def test_json(self):
        self.add('one')
        self.assertEqual(0, self.run_watch('--json'))
        node, = json.loads(self.out)['nodes']
        self.assertEqual(('one', 25 * MIB), (
            node['name'], node['progress']['done']))

    def test_what_a_ramdisk_tells_cannot_move_the_cursor(self):
        self.add('one', progress={**PROGRESS, 'phase': '\x1b[2J',
                                  'bottleneck': '\r', 'done': 'many'})
        self.run_watch('--once')
        self.assertTrue(self.out.strip().isprintable(), repr(self.out))

    def test_no_ironic(self):
        self.assertEqual(3, self.run_watch(cloud='gone'))
        self.assertIn('Ironic cannot be asked', self.err)
        self.assertNotIn('verysecret', self.err)
        self.assertEqual(3, self.run_watch(cloud='nowhere'))

    def test_no_cloud(self):
        for name, found in ((None, 'no cloud is configured; clouds.yaml has: '
                             'lab, gone'),
                            ('elsewhere', "no cloud 'elsewhere'")):
            with mock.patch.dict(os.environ):
                os.environ.pop('OS_CLOUD', None)
                self.assertEqual(3, self.run_watch(cloud=name))
            self.assertIn(found, self.err)
            self.assertIn('--os-cloud', self.err)

    def test_an_ironic_that_is_restarted(self):
        self.add('one')
        deployments = watch.nodes.Ironic.deployments
        answers = [deployments, watch.nodes.CloudError(
            'watch', expected='an answer', found='none', fix='Wait.')]

        def look(ironic):
            answer = answers.pop(0) if answers else (lambda _: [])
            if isinstance(answer, Exception):
                raise answer
            return answer(ironic)

        with (mock.patch.object(watch.nodes.Ironic, 'deployments', look),
              mock.patch.object(watch, '_wait', autospec=True,
                                side_effect=[None, None, KeyError])):
            self.run_watch()
        self.assertIn('It is tried again', self.err)


class TerminalTest(WatchTestCase):

    def test_draws_anew(self):
        node = self.add('one')
        self.add('two', 2)
        ours, theirs = pty.openpty()
        self.addCleanup(os.close, ours)

        def finish(seconds):
            node.provision_state = 'active'
            node.save()
            sleep.side_effect = KeyError

        with (open(theirs, 'w', encoding='utf-8') as terminal,
              mock.patch.object(watch, '_wait', autospec=True,
                                side_effect=finish) as sleep):
            self.run_watch(stream=terminal)
            terminal.flush()
            drawn = ''
            while drawn.count('\x1b[J') < 2:
                drawn += os.read(ours, 65536).decode(errors='replace')
        first, _, second = drawn.partition('\x1b[2F')
        self.assertIn('one  writing      \u2595\u2588', first)
        self.assertIn('one: active\x1b[K', second)
        self.assertIn('two  writing', second)
        self.assertTrue(second.endswith('\x1b[J'), repr(second))

    def test_rows_never_reach_the_last_column(self):
        self.add('a-node-with-a-name')
        seen, = watch.nodes.Ironic('lab').deployments()
        for columns in range(1, 160):
            line = watch.row(seen, 18, columns, True)
            self.assertLess(len(line), max(columns, 2), line)
