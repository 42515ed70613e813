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

import unittest
from unittest import mock

from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.sources import answer
from ironic_imagedeploy.engine.sources import mirrors
from tests.support import web
from tests.unit.engine import base
from tests.unit.engine import qcow2_builder as qcow2
from tests.unit.engine import recording
from tests.unit.engine.sources import served

MIB = base.MIB
Exchange = web.Exchange


class MirrorTest(served.ServedTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.mirror = self.serve()
        self.options = {'mirrors': [self.mirror.url('image')]}

    def test_a_good_server_needs_no_mirror(self) -> None:
        self.streamed(self.opened(**self.options))
        self.assertEqual([], self.mirror.requests)

    def test_a_server_that_has_not_the_file(self) -> None:
        for fault in (lambda exchange: exchange.refuse(404),
                      lambda exchange: exchange.refuse(500),
                      lambda exchange: exchange.hang_up('reset')):
            self.server.answer = fault
            source = self.opened(**self.options)
            self.assert_same(self.content, self.streamed(source))

    def test_a_server_that_is_not_there(self) -> None:
        source = self.opened('http://127.0.0.1:9/image', **self.options)
        self.assert_same(self.content, self.streamed(source))

    def test_a_server_that_dies_on_the_way(self) -> None:
        self.server.answer = web.in_turn(
            Exchange.serve,
            lambda exchange: exchange.serve(stop_after=2 * MIB),
            last=lambda exchange: exchange.refuse(500))
        source = self.opened(**self.options)
        self.assert_same(self.content, self.streamed(source))
        self.assertEqual((self.mirror.url('image'), 1),
                         (source.name, source.resumes))
        self.assertIn(f'bytes={3 * MIB}-{len(self.content) - 1}',
                      self.mirror.requests)

    def test_the_mirror_gets_as_much_patience(self) -> None:
        self.server.answer = web.since(
            1, lambda exchange: exchange.refuse(500))
        busy = [lambda exchange: exchange.refuse(503)] * 2
        self.mirror.answer = web.in_turn(Exchange.serve, *busy)
        source = self.opened(**self.options)
        self.assert_same(self.content, self.streamed(source))

    def test_a_read_at_an_offset_goes_to_the_mirror_too(self) -> None:
        source = self.opened(**self.options)
        self.server.answer = lambda exchange: exchange.refuse(500)
        self.assertEqual(self.content[2 * MIB:][:9],
                         source.read_at(2 * MIB, 9))

    def test_a_mirror_with_another_file(self) -> None:
        self.server.answer = web.since(
            1, lambda exchange: exchange.refuse(500))
        self.mirror.answer = lambda exchange: exchange.serve(
            content=self.content + b'more')
        self.assert_fails(exceptions.SourceChanged, **self.options)

    def test_a_mirror_without_ranges(self) -> None:
        self.server.answer = web.since(
            1, lambda exchange: exchange.refuse(500))
        self.mirror.answer = lambda exchange: exchange.serve(ranges=False)
        error = self.assert_fails(exceptions.SourceChanged, **self.options)
        self.assertIn('whole file only', error.found)

    def test_all_are_dead(self) -> None:
        for server in (self.server, self.mirror):
            server.answer = lambda exchange: exchange.refuse(500)
        self.assert_fails(exceptions.SourceUnavailable, '500',
                          **self.options)
        self.server.answer = web.in_turn(
            Exchange.serve, last=lambda exchange: exchange.refuse(500))
        self.assert_fails(exceptions.SourceUnavailable, '500',
                          **self.options)

    def test_a_mirror_that_lies_is_found_out(self) -> None:
        """Of the same size and type, but with another table."""
        builder = qcow2.fill(qcow2.Builder(4 * MIB), 'd')
        while builder.places.get('l2-0', 0) < MIB:
            file = builder.build()
        self.save('image', file)
        inspection = engine.inspect(self.opened(**self.options))
        self.server.answer = lambda exchange: exchange.refuse(500)
        file[builder.places['l2-0'] + 5] ^= 1
        self.mirror.answer = lambda exchange: exchange.serve(
            content=bytes(file))
        target = recording.RecordingTarget(4 * MIB)
        self.assertRaises(exceptions.SourceChanged, engine.transfer,
                          inspection, target)
        self.assert_holds(target.disk[:MIB], 0)


class ThreadDownloadsTest(served.ServedTestCase):

    def test_a_thread_goes_on_where_it_is(self) -> None:
        """With the same connection, until that is at its end."""
        downloads = mirrors.ThreadDownloads(self.opened()._mirrors)
        first = downloads.at(MIB, MIB + 100)
        self.assertIs(first, downloads.at(MIB, 3 * MIB))
        view = memoryview(bytearray(60))
        while first.position < MIB + 60:
            first.readinto(view[first.position - MIB:])
        self.assertEqual(self.content[MIB:MIB + 60], bytes(view))
        self.assertIs(first, downloads.at(MIB + 60, 0))
        while first.readinto(view):
            pass
        following = downloads.at(MIB + 100, 3 * MIB)
        self.assertIsNot(first, following)
        self.assertEqual((MIB + 100, 3 * MIB),
                         (following.position, following.end))
        for position in (MIB + 99, MIB + 101):
            self.assertIsNot(following, downloads.at(position, 3 * MIB))


class PatienceTest(unittest.TestCase):

    def test_pauses_grow_up_to_a_limit(self) -> None:
        problem = exceptions.SourceUnavailable(
            'x', expected='x', found='x', fix='x')
        with mock.patch.object(mirrors, '_PAUSE', 0.5), mock.patch.object(
                mirrors.time, 'sleep', autospec=True) as sleep:
            patience = mirrors.Patience(10, answer.Deadline())
            for _ in range(10):
                self.assertTrue(patience.wait(problem))
            self.assertFalse(patience.wait(problem))
        self.assertEqual([0.5, 1, 2, 4, 8, 16, 30, 30, 30, 30],
                         [call.args[0] for call in sleep.call_args_list])

    def test_no_pause_reaches_the_deadline(self) -> None:
        """The problem is told then, not that there was no more time."""
        problem = exceptions.SourceUnavailable(
            'x', expected='x', found='x', fix='x')
        problem.retry_after = 10
        patience = mirrors.Patience(10, answer.Deadline(5))
        self.assertFalse(patience.wait(problem))

    def test_a_pause_ends_before_the_deadline(self) -> None:
        problem = exceptions.SourceUnavailable(
            'x', expected='x', found='x', fix='x')
        problem.retry_after = 3
        for left, expected in ((3, False), (3.01, True)):
            deadline = mock.create_autospec(answer.Deadline, instance=True)
            deadline.seconds_left = left
            with mock.patch.object(mirrors.time, 'sleep', autospec=True
                                   ) as sleep:
                self.assertIs(expected, mirrors.Patience(
                    1, deadline).wait(problem))
            self.assertEqual(expected, sleep.called)

    def test_whoever_watches_is_told_before(self) -> None:
        told: list[object] = []
        problem = exceptions.SourceUnavailable(
            'x', expected='x', found='x', fix='x')
        with mock.patch.object(
                mirrors.time, 'sleep', autospec=True,
                side_effect=lambda seconds: told.append('pause')):
            patience = mirrors.Patience(
                2, answer.Deadline(),
                notice=lambda *notice: told.append(notice))
            while patience.wait(problem):
                pass
        self.assertEqual([(problem, 0.5), 'pause', (problem, 1), 'pause'],
                         told)

    def test_what_no_pause_helps(self) -> None:
        patience = mirrors.Patience(5, answer.Deadline())
        self.assertFalse(patience.wait(exceptions.SourceNotFound(
            'x', expected='x', found='x', fix='x')))
        self.assertEqual(0, patience.failures)

    def test_one_that_cannot_be_reached(self) -> None:
        unavailable, unreachable = (kind(
            'x', expected='x', found='x', fix='x') for kind in (
                exceptions.SourceUnavailable, exceptions.SourceUnreachable))
        with mock.patch.object(mirrors.time, 'sleep', autospec=True):
            for retries, other, problem, pauses in (
                    (4, 2, unreachable, 2), (4, 2, unavailable, 4),
                    (4, None, unreachable, 4), (4, 9, unreachable, 4),
                    (4, 0, unreachable, 0), (0, None, unavailable, 0)):
                patience = mirrors.Patience(retries, answer.Deadline(),
                                            unreachable=other)
                self.assertEqual(0, patience.failures)
                for _ in range(pauses):
                    self.assertIs(True, patience.wait(problem))
                self.assertIs(False, patience.wait(problem))
                self.assertEqual(pauses + 1, patience.failures)

    def test_only_enough_progress_counts(self) -> None:
        problem = exceptions.SourceUnavailable(
            'x', expected='x', found='x', fix='x')
        patience = mirrors.Patience(1, answer.Deadline())
        patience.progressed(mirrors.PROGRESS - 1)
        self.assertTrue(patience.wait(problem))
        patience.progressed(mirrors.PROGRESS - 1)
        self.assertFalse(patience.wait(problem))
        for more in (1, mirrors.PROGRESS):
            patience.progressed(mirrors.PROGRESS - 1)
            patience.progressed(more)
            self.assertTrue(patience.wait(problem))
