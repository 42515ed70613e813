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

import configparser
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

from ironic.common import driver_factory
from ironic.conf import CONF
from ironic.drivers import generic
from ironic.drivers.modules import agent
from ironic.tests import base
from oslo_upgradecheck import upgradecheck

from ironic_imagedeploy.conductor.status import upgrade_checks
from ironic_imagedeploy.conf import opts

Code = upgradecheck.Code
ROOT = pathlib.Path(__file__).parents[4]


class ChecksTestCase(base.TestCase):

    def setUp(self):
        super().setUp()
        opts.register_opts(CONF)
        self.addCleanup(setattr, generic.GenericHardware,
                        'supported_deploy_interfaces',
                        generic.GenericHardware.supported_deploy_interfaces)
        self.config(enabled_hardware_types=['redfish', 'ipmi'],
                    enabled_deploy_interfaces=['direct', 'imagedeploy'],
                    default_deploy_interface=None)

    def assert_result(self, code, *words):
        found = self.check()
        self.assertEqual(code, found.code, found.details)
        if not words:
            self.assertIsNone(found.details)
        for word in words:
            self.assertIn(word, found.details)


class IronicTest(ChecksTestCase):

    def check(self):
        return upgrade_checks.Checks()._check_ironic()

    def test_the_one_that_is_installed(self):
        self.assert_result(Code.SUCCESS)

    def test_too_old(self):
        for version in ('37.0.0', '35.1.0', '9.0.0'):
            with mock.patch.object(upgrade_checks.metadata, 'version',
                                   autospec=True, return_value=version):
                self.assert_result(Code.FAILURE,
                                   f'Ironic {version} is installed',
                                   '38.0.0 or later is needed')

    def test_newer(self):
        for version in ('38.0.0', '38.1.0.dev7', '41.0.0.0rc1'):
            with mock.patch.object(upgrade_checks.metadata, 'version',
                                   autospec=True, return_value=version):
                self.assert_result(Code.SUCCESS)

    def test_what_the_package_requires(self):
        setup = configparser.ConfigParser()
        setup.read(ROOT / 'setup.cfg')
        self.assertIn(f'ironic>={upgrade_checks.OLDEST_IRONIC}',
                      setup['extras']['conductor'].splitlines())


class DeployInterfacesTest(ChecksTestCase):

    def check(self):
        return upgrade_checks.Checks()._check_deploy_interfaces()

    def test_enabled(self):
        self.assert_result(Code.SUCCESS)

    def test_not_enabled(self):
        self.config(enabled_deploy_interfaces=['direct'])
        self.assert_result(Code.WARNING, 'add it to '
                           '[DEFAULT]enabled_deploy_interfaces')

    def test_names_that_nothing_provides(self):
        self.config(enabled_deploy_interfaces=['direct', 'imagedeply'])
        self.assert_result(Code.FAILURE, 'provides: imagedeply.',
                           'ironic-conductor will not start',
                           'direct, fake, imagedeploy, ')

    def test_default_that_is_not_enabled(self):
        self.config(default_deploy_interface='ramdisk')
        self.assert_result(Code.FAILURE,
                           '[DEFAULT]default_deploy_interface is ramdisk')

    def test_interface_that_does_not_load(self):
        with mock.patch.object(agent.AgentDeploy, '__init__',
                               autospec=True, side_effect=OSError('gone')):
            self.assert_result(Code.FAILURE, 'gone',
                               'ironic-conductor will not start')

    def test_autodetect(self):
        self.config(enabled_deploy_interfaces=['autodetect', 'direct',
                                               'ramdisk', 'imagedeploy'],
                    autodetect_deploy_interfaces=['ramdisk', 'imagedeploy',
                                                  'direct'])
        self.assert_result(Code.SUCCESS)

    def test_autodetect_never_asks(self):
        self.config(enabled_deploy_interfaces=['autodetect', 'direct',
                                               'ramdisk', 'imagedeploy'],
                    autodetect_deploy_interfaces=['ramdisk', 'direct',
                                                  'imagedeploy'])
        self.assert_result(Code.WARNING, 'put imagedeploy before direct')

    def test_autodetect_without_imagedeploy(self):
        self.config(enabled_deploy_interfaces=['autodetect', 'direct',
                                               'imagedeploy'],
                    autodetect_deploy_interfaces=['direct'])
        self.assert_result(Code.SUCCESS)

    def test_autodetect_asks_for_what_is_not_enabled(self):
        self.config(enabled_deploy_interfaces=['autodetect', 'imagedeploy'],
                    autodetect_deploy_interfaces=['imagedeploy', 'direct'])
        self.assert_result(Code.FAILURE, 'has not: direct.')


class Stubborn(generic.ManualManagementHardware):
    """A hardware type of a vendor who lists what was tested."""

    @property
    def supported_deploy_interfaces(self):
        return [agent.AgentDeploy]


class HardwareTypesTest(ChecksTestCase):

    def check(self):
        return upgrade_checks.Checks()._check_hardware_types()

    def with_vendor(self):
        types = {**driver_factory.hardware_types(), 'vendor': Stubborn()}
        patcher = mock.patch.object(driver_factory, 'hardware_types',
                                    autospec=True, return_value=types)
        patcher.start()
        self.addCleanup(patcher.stop)

    def test_all_accept_it(self):
        self.assert_result(Code.SUCCESS)

    def test_one_does_not(self):
        self.with_vendor()
        self.assert_result(Code.WARNING, 'Nodes of hardware type vendor '
                           'cannot', 'does not list what it inherits')

    def test_none_does(self):
        self.config(extend_hardware_types=False, group='imagedeploy')
        self.assert_result(
            Code.FAILURE, 'Nodes of hardware type ipmi, redfish cannot',
            'Set [imagedeploy]extend_hardware_types to True')

    def test_own(self):
        self.config(extend_hardware_types=False, group='imagedeploy')
        self.config(enabled_hardware_types=['imagedeploy-redfish',
                                            'imagedeploy-ipmi'])
        self.assert_result(Code.SUCCESS)

    def test_unknown(self):
        self.config(enabled_hardware_types=['redfish', 'reddish'])
        self.assert_result(Code.FAILURE, 'reddish',
                           'ironic-conductor will not start')

    def test_interface_not_enabled(self):
        self.config(enabled_deploy_interfaces=['direct'])
        self.assert_result(Code.SUCCESS)

    def test_interfaces_do_not_load(self):
        self.config(enabled_deploy_interfaces=['imagedeploy', 'unknown'])
        self.assert_result(Code.WARNING, 'before the deploy interfaces load')


class CodecsTest(ChecksTestCase):

    def check(self):
        return upgrade_checks.Checks()._check_codecs()

    def test_installed(self):
        self.assert_result(Code.SUCCESS)

    def test_missing(self):
        missing = {'isal': None, 'isal.isal_zlib': None,
                   'backports.zstd': None, 'compression.zstd': None,
                   'oslo_utils.imageutils.format_inspector': None}
        with mock.patch.dict(sys.modules, missing):
            self.assert_result(
                Code.WARNING, 'decompressed more slowly',
                'compressed with Zstandard are refused',
                "OpenStack's own inspector has no say",
                'Install the wheel again, with the extras [conductor,fast]')


class CommandTest(unittest.TestCase):
    """The whole command, with configuration files."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def run_command(self, *arguments):
        return subprocess.run(
            [sys.executable, '-m', 'ironic_imagedeploy.cmd.status',
             *arguments], cwd=ROOT, capture_output=True, text=True,
            env={'HOME': str(self.folder)}, check=False)

    def test_good_configuration(self):
        path = self.folder / 'good.conf'
        path.write_text(
            '[DEFAULT]\n'
            'enabled_hardware_types = ipmi,imagedeploy-redfish\n'
            'enabled_deploy_interfaces = direct,imagedeploy\n'
            '[deploy]\nhttp_url = http://192.0.2.1\n'
            f'http_root = {self.folder}\n')
        run = self.run_command('--config-file', str(path),
                               'upgrade', 'check')
        self.assertEqual(0, run.returncode, run.stderr)
        self.assertEqual(len(upgrade_checks.Checks._upgrade_checks),
                         run.stdout.count('Result: Success'))

    def test_bad_configuration(self):
        # Where ironic-conductor looks for it.
        (self.folder / '.ironic').mkdir()
        (self.folder / '.ironic' / 'ironic.conf').write_text(
            '[DEFAULT]\n'
            'enabled_deploy_interfaces = direct,imagedeploy,nonesuch\n'
            '[imagedeploy]\npermitted_formats = iso\n')
        run = self.run_command('upgrade', 'check', '--json')
        self.assertEqual(2, run.returncode, run.stderr)
        codes = {each['check']: each['result']
                 for each in json.loads(run.stdout)['checks']}
        self.assertEqual(
            {'Configuration files': 0, 'Version of Ironic': 0,
             'Deploy interfaces': 2, 'Hardware types': 1, 'Options': 2,
             'Codecs': 0}, codes)

    def test_no_configuration(self):
        run = self.run_command('upgrade', 'check')
        self.assertEqual(2, run.returncode, run.stderr)
        self.assertIn('No ironic.conf was found', run.stdout)

    def test_configuration_that_is_not_there(self):
        run = self.run_command('--config-file', '/nonexistent.conf',
                               'upgrade', 'check')
        self.assertEqual((255, ''), (run.returncode, run.stdout))
        self.assertIn('Error: Failed to find some config files: '
                      '/nonexistent.conf', run.stderr)
