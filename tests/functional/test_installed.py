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

"""The wheel alone, installed where nothing else is."""

import json

from tests.functional import distributions
from tests.functional import releases
from tests.support import distributions as systems
from tests.support import images

_MIB = 1 << 20
#: Packages of others that the command line may bring.
_MOST = 12


class InstalledTests:
    """A wheel and pip, and what it takes beside them from an index."""

    def environment(self, *extras: str) -> releases.Environment:
        """A Python environment with the wheel."""
        raise NotImplementedError

    def test_command_line_alone(self) -> None:
        environment = self.environment()
        found = {package['name'] for package in json.loads(environment.run(
            'pip', 'list', '--format', 'json'))} - {
                'ironic-imagedeploy', 'pip', 'setuptools'}
        self.assertIn('requests', found)
        self.assertLessEqual(len(found), _MOST, found)
        program, home = releases.PROGRAM, environment.home
        self.assertEqual(f'{program} {releases.NEW}\n',
                         environment.run(program, '--version'))
        folder = environment.folder
        disk = images.make_guest(folder / 'disk', 8 * _MIB, seed=1,
                                 label='gpt')
        image = home / images.convert(disk, folder / 'disk.qcow2').name
        self.assertIn('8 MiB', environment.run(program, 'check', image))
        environment.run(program, 'write', image, home / 'target',
                        '--report', home / 'report.json')
        self.assertEqual(disk.read_bytes(), (folder / 'target').read_bytes())
        environment.run(program, 'verify', image, home / 'target')
        environment.run(program, 'report', home / 'report.json', '--html',
                        home / 'report.html')
        self.assertIn('<svg', (folder / 'report.html').read_text())
        self.assertIn('_ironic_imagedeploy',
                      environment.run(program, 'completion', 'bash'))
        self.assertTrue(
            (folder / 'share/man/man1/ironic-imagedeploy.1').exists())

    def test_conductor(self) -> None:
        environment = self.environment('conductor', 'fast')
        self.assertLess(5, environment.entry_points(
            'ironic.hardware.interfaces.deploy', 'ironic.hardware.types',
            'oslo.config.opts'))
        configuration = environment.folder / 'ironic.conf'
        configuration.write_text(
            '[DEFAULT]\nenabled_deploy_interfaces = direct,imagedeploy\n'
            'enabled_hardware_types = ipmi\n[deploy]\n'
            'http_url = http://192.0.2.1\n'
            f'http_root = {environment.home}\n')
        self.assertIn('Success', environment.run(
            'ironic-imagedeploy-status', '--config-file',
            environment.home / configuration.name, 'upgrade', 'check'))

    def test_agent(self) -> None:
        environment = self.environment('agent', 'fast')
        self.assertLess(5, environment.entry_points(
            'ironic_python_agent.hardware_managers'))


class InstalledHereTest(releases.ReleaseTestCase, InstalledTests):
    """With the Python of the tests, from the package index."""

    def environment(self, *extras: str) -> releases.Environment:
        environment = releases.Environment(self.new_folder())
        environment.install(releases.wheel(), *extras)
        return environment


class DistributionTestCase(releases.ReleaseTestCase):
    """A minimal system without a network."""

    system: systems.Distribution

    def environment(self, *extras: str) -> releases.Environment:
        environment = distributions.Environment(
            self.new_folder() / 'tree', self.system)
        self.assertIn(f'Python {self.system.python}.',
                      environment.run('python', '--version'))
        environment.install(releases.wheel(), *extras)
        return environment


class InstalledOnDebian12Test(DistributionTestCase, InstalledTests):
    system = distributions.DEBIAN_12


class InstalledOnDebian13Test(DistributionTestCase, InstalledTests):
    system = distributions.DEBIAN_13
