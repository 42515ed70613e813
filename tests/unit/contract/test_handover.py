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

from ironic_imagedeploy.contract import handover


class HandoverTest(unittest.TestCase):

    def test_what_an_agent_tells_is_bounded(self) -> None:
        record = handover.by_kexec({
            'way': 'firmware', 'kernel': '/boot/\x1bvmlinuz', 'menu': 5,
            'initramfs': ['/x' * 400, 5] * 20, 'more': 'x'})
        self.assertEqual({'way': 'kexec', 'kernel': '/boot/?vmlinuz',
                          'initramfs': ['/x' * 128] * 8}, record)
        for told in (None, 5, 'x', []):
            self.assertEqual({'way': 'kexec'}, handover.by_kexec(told))

    def test_a_reason_is_bounded(self) -> None:
        record = handover.by_firmware('\x1b' + 'x' * 5000)
        self.assertEqual({'way': 'firmware', 'reason': '?' + 'x' * 1023},
                         record)

    def test_what_is_kept_is_read(self) -> None:
        for record in (handover.by_firmware('no'),
                       handover.by_kexec({'kernel': '/vmlinuz'})):
            self.assertEqual(record, handover.checked(record))
        long = 'x' * 5000
        kept = handover.checked({
            'way': 'kexec', 'reason': long, 'kernel': long, 'menu': long,
            'initramfs': [long] * 99})
        self.assertEqual(
            (1024, 256, 256, 16, 256),
            (len(kept['reason']), len(kept['kernel']), len(kept['menu']),
             len(kept['initramfs']), len(kept['initramfs'][0])))
        for kept in (None, 'kexec', {}, {'way': 'other'}, {'way': 5}):
            self.assertIsNone(handover.checked(kept))
