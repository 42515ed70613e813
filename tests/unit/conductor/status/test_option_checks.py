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

import inspect
import os
import pathlib
import re
import shutil
import tempfile
from unittest import mock

from ironic.conf import CONF
from ironic.tests import base
from oslo_upgradecheck import upgradecheck

from ironic_imagedeploy.conductor.status import option_checks
from ironic_imagedeploy.conductor.status import upgrade_checks
from ironic_imagedeploy.conf import opts

Code = upgradecheck.Code


class OptionChecksTest(base.TestCase):

    def setUp(self):
        super().setUp()
        self.directory = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.directory)
        opts.register_opts(CONF)
        self.config(http_url='http://192.0.2.1', group='deploy',
                    http_root=str(self.directory))

    def read(self, *lines):
        path = self.directory / 'ironic.conf'
        path.write_text('\n'.join(lines))
        CONF(['--config-file', str(path)], project='ironic')
        return path

    def assert_problem(self, code, *words):
        """There is one problem, and it tells those words."""
        (found, text), = option_checks.problems(CONF)
        self.assertEqual(code, found, text)
        for word in words:
            self.assertIn(word, text)

    def test_defaults(self):
        self.assertEqual([], [*option_checks.problems(CONF)])

    def test_misspelt(self):
        path = self.read('[imagedeploy]', 'require_agent = True',
                         'permited_formats = raw')
        self.assert_problem(
            Code.WARNING, f'{path}: [imagedeploy] has no option '
            'permited_formats', 'is it permitted_formats?')

    def test_hyphens_are_not_underscores(self):
        self.read('[imagedeploy]', 'require-agent = False')
        self.assertTrue(CONF.imagedeploy.require_agent)
        self.assert_problem(Code.WARNING, 'no option require-agent',
                            'is it require_agent?')

    def test_misspelt_beyond_recognition(self):
        self.read('[imagedeploy-redfish]', 'verify_ca = /ca', 'xyz = 1')
        self.assert_problem(Code.WARNING, '[imagedeploy-redfish] has no '
                            'option xyz, and it is ignored: Correct')

    def test_a_misspelt_group(self):
        for name in ('image_deploy', 'imagedeploi', 'ironic-imagedeploy'):
            path = self.read(f'[{name}]', 'read_back = full')
            self.assert_problem(
                Code.WARNING, f'{path}: nobody reads the group [{name}]',
                'is it [imagedeploy]?')

    def test_a_misspelt_group_among_others(self):
        self.read('[deploy]', 'x = 1', '[image_deploy]', 'x = 1', '[image]',
                  'x = 1', '[imagedeploi]', 'x = 1')
        self.assertEqual(['[image_deploy]', '[imagedeploi]'], [
            re.search(r'\[\w+\]', text)[0]
            for _, text in option_checks.problems(CONF)])

    def test_the_case_of_a_group_does_not_count(self):
        self.read('[ImageDeploy]', 'read_back = full', 'reed_back = full')
        self.assertEqual('full', CONF.imagedeploy.read_back)
        self.assert_problem(Code.WARNING, 'no option reed_back',
                            'is it read_back?')

    def test_the_last_value_counts(self):
        path = self.read('[imagedeploy]', 'read_back = none',
                         'read_back = ful', '[IMAGEDEPLOY]',
                         'read_back = partly')
        self.assert_problem(
            Code.FAILURE,
            f'{path}: [imagedeploy]read_back = partly is not valid')

    def test_groups_of_others(self):
        for name in ('deploy', 'imagedeploy', 'ImageDeploy', 'redfish',
                     'image', 'my_plugin'):
            self.read(f'[{name}]', '')
            self.assertEqual([], [*option_checks.problems(CONF)], name)

    def test_what_is_not_a_number_is_told_in_words(self):
        self.read('[imagedeploy]', 'cache_recheck_interval = 1h')
        self.assert_problem(Code.FAILURE, "'1h' is not a number")

    def test_files_of_a_folder(self):
        path = self.directory / 'second.conf'
        path.write_text('[imagedeploy]\nreed_back = full\n')
        CONF(['--config-dir', str(self.directory)], project='ironic')
        self.assert_problem(Code.WARNING, f'{path}: [imagedeploy] has no '
                            'option reed_back', 'is it read_back?')

    def test_invalid_value(self):
        self.read('[imagedeploy]', 'permitted_formats = raw,iso')
        result = upgrade_checks.result(option_checks.problems(CONF))
        self.assertEqual(Code.FAILURE, result.code)
        for words in ('permitted_formats', str(self.directory),
                      "found 'iso'. Correct the value."):
            self.assertIn(words, result.details)

    def test_every_value_that_is_not_valid(self):
        path = self.read(
            '[imagedeploy]', 'read_back = ful', 'workers = many',
            'cache_recheck_interval = -1', 'require_agent = perhaps',
            'progress_interval = 10', '[agent]',
            'image_download_source = ftp')
        problems = [*option_checks.problems(CONF)]
        self.assertEqual({Code.FAILURE}, {code for code, _ in problems})
        texts = [text for _, text in problems]
        for name, value in (
                ('[imagedeploy]read_back', 'ful'),
                ('[imagedeploy]workers', 'many'),
                ('[imagedeploy]cache_recheck_interval', '-1'),
                ('[imagedeploy]require_agent', 'perhaps'),
                ('[agent]image_download_source', 'ftp')):
            text, = [text for text in texts if name in text]
            self.assertTrue(text.startswith(f'{path}: {name} = {value} is '
                                            'not valid: '), text)
            self.assertNotIn('LocationInfo', text)
        self.assertEqual(5, len(texts))

    def test_value_of_the_environment(self):
        with mock.patch.dict(os.environ, OS_IMAGEDEPLOY__READ_BACK='ful'):
            self.read('[imagedeploy]', 'workers = 1')
            self.assert_problem(Code.FAILURE,
                                '[imagedeploy]read_back is not valid')

    def test_options_of_ironic_are_those_that_are_read(self):
        source = inspect.getsource(option_checks)
        read = set(re.findall(r'conf\.(agent|conductor|deploy)\.(\w+)',
                              source))
        self.assertEqual(read, {
            (group, name) for group, names in option_checks._OF_IRONIC.items()
            if group != 'DEFAULT' for name in names})

    def test_no_format(self):
        self.config(permitted_formats=[], group='imagedeploy')
        self.assert_problem(Code.FAILURE, 'every image is refused')

    def test_format_that_ironic_does_not_permit(self):
        self.config(permitted_formats=['raw', 'vmdk', 'vdi'],
                    group='imagedeploy')
        self.config(permitted_image_formats=['raw', 'vdi'],
                    group='conductor')
        self.assertEqual([], [*option_checks.problems(CONF)])
        self.config(require_agent=False, group='imagedeploy')
        (code, text), _ = option_checks.problems(CONF)
        self.assertEqual(Code.WARNING, code)
        self.assertIn('permitted_formats has vmdk, but', text)
        self.assertIn('[conductor]permitted_image_formats', text)
        self.config(disable_deep_image_inspection=True, group='conductor')
        self.assert_problem(Code.WARNING, 'require_agent is False')

    def test_insecure_checksums(self):
        self.config(insecure_checksums_permitted=True, group='imagedeploy')
        self.assert_problem(Code.WARNING, 'insecure_checksums_permitted',
                            'sha512')

    def test_insecure_checksums_that_ironic_does_not_permit(self):
        self.config(insecure_checksums_permitted=True, group='imagedeploy')
        self.config(allow_md5_checksum=False, group='agent')
        self.assertIn('[agent]allow_md5_checksum',
                      [*option_checks.problems(CONF)][1][1])
        self.config(insecure_checksums_permitted=False, group='imagedeploy')
        self.assertEqual([], [*option_checks.problems(CONF)])

    def test_ramdisks_without_the_agent_side(self):
        self.config(require_agent=False, group='imagedeploy')
        self.assert_problem(Code.WARNING, 'require_agent is False',
                            'nor resumes')
        self.config(read_back='full', group='imagedeploy')
        self.assert_problem(Code.WARNING, 'read_back = full')

    def test_nowhere_to_serve_images(self):
        self.config(http_url=None, group='deploy')
        for source, code, served, others in (
                ('http', Code.WARNING, 'Glance', 'swift'),
                ('local', Code.FAILURE, 'all', 'http or swift')):
            self.config(image_download_source=source, group='agent')
            self.assert_problem(
                code, f'image_download_source is {source}, so the conductor '
                f'serves {served} images, but [deploy]http_url is not set',
                f'or set [agent]image_download_source to {others}.')
        self.config(image_download_source='swift', group='agent')
        self.assertEqual([], [*option_checks.problems(CONF)])

    def test_no_folder_to_serve(self):
        self.config(http_root='/nonexistent', group='deploy')
        self.assert_problem(Code.WARNING, '/nonexistent')

    def test_neighbours_that_have_no_chunks(self):
        self.config(neighbours=True, group='imagedeploy')
        self.assertEqual([], [*option_checks.problems(CONF)])
        self.config(verify='file', group='imagedeploy')
        self.assert_problem(Code.WARNING, 'neighbours has no effect',
                            '[imagedeploy]verify = file')
        self.config(verify='both', group='imagedeploy')
        self.config(image_download_source='swift', group='agent')
        self.assert_problem(Code.WARNING, 'neighbours has no effect',
                            'image_download_source = swift')

    def test_findings_that_nobody_raises(self):
        self.config(start_findings='off', group='imagedeploy')
        self.assertEqual([], [*option_checks.problems(CONF)])
        self.config(start_findings_raised=['no-login'], group='imagedeploy')
        self.assert_problem(Code.WARNING, 'start_findings_raised has no '
                            'effect', 'start_findings = off')
        self.config(start_findings='warn',
                    start_findings_muted=['hibernated', 'no-login'],
                    group='imagedeploy')
        self.assert_problem(Code.WARNING, 'start_findings_muted has no-login,')

    def test_conversion_that_was_asked_for(self):
        self.read('[DEFAULT]', 'force_raw_images = True')
        self.assert_problem(Code.SUCCESS, 'force_raw_images has no effect')
        self.read('[DEFAULT]', 'force_raw_images = False')
        self.assertEqual([], [*option_checks.problems(CONF)])
