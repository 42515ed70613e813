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


import dataclasses
import json
import unittest

from ironic_imagedeploy.contract import order
from ironic_imagedeploy.contract import policy
from ironic_imagedeploy.engine import checksum
from tests.unit.contract import before

#: Of a ramdisk; nothing in it is as the conductor of these tests wants it.
RAMDISK = policy.Policy(permitted_formats=('vdi',), read_back='full',
                        insecure_checksums_permitted=False, workers=1)
KERNEL = order.SeparateKernel(
    options='console=ttyS0 nofb', **{
        role: order.RemoteFile(
            url=f'http://192.0.2.1/agent_images/node-{role}',
            checksum=checksum.Checksum('sha256', digits * 32))
        for role, digits in (('kernel', '1b'), ('ramdisk', '2c'))})
ORDER = order.DeployOrder(
    policy=policy.Policy(
        permitted_formats=('raw', 'qcow2', 'vmdk'), read_back='sample',
        insecure_checksums_permitted=True, workers=3),
    disk_format='qcow2', checksum=checksum.Checksum('sha512', '0a' * 64),
    separate_kernel=KERNEL)
MANIFEST = order.RemoteManifest(
    url='http://192.0.2.1/agent_images/node-manifest', root='3d' * 32,
    size=65636)


def received(sent, ramdisk=RAMDISK):
    """Read an order, after its way through two databases of JSON."""
    return order.DeployOrder.from_dict(json.loads(json.dumps(sent)), ramdisk)


class PairsTest(unittest.TestCase):
    """This release and the one before, on either side."""

    def test_both_of_this_release(self):
        for sent in (ORDER, dataclasses.replace(
                ORDER, separate_kernel=None, checksum_is_ours=True),
                dataclasses.replace(ORDER, manifest=MANIFEST),
                dataclasses.replace(ORDER, manifest=MANIFEST,
                                    disk_manifest=MANIFEST),
                dataclasses.replace(ORDER, start_judged=True),
                dataclasses.replace(ORDER, own_boot_loader=True),
                order.DeployOrder(policy=ORDER.policy)):
            self.assertEqual(sent, received(sent.to_dict()))

    def test_conductor_before(self):
        self.assertEqual(ORDER, received(before.ORDER))

    def test_agent_before(self):
        # It reads these keys, and leaves all others alone.
        self.assertEqual({**before.ORDER, 'version': 1, 'minimum_speed': 0,
                          'decompression_memory': 128, 'verify': 'chunks',
                          'start_findings': 'warn',
                          'start_findings_raised': [],
                          'start_findings_muted': []},
                         ORDER.to_dict())

    def test_boot_files_elsewhere(self):
        elsewhere = dataclasses.replace(KERNEL, kernel=order.RemoteFile(
            url='http://192.0.2.2/kernel', checksum=KERNEL.kernel.checksum))
        for sent in (before.ORDER, ORDER.to_dict()):
            self.assertEqual(
                elsewhere,
                received(order.relocated(
                    sent, separate_kernel=elsewhere)).separate_kernel)

    def test_manifest_elsewhere(self):
        elsewhere = dataclasses.replace(MANIFEST, url='http://192.0.2.2/it')
        sent = dataclasses.replace(ORDER, manifest=MANIFEST).to_dict()
        for found, manifest in ((before.ORDER, elsewhere), (sent, elsewhere),
                                (sent, None)):
            self.assertEqual(
                dataclasses.replace(ORDER, manifest=manifest),
                received(order.relocated(found, manifest=manifest)))

    def test_manifest_of_the_disk_elsewhere(self):
        sent = dataclasses.replace(ORDER, manifest=MANIFEST,
                                   disk_manifest=MANIFEST)
        for disk in (None, dataclasses.replace(MANIFEST, size=7)):
            self.assertEqual(
                dataclasses.replace(sent, disk_manifest=disk),
                received(order.relocated(sent.to_dict(), manifest=MANIFEST,
                                         disk_manifest=disk)))
        self.assertNotIn('disk_manifest', order.fulfilled(sent.to_dict()))


class VersionTest(unittest.TestCase):

    def test_a_later_order_is_refused_and_says_what_to_upgrade(self):
        with self.assertRaisesRegex(
                order.InvalidOrder, 'expected version 1 at most, found '
                'version 2. Update ironic-imagedeploy in the deploy ramdisk'):
            received({**ORDER.to_dict(), 'version': 2})

    def test_something_else_is_not_a_version(self):
        for version in (0, -1, '1', 1.0, None, True, [1], '\x1b[2J' * 99):
            with self.assertRaises(order.InvalidOrder, msg=version) as caught:
                received({**ORDER.to_dict(), 'version': version})
            self.assertTrue(str(caught.exception).isprintable())
            self.assertLess(len(str(caught.exception)), 300)
            self.assertEqual(f'version {ascii(version)[:32]}',
                             caught.exception.found)

    def test_keys_that_are_not_known_are_left_alone(self):
        self.assertEqual(ORDER, received({
            **ORDER.to_dict(), 'invented': 1, 'progress': before.RECORD}))

    def test_no_order(self):
        self.assertEqual(order.DeployOrder(policy=RAMDISK), received({}))


class NonsenseTest(unittest.TestCase):

    def test_of_a_separate_kernel(self):
        for wrong in ({'kernel': None}, {'ramdisk': {}}, {'options': 5},
                      {'kernel': {'url': 'x', 'checksum': 'sha256:0'}},
                      {'kernel': {'url': 5, 'checksum': before.SHA512}}):
            with self.assertRaises(order.InvalidOrder, msg=wrong):
                received({'boot_files': {**KERNEL.to_dict(), **wrong}})
        with self.assertRaises(order.InvalidOrder):
            received({'boot_files': 'kernel'})

    def test_of_a_manifest(self):
        for wrong in ({'url': None}, {'root': '3D' * 32}, {'root': 'z' * 64},
                      {'root': '3d' * 32 + '\n'}, {'root': 5}, {'size': 0},
                      {'size': True}, {'size': '1'}, {'size': None}):
            with self.assertRaises(order.InvalidOrder, msg=wrong):
                received({'manifest': {**MANIFEST.to_dict(), **wrong}})
        with self.assertRaises(order.InvalidOrder):
            received({'manifest': 'manifest'})

    def test_what_is_shown_is_cut(self):
        long = ['x' * 999]
        for sent, found in (
                ({'disk_format': long}, ascii(long)[:80]),
                ({'workers': long}, f'workers {ascii(long)[:80]}'),
                ({'boot_files': {**KERNEL.to_dict(), 'options': long}},
                 f'options {ascii(long)[:80]}')):
            with self.assertRaises(order.InvalidOrder) as caught:
                received(sent)
            self.assertEqual(found, caught.exception.found)

    def test_a_manifest_of_a_byte(self):
        sent = {**MANIFEST.to_dict(), 'size': 1}
        self.assertEqual(1, received({'manifest': sent}).manifest.size)

    def test_of_a_checksum(self):
        for wrong in ('sha512:0', 'of it', 5):
            with self.assertRaises(order.InvalidOrder, msg=wrong):
                received({'checksum': wrong})

    def test_of_options(self):
        for wrong in ({'permitted_formats': 5}, {'permitted_formats': 'raw'},
                      {'workers': '1'}, {'workers': True}, {'read_back': []},
                      {'insecure_checksums_permitted': 1},
                      {'disk_format': ['raw']}):
            with self.assertRaises(order.InvalidOrder, msg=wrong):
                received(wrong)
        self.assertEqual(('raw',), received(
            {'permitted_formats': ['raw', 5]}).policy.permitted_formats)


class SentTest(unittest.TestCase):
    """What is read of an order without all of it."""

    def test_the_root_of_its_manifest(self):
        for sent, root in (({}, None), ({'manifest': None}, None),
                           ({'manifest': {'root': 'x'}}, 'x')):
            self.assertEqual(root, order.root(sent))

    def test_flags(self):
        for value, is_set in ((True, True), (False, False), (1, False),
                              ('true', False), (None, False)):
            self.assertIs(is_set, order.is_public({'public': value}))
            self.assertIs(is_set, received(
                {'start_judged': value}).start_judged)
        self.assertTrue(order.is_public(dataclasses.replace(
            ORDER, public=True).to_dict()))
        self.assertFalse(order.is_public(ORDER.to_dict()))

    def test_secrets(self):
        self.assertFalse(order.has_secrets({'checksum': 'x'}))
        for name in order.SECRET_KEYS:
            self.assertTrue(order.has_secrets({name: None}))

    def test_a_separate_kernel(self):
        for sent, has in (({}, False), ({'boot_files': None}, False),
                          (before.ORDER, True)):
            self.assertIs(has, order.has_separate_kernel(sent))


class FulfilledTest(unittest.TestCase):

    def test_no_url_stays(self):
        kept = order.fulfilled(dataclasses.replace(
            ORDER, manifest=MANIFEST).to_dict())
        self.assertFalse(order.has_separate_kernel(kept))
        self.assertNotIn('192.0.2.1', str(kept))
        self.assertEqual(dataclasses.replace(ORDER, separate_kernel=None),
                         received(kept))
