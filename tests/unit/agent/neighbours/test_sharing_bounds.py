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

import contextlib
import ssl
import types
import unittest
from unittest import mock

from ironic_imagedeploy.agent.neighbours import sharing
from ironic_imagedeploy.contract import neighbours as contract
from ironic_imagedeploy import engine
from tests.support import ramdisk
from tests.support.simulation import certificate
from tests.unit.agent.neighbours import images

MIB = images.MIB
NEIGHBOURS = contract.Neighbours(ticket_key=images.KEY, seconds=60, port=1,
                                 max_served=5 * MIB)


def source_of(manifest):
    """A source of chunks that nobody asks for."""
    origin = mock.Mock(spec=engine.Source)
    origin.name, origin.size = 'origin', manifest.size
    return engine.ChunkedSource(manifest, origin)


class HeldTest(unittest.TestCase):

    def held(self, image, form='raw', more=0):
        """Chunks that are not read from the disk before all is proven."""
        manifest = images.manifest_of(image)
        shared = sharing.NeighbourSharing(NEIGHBOURS, source_of(manifest), 0)
        inspection = types.SimpleNamespace(format=form,
                                           virtual_size=len(image) + more)
        target = types.SimpleNamespace(read=object())
        with mock.patch.object(shared.store, 'disk', autospec=True,
                               return_value=contextlib.nullcontext()) as disk:
            with shared.disk(inspection, target):
                pass
        if not disk.called:
            return None
        self.assertEqual(mock.call(target.read, memory=256 * MIB,
                                   held=mock.ANY), disk.call_args)
        return sorted(disk.call_args.kwargs['held'])

    def test_both_ends(self):
        for size, held in ((5000, [0]), (MIB, [0]), (MIB + 1, [0, 1]),
                           (3 * MIB, [0, 1, 2]), (4 * MIB, [0, 1, 2, 3]),
                           (8 * MIB, [0, 1, 6, 7]),
                           (8 * MIB + 512, [0, 1, 7, 8])):
            self.assertEqual(held, self.held(b'x' * size), size)

    def test_what_is_not_the_disk_byte_by_byte(self):
        self.assertIsNone(self.held(b'x' * MIB, form='qcow2'))
        self.assertIsNone(self.held(b'x' * MIB, more=512))
        self.assertIsNone(self.held(b'x' * MIB, more=-512))

    def test_bytes_that_are_given(self):
        manifest = images.manifest_of(b'x' * 7000)
        shared = sharing.NeighbourSharing(NEIGHBOURS, source_of(manifest), 0)
        self.assertEqual((5 * MIB, 3 * 7000, {'served': 0}), (
            shared._gate._most, shared._gate._most_of_one, shared.report()))

    def test_nobody(self):
        alone = sharing.Sharing()
        with alone.disk(None, None):
            self.assertEqual(({}, None), (alone.report(), alone.written))


class MemoryTest(unittest.TestCase):

    def test_what_is_free(self):
        for text, found in (
                ('MemTotal: 9 kB\nMemAvailable:   2048 kB\n', 2 * MIB),
                ('MemTotal: 9 kB\n', 0), ('', 0),
                ('AAA: 5 kB\nMemAvailable: 1 kB\nZ: 7 kB\n', 1024)):
            with mock.patch.object(sharing, 'open', mock.mock_open(
                    read_data=text), create=True):
                self.assertEqual(found, sharing._free_memory())

    def test_half_of_it_and_no_more_than_the_image(self):
        source = source_of(images.MANIFEST)
        for free, kept in ((4 * MIB, 2 * MIB), (4 * MIB + 1, 2 * MIB),
                           (99 * MIB, len(images.IMAGE))):
            with (mock.patch.object(sharing, '_own_address', autospec=True,
                                    return_value=('192.0.2.1', None)),
                  mock.patch.object(sharing, '_free_memory', autospec=True,
                                    return_value=free),
                  mock.patch.object(sharing.NeighbourSharing, 'start',
                                    autospec=True, return_value=7),
                  sharing.sharing(NEIGHBOURS, source) as shared):
                self.assertEqual(kept, shared.store._memory)

    def test_who_shares_nothing(self):
        chunks = source_of(images.MANIFEST)
        plain = mock.Mock(spec=engine.Source)
        here = '192.0.2.1', None
        for neighbours, source, where in (
                (None, chunks, here), (NEIGHBOURS, plain, here),
                (NEIGHBOURS, chunks, None)):
            with (mock.patch.object(sharing, '_own_address', autospec=True,
                                    return_value=where),
                  sharing.sharing(neighbours, source) as shared):
                self.assertIs(sharing.Sharing, type(shared))


class AddressTest(ramdisk.AgentTestCase):

    def address(self, **api):
        self.agent.api = types.SimpleNamespace(**api)
        self.agent.listen_address = types.SimpleNamespace(hostname='192.0.2.1')
        self.standby.agent = self.agent
        return sharing._own_address()

    def test_the_api_is_secured(self):
        path = self.directory / 'own.pem'
        certificate.make('192.0.2.1', keep=path)
        host, context = self.address(tls_cert_file=str(path),
                                     tls_key_file=str(path))
        self.assertEqual(('192.0.2.1', 0), (host, context.num_tickets))
        for option in (ssl.OP_NO_RENEGOTIATION, ssl.OP_NO_TICKET):
            self.assertTrue(context.options & option)

    def test_it_is_not(self):
        path = str(self.directory / 'own.pem')
        certificate.make('192.0.2.1', keep=self.directory / 'own.pem')
        for api in ({}, {'tls_cert_file': path}, {'tls_key_file': path},
                    {'tls_cert_file': path, 'tls_key_file': None},
                    {'tls_cert_file': '', 'tls_key_file': path}):
            self.assertIsNone(self.address(**api))
        self.standby.agent = None
        self.assertIsNone(sharing._own_address())
