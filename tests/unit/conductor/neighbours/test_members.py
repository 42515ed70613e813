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

import collections
import dataclasses
import json
import unittest

from ironic_imagedeploy.conductor.neighbours import members
from ironic_imagedeploy.contract import neighbours
from tests.support.simulation import certificate

PEM = certificate.make('192.0.2.1').pem
SEEDS = 4
RACK = frozenset({'00:00:5e:00:53:01'})


def member(number, peers=(), switches=RACK, since=None):
    """Node of that number, and what it was told."""
    return members.Member(
        root='ab' * 32, scope='*', switches=switches, until=7200.5,
        since=number if since is None else since, peer=neighbours.Peer(
            url=f'https://192.0.2.{number}:9998', certificate=PEM),
        order=neighbours.Neighbours(
            ticket_key='t' * 43, seconds=7200, port=9998, peers=tuple(peers)))


class MemberTest(unittest.TestCase):

    def test_as_a_database_keeps_it(self):
        sent = member(7, members.chosen([member(1)], RACK, 1))
        self.assertEqual(sent, members.Member.from_dict(*json.loads(
            json.dumps([sent.to_dict(), sent.order.to_dict()]))))

    def test_something_else(self):
        kept, sent = member(7).to_dict(), member(7).order.to_dict()
        for wrong in (None, 5, [], {}, {**kept, 'peer': None},
                      {**kept, 'since': 'x'}, {**kept, 'switches': 5},
                      {**kept, 'peer': {'url': 'http://x', 'certificate': ''}},
                      {name: value for name, value in kept.items()
                       if name != 'until'}):
            self.assertIsNone(members.Member.from_dict(wrong, sent), wrong)
        self.assertIsNone(members.Member.from_dict(kept, {}))

    def test_key_is_not_shown(self):
        self.assertNotIn('t' * 43, repr(member(7)))
        self.assertNotIn('t' * 43, str(member(7).to_dict()))


class ChosenTest(unittest.TestCase):

    def deploy(self, count, switches=lambda number: RACK):
        """Let nodes begin one after the other."""
        group = []
        for number in range(1, count + 1):
            peers = members.chosen(group, switches(number), SEEDS)
            group.append(member(number, peers, switches(number)))
        return group

    def test_each_gets_a_ticket_of_its_own(self):
        group = self.deploy(9)
        tickets = [peer.ticket for each in group[SEEDS:]
                   for peer in each.order.peers]
        self.assertEqual(15, len({neighbours.holder(each, 't' * 43)
                                  for each in tickets} - {None}))

    def test_the_first_few_have_the_conductor_alone(self):
        group = self.deploy(5)
        self.assertEqual([0, 0, 0, 0, 3],
                         [len(each.order.peers) for each in group])

    def test_nobody_is_named_to_many(self):
        group = self.deploy(100)
        named = collections.Counter(
            peer.url for each in group for peer in each.order.peers)
        self.assertLessEqual(max(named.values()), 4)

    def test_nobody_is_far_from_the_first(self):
        """A chunk reaches all in few steps, each of a chunk's time."""
        steps = {}
        for each in self.deploy(100):
            peers = [steps[peer.url] for peer in each.order.peers]
            steps[each.peer.url] = 1 + min(peers, default=0)
        self.assertLessEqual(max(steps.values()), 16)

    def test_same_switch_first(self):
        def switches(number):
            return frozenset({f'switch {number % 2}'})

        for number, each in enumerate(self.deploy(40, switches), 1):
            same = [peer for peer in each.order.peers
                    if int(peer.address[0].split('.')[-1]) % 2 == number % 2]
            expected = 0 if number <= SEEDS else min(
                3, (number - 1) // 2)
            self.assertEqual(expected, len(same), number)

    def test_those_that_began_first_where_all_else_is_the_same(self):
        group = [member(number, since=-number) for number in range(1, 9)]
        self.assertEqual(
            [8, 7, 6], [int(peer.address[0].split('.')[-1])
                        for peer in members.chosen(group, RACK, SEEDS)])

    def test_without_a_known_switch(self):
        self.assertEqual(3, len(members.chosen(
            self.deploy(4), frozenset(), SEEDS)))

    def test_peers_that_ended_do_not_count(self):
        group = [dataclasses.replace(each) for each in self.deploy(8)[5:]]
        self.assertEqual((), members.chosen(group, RACK, SEEDS))
