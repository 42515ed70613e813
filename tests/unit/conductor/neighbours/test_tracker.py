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

import json
import time
from unittest import mock

from oslo_db import exception as db_exception
from oslo_utils import uuidutils

from ironic.common import states
from ironic.conductor import task_manager
from ironic.drivers.modules import agent_client
from ironic.tests.unit.objects import utils as objects_utils

from ironic_imagedeploy.conductor.neighbours import tracker
from ironic_imagedeploy.conductor import order as orders
from ironic_imagedeploy.conductor import serving
from ironic_imagedeploy.contract import names
from ironic_imagedeploy.contract import neighbours
from ironic_imagedeploy.contract import order
from ironic_imagedeploy.contract import policy
from tests.support.simulation import certificate
from tests.unit.conductor import base

#: As many nodes have the conductor alone.
SEEDS = 4
POLICY = policy.Policy(permitted_formats=('raw',), read_back='none',
                       insecure_checksums_permitted=False, workers=1)
VERSIONS = {names.HARDWARE_MANAGER: str(names.NEIGHBOURS_SINCE)}
WRITE = {'step': 'write_image', 'interface': 'deploy', 'priority': 80,
         'args': None, 'argsinfo': None}


class TrackerTestCase(base.ConductorTestCase):
    """Nodes in their ramdisks, each with the order of a conductor."""

    def setUp(self):
        super().setUp()
        self.config(neighbours=True, neighbour_seeds=SEEDS,
                    group='imagedeploy')
        self.pem = certificate.make('192.0.2.1').pem
        self.nodes = []

    def booted(self, *, root='ab' * 32, public=True, url=None, pem=None,
               versions=VERSIONS, switch=None, **fields):
        """A node that is about to write an image."""
        number = len(self.nodes) + 1
        path = self.directory / f'{number}.crt'
        path.write_text(self.pem if pem is None else pem)
        sent = order.DeployOrder(
            policy=POLICY, public=public, manifest=root and (
                order.RemoteManifest(url='http://192.0.2.9/manifest',
                                     root=root, size=100))).to_dict()
        node = objects_utils.create_test_node(
            self.context, **{
                'uuid': uuidutils.generate_uuid(), 'name': None,
                'driver': 'fake-hardware', 'deploy_interface': 'imagedeploy',
                'network_interface': 'noop',
                'provision_state': states.DEPLOYING,
                'driver_internal_info': {
                    names.KEY: sent, 'agent_verify_ca': str(path),
                    'agent_url': url or f'https://192.0.2.{number}:9999',
                    'hardware_manager_version': versions}, **fields})
        if switch:
            objects_utils.create_test_port(
                self.context, node_id=node.id,
                uuid=uuidutils.generate_uuid(),
                address=f'52:54:00:00:00:{number:02x}',
                local_link_connection={'switch_id': switch, 'port_id': '1'})
        self.nodes.append(node)
        return node

    def begin(self, node=None, **fields):
        """Begin to write: the neighbours in the order of the node."""
        node = node or self.booted(**fields)
        with task_manager.acquire(self.context, node.uuid,
                                  shared=False) as task:
            tracker.introduce(task)
        return self.told(node)

    def told(self, node=None):
        node = node or self.nodes[-1]
        node.refresh()
        return order.DeployOrder.from_dict(
            node.driver_internal_info[names.KEY], POLICY).neighbours

    def assert_admitted(self, told, by):
        """The only peer of a node gets in where it is led to.

        :param told: to the one.
        :param by: what the other was told.
        """
        peer, = told.peers
        self.assertIsNotNone(neighbours.holder(peer.ticket, by.ticket_key))

    def hosts(self, told):
        """Numbers of the nodes that are named."""
        return [int(peer.address[0].rpartition('.')[2])
                for peer in told.peers]

    def seeds(self, **fields):
        """As many nodes as have the conductor alone."""
        return [self.begin(**fields) for _ in range(SEEDS)]


class IntroductionTest(TrackerTestCase):

    def test_first_nodes_and_the_next(self):
        told = self.seeds()
        self.assertEqual([()] * SEEDS, [each.peers for each in told])
        following = self.begin()
        self.assertEqual([1, 2, 3], self.hosts(following))
        # Each of them has its own key, and tickets to no other node.
        self.assertEqual(SEEDS, len({each.ticket_key for each in told}))
        holders = [neighbours.holder(peer.ticket, each.ticket_key)
                   for peer, each in zip(following.peers, told, strict=False)]
        self.assertEqual(3, len(set(holders) - {None}))
        self.assertIsNone(neighbours.holder(following.peers[0].ticket,
                                            told[1].ticket_key))
        self.assertEqual(
            ['https://192.0.2.1:9998', self.pem],
            [following.peers[0].url, following.peers[0].certificate])
        self.assertEqual([4, 5, 1], self.hosts(self.begin()))
        self.assertEqual(9998, following.port)
        self.assertAlmostEqual(tracker.LIFETIME, following.seconds, delta=60)

    def test_one_seed(self):
        self.config(neighbour_seeds=1, group='imagedeploy')
        self.assertEqual([[], [1], [2, 1], [3, 2, 1]],
                         [self.hosts(self.begin()) for _ in range(4)])

    def test_many_begin_within_a_second(self):
        nodes = [self.booted(switch=f'switch-{number % 4}')
                 for number in range(32)]
        told = [self.begin(node) for node in nodes]
        self.assertEqual(SEEDS, sum(not each.peers for each in told))
        self.assertEqual(32, len({each.ticket_key for each in told}))
        tickets = [peer.ticket for each in told for peer in each.peers]
        self.assertEqual(len(tickets), len(set(tickets)))
        began = {f'https://192.0.2.{number}:9998': node.driver_internal_info[
            names.KEY]['member']['since']
            for number, node in enumerate(self.nodes, 1)}
        named = [0] * 33
        for number, each in enumerate(told, 1):
            for peer in each.peers:
                self.assertLess(began[peer.url],
                                began[f'https://192.0.2.{number}:9998'])
            for host in self.hosts(each):
                named[host] += 1
        self.assertLessEqual(max(named), 5)

    def test_same_switch(self):
        for number in range(8):
            self.begin(switch=f'switch-{number // 4}')
        found = self.hosts(self.begin(switch='SWITCH-1'))
        self.assertEqual(3, len(found))
        self.assertLess(set(found), {5, 6, 7, 8})

    def test_agent_by_the_sixth_version_of_ip(self):
        self.seeds(url='https://[2001:db8::7]:9999')
        self.assertEqual('https://[2001:db8::7]:9998',
                         self.begin().peers[0].url)

    def test_a_second_attempt_is_no_neighbour_of_its_own(self):
        self.seeds()
        for _ in range(2):
            self.assertNotIn(1, self.hosts(self.begin(self.nodes[0])) or [0])

    def test_as_it_is_sent_to_the_agent(self):
        self.seeds()
        node = self.booted()
        node.instance_info = {'image_source': 'http://192.0.2.9/image',
                              'image_url': 'http://192.0.2.9/image'}
        node.save()
        sent = []
        with (task_manager.acquire(self.context, node.uuid,
                                   shared=False) as task,
              mock.patch.object(
                  agent_client.AgentClient, '_command', autospec=True,
                  side_effect=lambda client, node, method, params: (
                      sent.append(params) or {'command_status': 'RUNNING'}))):
            task.driver.deploy.execute_deploy_step(task, WRITE)
        received = json.loads(json.dumps(sent[0]['node'][
            'driver_internal_info'][names.KEY]))
        self.assertEqual(self.told(node), order.DeployOrder.from_dict(
            received, POLICY).neighbours)
        self.assertEqual([1, 2, 3], self.hosts(self.told(node)))

    def test_database_that_fails(self):
        node = self.booted()
        with mock.patch.object(
                tracker, '_running', autospec=True,
                side_effect=db_exception.DBConnectionError('gone')):
            self.assertIsNone(self.begin(node))


class SharingTest(TrackerTestCase):
    """Who is a neighbour of whom."""

    def assert_strangers(self, one, other):
        """Nodes of one kind are not named to those of another one."""
        self.seeds(**one)
        following = self.begin(**other)
        if following:
            self.assertEqual((), following.peers)

    def test_another_image(self):
        self.assert_strangers({}, {'root': 'cd' * 32})

    def test_private_image_of_another_project(self):
        for one, other in (
                ({'owner': 'a'}, {'owner': 'b'}), ({'owner': 'a'}, {}),
                ({}, {'owner': 'a'}), ({'lessee': 'a'}, {'lessee': 'b'}),
                ({'owner': 'a', 'lessee': 'b'}, {'owner': 'b'}),
                ({'owner': 'a', 'lessee': 'b'}, {'owner': 'a'})):
            root = uuidutils.generate_uuid(dashed=False) * 2
            self.assert_strangers(
                {'public': False, 'root': root, **one},
                {'public': False, 'root': root, **other})

    def test_private_image_of_one_project(self):
        for fields in ({'owner': 'a'}, {}, {'owner': 'a', 'lessee': 'b'}):
            root = uuidutils.generate_uuid(dashed=False) * 2
            self.seeds(public=False, root=root, **fields)
            self.assertEqual(3, len(self.begin(
                public=False, root=root, **fields).peers))

    def test_public_image(self):
        self.seeds(owner='a')
        self.assertEqual(3, len(self.begin(owner='b').peers))

    def test_an_image_that_is_public_for_one_of_them(self):
        self.assert_strangers({'public': False}, {'public': True})

    def test_who_cannot_be_one(self):
        for fields in ({'root': None}, {'url': 'http://192.0.2.1:9999'},
                       {'pem': ''}, {'pem': 'x' * 9000}, {'versions': {}},
                       {'pem': self.pem * 2}, {'versions': None},
                       {'versions': {names.HARDWARE_MANAGER: '2'}},
                       {'versions': {names.HARDWARE_MANAGER: 'x'}}):
            self.assertIsNone(self.begin(**fields), fields)
        self.seeds()
        self.assertNotIn(1, self.hosts(self.begin()))

    def test_certificate_that_another_conductor_has(self):
        """Those of its own nodes are in their orders."""
        self.seeds()
        for number in range(1, SEEDS + 1):
            (self.directory / f'{number}.crt').unlink()
        self.assertEqual(3, len(self.begin().peers))
        node = self.booted()
        (self.directory / f'{len(self.nodes)}.crt').unlink()
        self.assertIsNone(self.begin(node))

    def test_switched_off(self):
        self.seeds()
        self.config(neighbours=False, group='imagedeploy')
        self.assertIsNone(self.begin())
        # Also for a node that had some.
        self.assertIsNone(self.begin(self.nodes[0]))


class EndTest(TrackerTestCase):
    """Nodes that write no longer."""

    def is_named(self, progress=None, **fields):
        """Whether the first node is, after something became of it."""
        root = uuidutils.generate_uuid(dashed=False) * 2
        first = self.booted(root=root, url='https://192.0.2.200:9999')
        self.begin(first)
        self.seeds(root=root)
        info = first.driver_internal_info
        if progress:
            info[names.KEY]['progress'] = progress
        first.update({**fields, 'driver_internal_info': info})
        first.save()
        told = [self.hosts(self.begin(root=root)) for _ in range(3)]
        self.assertEqual({3}, set(map(len, told)))
        return 200 in sum(told, [])

    def test_one_that_writes(self):
        for state in (states.DEPLOYING, states.DEPLOYWAIT):
            self.assertTrue(self.is_named(provision_state=state))

    def test_in_another_state(self):
        for state in (states.ACTIVE, states.DEPLOYFAIL, states.DELETING):
            self.assertFalse(self.is_named(provision_state=state), state)

    def test_maintenance(self):
        self.assertFalse(self.is_named(maintenance=True))

    def test_agent_that_is_done_with_it(self):
        self.assertFalse(self.is_named({'phase': 'boot'}))

    def test_stalled(self):
        """Only an agent that does not answer is of no use."""
        for culprit in ('agent', 'network', 'disk', 'decode'):
            self.assertEqual(culprit != 'agent', self.is_named({
                'phase': 'write', 'stalled': {
                    'since': '2026-11-23T01:00:00+00:00',
                    'waiting_for': culprit}}), culprit)

    def test_nothing_is_left_in_the_node(self):
        self.seeds()
        told = self.begin()
        secret = told.ticket_key, told.peers[0].ticket
        node = self.nodes[-1]
        with task_manager.acquire(self.context, node.uuid,
                                  shared=False) as task:
            serving.withdraw(task.node)
        node.refresh()
        left = json.dumps(node.driver_internal_info)
        for word in (*secret, 'CERTIFICATE', 'member', 'neighbours'):
            self.assertNotIn(word, left)
        self.assertIn('permitted_formats', left)

    def test_a_new_deployment_begins_alone(self):
        self.seeds()
        node = self.nodes[0]
        with task_manager.acquire(self.context, node.uuid,
                                  shared=False) as task:
            orders.give(task, serving.Served(
                image=mock.Mock(checksum=None, checksum_is_ours=False,
                                verdict=mock.Mock(format='raw'))))
        self.assertIsNone(self.told(node))


class TicketTest(TrackerTestCase):

    def at(self, seconds):
        """Let it be so many seconds later."""
        now = time.time() + seconds
        patcher = mock.patch.object(tracker, 'time', mock.Mock(
            spec=('time',), time=lambda: now))
        self.addCleanup(patcher.stop)
        patcher.start()

    def test_to_a_node_that_has_begun_a_while_ago(self):
        self.config(neighbour_seeds=1, group='imagedeploy')
        first = self.begin()
        self.at(tracker.LIFETIME - tracker.LEAST_LEFT - 60)
        later = self.begin()
        self.assert_admitted(later, first)
        self.assertEqual(tracker.LIFETIME, later.seconds)

    def test_to_a_node_that_lets_nobody_in_soon(self):
        self.seeds()
        for seconds in (tracker.LIFETIME - tracker.LEAST_LEFT + 60,
                        2 * tracker.LIFETIME):
            self.at(seconds)
            told = self.begin()
            self.assertEqual((), told.peers)
            self.assertEqual(tracker.LIFETIME, told.seconds)

    def test_a_clock_that_went_back(self):
        self.seeds()
        self.at(-10 * tracker.LIFETIME)
        self.assertEqual((), self.begin().peers)

    def test_a_conductor_that_starts_again(self):
        self.config(neighbour_seeds=1, group='imagedeploy')
        first = self.begin()
        with mock.patch.object(tracker, '_LOCK', tracker.threading.Lock()):
            following = self.begin()
        self.assert_admitted(following, first)


class PublicTest(base.ConductorTestCase):
    """Whether Glance lets everybody read an image."""

    def order(self, source, **metadata):
        self.config(image_download_source='http', group='agent')
        self.context.roles = ['admin']
        self.glance.register(self.qcow2, **metadata)
        self.use(source)
        with self.task(shared=False) as task:
            orders.give(task, serving.provide(task))
        return order.is_public(self.refreshed().driver_internal_info[
            names.KEY])

    def test_visibility(self):
        for visibility, public in (
                ('public', True), ('private', False), ('shared', False),
                ('community', False)):
            self.assertEqual(public, self.order(
                base.IMAGE_ID, visibility=visibility), visibility)

    def test_image_given_by_url(self):
        self.assertFalse(self.order(None))
