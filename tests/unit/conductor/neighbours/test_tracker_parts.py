#!/usr/bin/env python3
#
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

import pathlib
import tempfile
import types
import unittest
from unittest import mock

from oslo_config import fixture

from ironic.conf import CONF

from ironic_imagedeploy.conductor.neighbours import members
from ironic_imagedeploy.conductor.neighbours import tracker
from ironic_imagedeploy.conf import opts
from ironic_imagedeploy.contract import neighbours
from tests.support.simulation import certificate

PEM = certificate.make('192.0.2.1').pem


class PartsTestCase(unittest.TestCase):

    def setUp(self):
        super().setUp()
        opts.register_opts(CONF)
        self.conf = self.enterContext(fixture.Config(CONF))
        self.conf.config(group='imagedeploy', neighbour_port=9998)
        self.path = pathlib.Path(self.enterContext(
            tempfile.TemporaryDirectory()), 'agent.pem')
        self.path.write_text(PEM)

    def peer(self, version='4', url='https://192.0.2.1:9999', ca=True):
        return tracker._peer(types.SimpleNamespace(driver_internal_info={
            'hardware_manager_version': {
                'ImageDeployHardwareManager': version},
            'agent_url': url,
            'agent_verify_ca': str(self.path) if ca is True else ca}))


class PeerTest(PartsTestCase):

    def test_where_its_chunks_are(self):
        for url, found in (
                ('https://192.0.2.1:9999', 'https://192.0.2.1:9998'),
                ('https://[2001:db8::1]:9999', 'https://[2001:db8::1]:9998')):
            peer = self.peer(url=url)
            self.assertEqual((found, PEM), (peer.url, peer.certificate))

    def test_versions(self):
        for version, is_one in (('4', True), ('5', True), ('10', True),
                                ('3', False), ('', False), (None, False)):
            self.assertEqual(is_one, self.peer(version) is not None, version)

    def test_who_is_not_secured(self):
        for url in ('http://192.0.2.1:9999', 'zzz://192.0.2.1', 'https://',
                    '', None):
            self.assertIsNone(self.peer(url=url))
        for ca in ('', None, '/gone', str(self.path.parent)):
            self.assertIsNone(self.peer(ca=ca))

    def test_certificates(self):
        for content, is_one in ((PEM.ljust(8192), True),
                                (PEM.ljust(8193), False), ('x', False)):
            self.path.write_text(content)
            self.assertEqual(is_one, self.peer() is not None)
        self.path.write_bytes(b'\xff')
        self.assertIsNone(self.peer())


class AnswersTest(unittest.TestCase):

    def test_who_still_has_chunks(self):
        for progress, answers in (
                (None, True), ({'phase': 'write'}, True),
                ({'phase': 'a'}, True), ({'phase': 'zzz'}, True),
                ({'phase': 'boot'}, False),
                ({'phase': 'write', 'stalled': {
                    'since': 'x', 'waiting_for': 'agent'}}, False),
                ({'phase': 'write', 'stalled': {
                    'since': 'x', 'waiting_for': 'a'}}, True),
                ({'phase': 'write', 'stalled': {
                    'since': 'x', 'waiting_for': 'disk'}}, True)):
            self.assertEqual(answers, bool(tracker._answers(
                {'progress': progress})), progress)

    def test_scopes(self):
        node = types.SimpleNamespace(owner='one', lessee=None)
        self.assertEqual('*', tracker._scope(node, {'public': True}))
        self.assertEqual('["one", null]', tracker._scope(node, {}))

    def test_switches(self):
        ports = [types.SimpleNamespace(local_link_connection=each)
                 for each in (None, {}, {'switch_id': ''}, {'port_id': 'x'},
                              {'switch_id': '0A:1B'}, {'switch_id': '0a:1b'})]
        self.assertEqual(
            {'0a:1b'}, tracker._switches(types.SimpleNamespace(ports=ports)))


class MemberTest(PartsTestCase):
    """Who is named to a node, of those that write its image."""

    NOW = 1e9
    ROOT = 'ab' * 32

    def member(self, number=1, left=5000, scope='*'):
        return members.Member(
            root=self.ROOT, scope=scope, switches=frozenset(), since=0,
            until=self.NOW + left, peer=neighbours.Peer(
                url=f'https://192.0.2.{number}:9998', certificate=PEM),
            order=neighbours.Neighbours(
                ticket_key='x' * 43, seconds=7200, peers=(), port=9998))

    def made(self, *running, sent=None, peer=True):
        """The node as a neighbour, where these write."""
        node = types.SimpleNamespace(
            uuid='the-node', owner=None, lessee=None)
        with (mock.patch.object(tracker, '_running', autospec=True,
                                return_value=list(running)) as asked,
              mock.patch.object(tracker, '_peer', autospec=True, return_value=(
                  peer and self.member().peer)),
              mock.patch.object(tracker.time, 'time', autospec=True,
                                return_value=self.NOW)):
            found = tracker._member(
                types.SimpleNamespace(node=node, ports=[]), {
                    'public': True, 'manifest': {'root': self.ROOT}}
                if sent is None else sent)
        if found:
            asked.assert_called_once_with(self.ROOT, 'the-node')
        return found

    def setUp(self):
        super().setUp()
        self.conf.config(group='imagedeploy', neighbours=True,
                         neighbour_seeds=1)

    def test_what_others_learn_of_it(self):
        found = self.made()
        self.assertEqual(
            (self.ROOT, '*', self.NOW, self.NOW + 7200, 7200, 9998, ()),
            (found.root, found.scope, found.since, found.until,
             found.order.seconds, found.order.port, found.order.peers))
        self.assertNotEqual(found.order.ticket_key,
                            self.made().order.ticket_key)
        self.assertEqual(43, len(found.order.ticket_key))

    def test_tickets_that_are_good_for_long_enough(self):
        for left, is_named in ((3600, True), (3599, False), (7200, True),
                               (7201, False), (-1, False)):
            self.assertEqual(is_named, bool(self.made(
                self.member(left=left)).order.peers), left)

    def test_those_of_another_project(self):
        for scope in ('', 'a', '["one", null]'):
            self.assertEqual((), self.made(
                self.member(scope=scope)).order.peers)

    def test_who_cannot_be_one(self):
        self.assertIsNone(self.made(sent={'public': True}))
        self.assertIsNone(self.made(peer=None))
        self.conf.config(group='imagedeploy', neighbours=False)
        self.assertIsNone(self.made())
