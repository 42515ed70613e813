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

"""The quick start, word by word, where nothing but git and Python is."""

import pathlib

from tests.functional import distributions
from tests.functional import guide
from tests.functional import releases
from tests.support import commands
from tests.support import quickstart

_CHECKOUT = '/srv/ironic-imagedeploy'


class QuickStartTest(releases.ReleaseTestCase):

    def test_commands_one_after_the_other(self) -> None:
        tree = self.new_folder() / 'tree'
        system = distributions.Environment(
            tree, distributions.DEBIAN_13_WITH_GIT)
        checkout = pathlib.Path(f'{tree}{_CHECKOUT}')
        releases.run('git', 'clone', '-q', releases.ROOT, checkout)
        image = guide.make(checkout)
        said = system.run_online('bash', '-ec', '\n'.join(
            [f'cd {_CHECKOUT}', *(
                step.text for step in quickstart.before_ironic())]))
        for words in (f'{image.name}: accepted', 'boots bios and uefi',
                      'written to disk.raw', 'identical to disk.raw',
                      '1 deployment in '):
            self.assertIn(words, said)
        commands.run('cmp', image.with_suffix('.raw'), checkout / 'disk.raw')
        self.assertIn('<svg', (checkout / 'report.html').read_text())
        self.is_what_is_built_here(checkout)
        wheel, = (checkout / 'dist').glob('*.whl')
        self.assertRegex(wheel.name,
                         r'^ironic_imagedeploy-.+-py3-none-any\.whl$')

    def is_what_is_built_here(self, checkout: pathlib.Path) -> None:
        """Another system and another Python make the same bytes."""
        commit = releases.run('git', 'rev-parse', 'HEAD', cwd=checkout)
        here = self.new_folder()
        releases.run(releases.ROOT / 'tools/release.sh', '--output', here,
                     commit.strip())
        self.assertEqual(*((folder / 'SHA256SUMS').read_text()
                           for folder in (here, checkout / 'dist')))
