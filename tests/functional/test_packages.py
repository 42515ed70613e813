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

"""The packages that are released: what is in them, and a change of them."""

import hashlib
import pathlib
import subprocess
import sys
import tarfile
import zipfile

from tests.functional import releases

_NAME, _NEW, _OLD = releases.NAME, releases.NEW, releases.OLD
_SOURCE = f'ironic_imagedeploy-{_NEW}.tar.gz'
#: A release that no clone has, and what the commit after it is.
_TAG, _AFTER_TAG = '99.0.0', '99.0.1.dev1'


class PackagesTest(releases.ReleaseTestCase):
    """Two releases of the commit that is checked out."""

    def test_digests(self) -> None:
        folder = releases.folder()
        listed = dict(reversed(line.split()) for line in (
            folder / 'SHA256SUMS').read_text().splitlines())
        self.assertEqual({_SOURCE, releases.wheel().name}, set(listed))
        for name, value in listed.items():
            self.assertEqual(value, hashlib.sha256(
                (folder / name).read_bytes()).hexdigest())

    def test_the_wheel_has_the_package_and_nothing_beside(self) -> None:
        with zipfile.ZipFile(releases.wheel()) as archive:
            names = archive.namelist()
            metadata = archive.read(
                f'{_NAME}-{_NEW}.dist-info/METADATA').decode()
        self.assertEqual({_NAME, f'{_NAME}-{_NEW}.data',
                          f'{_NAME}-{_NEW}.dist-info'},
                         {name.partition('/')[0] for name in names})
        for name in (f'{_NAME}/cmd/report.css',
                     f'{_NAME}-{_NEW}.data/data/share/man/man1/'
                     'ironic-imagedeploy.1'):
            self.assertIn(name, names)
        for extra in ('agent', 'conductor', 'fast', 'glance', 'inspector'):
            self.assertIn(f'Provides-Extra: {extra}\n', metadata)

    def test_the_source_has_all_files_of_the_commit(self) -> None:
        listed = subprocess.run(
            ['git', 'ls-tree', '-r', '--name-only', 'HEAD'], cwd=releases.ROOT,
            check=True, capture_output=True, text=True).stdout.splitlines()
        with tarfile.open(releases.folder() / _SOURCE) as archive:
            names = {name.partition('/')[2] for name in archive.getnames()}
        self.assertLessEqual(
            {name for name in listed if not name.startswith('.')}, names)

    def test_upgrade_and_removal(self) -> None:
        environment = releases.Environment(self.new_folder())
        for version in (_OLD, _NEW, _OLD, _NEW):
            environment.install(releases.wheel(version))
            self.assertEqual(
                f'ironic-imagedeploy {version}\n',
                environment.run('ironic-imagedeploy', '--version'))
        self.assertLess(5, environment.entry_points())
        environment.run('pip', 'uninstall', '-q', '-y', 'ironic-imagedeploy')
        self.assertEqual(0, environment.entry_points())
        self.assertEqual([], list(environment.folder.rglob('*imagedeploy*')))


class TagTest(releases.ReleaseTestCase):
    """A tag in a clone makes the version of everything that is released."""

    clone: pathlib.Path

    def setUp(self) -> None:
        super().setUp()
        self.clone = self.new_folder() / 'clone'
        releases.run('git', 'clone', '-q', releases.ROOT, self.clone)
        self.git('tag', '--annotate', '--message', 'A release', '--force',
                 _TAG)

    def git(self, *arguments: str) -> None:
        """Run git in the clone, as somebody."""
        releases.run('git', '-c', 'user.name=tests', '-c',
                     'user.email=tests@localhost', *arguments, cwd=self.clone)

    def built(self, *commit: str) -> set[str]:
        """Names of what is in dist after a release of the clone."""
        releases.run(self.clone / 'tools/release.sh', *commit)
        return {path.name for path in (self.clone / 'dist').iterdir()}

    def test_the_tag_and_the_commit_after_it(self) -> None:
        self.git('commit', '-q', '--allow-empty', '--message', 'Go on')
        beside = {'SHA256SUMS', 'BUILD'}
        for version, *commit in ((_AFTER_TAG,), (_TAG, _TAG)):
            self.assertEqual({f'{_NAME}-{version}-py3-none-any.whl',
                              f'{_NAME}-{version}.tar.gz', *beside},
                             self.built(*commit))

    def test_the_release_notes_are_those_of_the_tag(self) -> None:
        said = releases.run(pathlib.Path(sys.executable).with_name('reno'),
                            'report', '.', cwd=self.clone)
        self.assertIn(f'\n{_TAG}\n', said)
        self.assertIn('The first release of', said)
        self.assertNotIn('In Development', said)
