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


import base64
import dataclasses
import json
import ssl
import unittest

from ironic_imagedeploy.contract import neighbours
from ironic_imagedeploy.contract import order
from ironic_imagedeploy.contract import policy
from oslo_utils import strutils
from tests.support.simulation import certificate

KEY = 'Zm9vYmFyYmF6cXV4-_' * 2
TICKET = neighbours.ticket('of another node' * 3)
PEM = certificate.make('192.0.2.7').pem
PEER = neighbours.Peer(url='https://192.0.2.7:9998', certificate=PEM,
                       ticket=TICKET)
NEIGHBOURS = neighbours.Neighbours(
    ticket_key=KEY, seconds=3600, port=9998, max_served=1 << 36,
    peers=(PEER, dataclasses.replace(PEER, url='https://[2001:db8::7]:443')))
POLICY = policy.Policy(permitted_formats=('raw',), read_back='none',
                       insecure_checksums_permitted=False, workers=1)


def pem(der):
    return ('-----BEGIN CERTIFICATE-----\n'
            f'{base64.b64encode(der).decode()}\n'
            '-----END CERTIFICATE-----\n')


def received(sent):
    return neighbours.Neighbours.from_dict(json.loads(json.dumps(sent)))


class NeighboursTest(unittest.TestCase):

    def test_both_of_this_release(self):
        for sent in (NEIGHBOURS, dataclasses.replace(
                NEIGHBOURS, peers=(), max_served=None)):
            self.assertEqual(sent, received(sent.to_dict()))

    def test_address(self):
        self.assertEqual(
            [('192.0.2.7', 9998), ('2001:db8::7', 443)],
            [peer.address for peer in NEIGHBOURS.peers])

    def test_certificate(self):
        self.assertEqual(ssl.PEM_cert_to_DER_cert(PEM), PEER.der)

    def test_no_secret_is_shown(self):
        for secret in (KEY, TICKET):
            self.assertNotIn(secret, repr(NEIGHBOURS))
            self.assertNotIn(secret, repr(order.DeployOrder(
                policy=POLICY, neighbours=NEIGHBOURS)))

    def test_nothing_is_masked_on_the_way_to_the_agent(self):
        sent = strutils.mask_dict_password(
            {'imagedeploy': NEIGHBOURS.to_dict()})
        self.assertEqual(NEIGHBOURS, received(sent['imagedeploy']))

    def test_a_wrong_field_is_none_at_all(self):
        for wrong in (
                {'ticket_key': None}, {'ticket_key': 'short'},
                {'ticket_key': 'x' * 129}, {'ticket_key': KEY + '\r\n'},
                {'ticket_key': [KEY]},
                {'seconds': 0}, {'seconds': 1 << 40}, {'seconds': 1.5},
                {'seconds': True}, {'seconds': '60'}, {'port': 0},
                {'port': 65536}, {'port': -1}, {'port': '9998'},
                {'max_served': 0}, {'max_served': 1 << 63},
                {'max_served': 'all'}, {'peers': None}, {'peers': {}},
                {'peers': 'https://192.0.2.7:9998'}):
            self.assertIsNone(received({**NEIGHBOURS.to_dict(), **wrong}),
                              wrong)
        for wrong in (None, 5, [], 'all', {}):
            self.assertIsNone(received(wrong))

    def test_a_wrong_peer_is_left_out(self):
        for wrong in (
                {'url': None}, {'url': 'http://192.0.2.7:9998'},
                {'url': 'https://192.0.2.7'}, {'url': 'https://:9998'},
                {'url': 'https://192.0.2.7:9998/'},
                {'url': 'https://192.0.2.7:9998/v1?x'},
                {'url': 'https://user:word@192.0.2.7:9998'},
                {'url': 'https://192.0.2.7:99999'},
                {'url': 'https://192.0.2.7:x'},
                {'url': 'https://a b:9998'}, {'url': 'https://[::1:9998'},
                {'url': 'https://\r\n:9998'},
                {'url': f'https://{"a" * 300}:9998'}, {'certificate': None},
                {'certificate': ''}, {'certificate': PEM * 2},
                {'certificate': PEM + '\0'}, {'certificate': 'x' * 9000},
                {'certificate': PEM.replace('CERTIFICATE', 'PRIVATE KEY')},
                {'certificate': PEM.replace('M', '=')}, {'ticket': ''},
                {'ticket': None}, {'ticket': TICKET[:-1]}, {'ticket': 5},
                {'ticket': f'{TICKET}\r\nHost: elsewhere'}):
            sent = {**NEIGHBOURS.to_dict(),
                    'peers': [{**PEER.to_dict(), **wrong}, PEER.to_dict(), 5]}
            self.assertEqual((PEER,), received(sent).peers, wrong)

    def test_limits(self):
        for name, value, is_taken in (
                ('seconds', 1, True), ('seconds', 24 * 3600, True),
                ('seconds', 24 * 3600 + 1, False), ('port', 1, True),
                ('port', 65535, True), ('max_served', 1, True),
                ('max_served', 1 << 62, True),
                ('max_served', (1 << 62) + 1, False),
                ('ticket_key', 'x' * 32, True),
                ('ticket_key', 'x' * 31, False),
                ('ticket_key', 'x' * 128, True)):
            found = received({**NEIGHBOURS.to_dict(), name: value})
            self.assertEqual(is_taken, found is not None, (name, value))

    def test_limits_of_a_peer(self):
        other = base64.b64decode(''.join(PEM.split('\n')[1:-2]))
        for name, value, is_taken in (
                ('url', f'https://{"a" * 242}:9998', True),
                ('url', f'https://{"a" * 243}:9998', False),
                ('url', 'HTTPS://A:1', True),
                ('certificate', PEM.ljust(8192, '\n'), True),
                ('certificate', PEM.ljust(8193, '\n'), False),
                ('certificate', pem(b'\x2f' + other[1:]), False),
                ('certificate', pem(b'\x31' + other[1:]), False),
                ('certificate', pem(other), True)):
            sent = {**PEER.to_dict(), name: value}
            self.assertEqual(is_taken, neighbours.Peer.from_dict(sent)
                             is not None, (name, value))

    def test_what_is_not_an_address(self):
        for url, address in (('https://a', ('a', 0)), ('a', ('', 0))):
            self.assertEqual(address, neighbours.Peer(
                url=url, certificate='').address)

    def test_no_more_peers_than_are_allowed(self):
        sent = {**NEIGHBOURS.to_dict(), 'peers': [PEER.to_dict()] * 99}
        self.assertEqual((PEER,) * neighbours.MOST_PEERS,
                         received(sent).peers)


class TicketTest(unittest.TestCase):

    def test_each_has_a_holder_of_its_own(self):
        shown = [neighbours.ticket(KEY) for _ in range(9)]
        holders = {neighbours.holder(each, KEY) for each in shown}
        self.assertEqual(9, len(holders))
        self.assertNotIn(None, holders)
        self.assertEqual(neighbours.holder(shown[0], KEY),
                         neighbours.holder(shown[0], KEY))

    def test_by_another_key(self):
        self.assertIsNone(neighbours.holder(TICKET, KEY))

    def test_that_was_changed(self):
        good = neighbours.ticket(KEY)
        for wrong in ('', KEY, good[:-1], good + '0', good.upper(),
                      'a' * 16 + good[16:], good.replace('.', ''),
                      '.' + good, good + '\n', '\u0660' * 16 + good[16:]):
            self.assertIsNone(neighbours.holder(wrong, KEY), wrong)


class OrderTest(unittest.TestCase):

    def test_with_and_without(self):
        sent = order.DeployOrder(policy=POLICY, neighbours=NEIGHBOURS)
        for one in (sent, order.DeployOrder(policy=POLICY)):
            self.assertEqual(one, order.DeployOrder.from_dict(
                json.loads(json.dumps(one.to_dict())), POLICY))

    def test_are_added_to_an_order_and_removed(self):
        sent = order.DeployOrder(policy=POLICY).to_dict()
        beside = order.beside(sent, NEIGHBOURS, {'known': 'by'})
        self.assertEqual(NEIGHBOURS, order.DeployOrder.from_dict(
            beside, POLICY).neighbours)
        self.assertEqual(({'known': 'by'}, NEIGHBOURS.to_dict()),
                         order.membership(beside))
        for alone in (order.fulfilled(beside), order.alone(beside)):
            self.assertEqual(sent, alone)
        self.assertEqual((None, None), order.membership(sent))

    def test_nonsense_does_not_stop_a_write(self):
        for wrong in (5, 'all', [], {'ticket_key': 5}):
            self.assertIsNone(order.DeployOrder.from_dict(
                {'neighbours': wrong}, POLICY).neighbours)
