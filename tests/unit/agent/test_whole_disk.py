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

from unittest import mock

from ironic_python_agent import errors

from ironic_imagedeploy.agent.boot import grub
from ironic_imagedeploy.agent.boot import previous_system
from ironic_imagedeploy.agent.boot import software_raid
from ironic_imagedeploy.agent import handover
from ironic_imagedeploy.agent import order as orders
from ironic_imagedeploy.agent import twins
from ironic_imagedeploy import engine
from tests.support import ramdisk


class WholeDiskTestCase(ramdisk.AgentTestCase):

    def setUp(self):
        super().setUp()
        self.steps = []
        self.transfer = self.noted(engine, 'transfer', engine.transfer)
        self.noted(software_raid, 'check_whole_disk', lambda *_: None)
        self.noted(previous_system, 'disable_array', lambda *_, **how: None)
        self.find = self.noted(software_raid, 'find', lambda *_: None)
        self.finished = self.noted(handover, 'make_bootable',
                                   handover.make_bootable)
        self.twins = self.patched(twins, 'find')
        self.twins.return_value = []

    def noted(self, owner, name, call):
        def noted(*arguments, **named):
            self.steps.append(name)
            return call(*arguments, **named)

        new = self.patched(owner, name)
        new.side_effect = noted
        return new

    def boot_by(self, mode):
        self.node['properties'] = {'capabilities': f'boot_mode:{mode}'}


class WriteTest(WholeDiskTestCase):

    def test_nothing_starts_before_it_is_written(self):
        self.written()
        self.assert_written()
        self.assertEqual(['check_whole_disk', 'disable_array', 'transfer',
                          'make_bootable'], self.steps)
        software_raid.check_whole_disk.assert_called_once_with(
            str(self.disk), 'bios')
        previous_system.disable_array.assert_called_once_with(
            str(self.disk), verify=False)

    def test_how_it_is_written(self):
        for sent, expected in (
                ({'read_back': 'sample'}, ('sample', None, False)),
                ({'read_back': 'full', 'workers': 2, 'verify': 'both'},
                 ('full', 2, True)),
                ({'read_back': 'none', 'workers': 1, 'verify': 'file'},
                 ('none', 1, False))):
            self.node['driver_internal_info'] = {'imagedeploy': sent}
            self.written()
            named = self.transfer.call_args.kwargs
            self.assertEqual(
                (*expected, orders.JOURNALS),
                (named['read_back'], named['workers'], named['verify_file'],
                 named['journals']))
            previous_system.disable_array.assert_called_with(
                str(self.disk), verify=sent['read_back'] != 'none')

    def test_an_image_that_is_refused(self):
        self.failed(disk_format='raw')
        self.assertEqual(['check_whole_disk'], self.steps)
        self.assert_untouched()

    def test_a_disk_that_nothing_boots_from(self):
        software_raid.check_whole_disk.side_effect = (
            errors.DeploymentError('an array'))
        self.assertEqual('an array', self.failed())
        self.assert_untouched()


class ReportTest(WholeDiskTestCase):

    def test_twins(self):
        self.twins.return_value = [twins.Twin('/dev/sdb', 'UUID=1-2')]
        warning, = self.written()['imagedeploy']['warnings']
        self.assertEqual(
            ('twin', f'UUID=1-2 on {self.disk} only'),
            (warning['code'], warning['expected']))
        inspection, device = self.twins.call_args.args
        self.assertEqual(('qcow2', str(self.disk)),
                         (inspection.format, device))

    def test_where_the_backup_of_the_gpt_is(self):
        for is_misplaced, is_repaired, told in (
                (True, True, False), (True, False, True),
                (False, True, False), (False, False, False)):
            def transfer(*arguments, is_misplaced=is_misplaced, **named):
                report = mock.Mock(spec=engine.Report)
                report.to_dict.return_value = {'format': 'qcow2'}
                report.backup_gpt_misplaced = is_misplaced
                return report

            self.transfer.side_effect = transfer
            self.finished.side_effect = (
                lambda *_, found=is_repaired: ({'result': 'x'}, found))
            result = self.written()
            self.assertEqual(
                ('x', 'qcow2', told),
                (result['result'], result['imagedeploy']['format'],
                 result['imagedeploy']['backup_gpt_misplaced']))


class ArrayTest(WholeDiskTestCase):

    def test_only_firmware_that_reads_its_disks(self):
        self.array = mock.Mock(spec=software_raid.Array)
        self.find.side_effect = lambda device: self.array
        self.boot_by('bios')
        self.written()
        self.find.assert_not_called()
        self.assertIsNone(self.finished.call_args.args[2])
        self.boot_by('uefi')
        self.finished.side_effect = lambda *_: ({}, True)
        # What it has for UEFI is another matter.
        self.patched(engine.Inspection, 'raise_if_refused')
        self.written()
        self.find.assert_called_once_with(str(self.disk))
        self.array.check.assert_called_once_with(
            grub.platform_of('uefi', 'x86_64'))
        order, device, array = self.finished.call_args.args
        self.assertEqual(('uefi', str(self.disk), self.array),
                         (order.boot_mode, device, array))

    def test_a_disk_without_room_for_a_boot_loader(self):
        self.find.side_effect = lambda device: mock.Mock(
            spec=software_raid.Array, check=mock.Mock(
                side_effect=errors.DeploymentError('no room')))
        self.boot_by('uefi')
        self.assertEqual('no room', self.failed())
        self.assert_untouched()
