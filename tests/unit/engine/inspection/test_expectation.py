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

import dataclasses

from ironic_imagedeploy import engine
from tests.unit.engine import base

MIB = base.MIB
ERROR = engine.Severity.ERROR
WARNING = engine.Severity.WARNING


class ExpectationTest(base.EngineTestCase):

    def test_nothing_is_expected_by_default(self) -> None:
        self.assertEqual(
            {'disk_format': None, 'image_type': None, 'checksum': None,
             'permitted': ('raw', 'qcow2'), 'disk_size': None,
             'sector_size': None, 'boot_mode': None, 'arch': None,
             'has_kernel': False, 'require_checksum': False,
             'permit_weak': True, 'contents': False, 'devices': (),
             'kernel_version': None, 'initramfs': False, 'raid_esp': None,
             'secure_boot': False, 'start_policy': {
                 'mode': 'warn', 'raised': (), 'muted': ()},
             'decompression_memory': 128 * MIB},
            dataclasses.asdict(engine.Expectation()))

    def test_content_that_does_not_suit_what_is_declared(self) -> None:
        for expectation, severity in (
                ({}, WARNING), ({'image_type': 'partition'}, ERROR),
                ({'boot_mode': 'bios'}, ERROR),
                ({'image_type': 'whole-disk', 'boot_mode': 'uefi'}, ERROR)):
            self.assertIs(severity, engine.Expectation(
                **expectation).content_severity)

    def test_it_does_not_change(self) -> None:
        with self.assertRaises(dataclasses.FrozenInstanceError):
            engine.Expectation().arch = 'arm'  # type: ignore[misc]
