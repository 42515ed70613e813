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


import importlib.util
import pathlib
import re
import types
import unittest

from ironic_imagedeploy.engine import catalogue
from ironic_imagedeploy.engine import findings

DOCUMENTATION = pathlib.Path(__file__).parents[2] / 'doc'


def extension() -> types.ModuleType:
    """The extension of Sphinx that writes the tables of codes."""
    specification = importlib.util.spec_from_file_location(
        'finding_codes', DOCUMENTATION / 'ext' / 'finding_codes.py')
    assert specification and specification.loader
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


class FindingCodesTest(unittest.TestCase):

    def test_the_page_has_the_table_of_each_topic(self) -> None:
        page = (DOCUMENTATION / 'source' / 'admin' / 'refusals.rst'
                ).read_text()
        self.assertEqual(
            sorted(topic.name.lower() for topic in catalogue.Topic),
            sorted(re.findall(r'^\.\. finding-codes:: (\w+)$', page,
                              re.MULTILINE)))

    def test_each_code_has_its_anchor_once(self) -> None:
        tables = '\n'.join(line for topic in catalogue.Topic
                           for line in extension().table(topic))
        self.assertEqual(sorted(catalogue.ENTRIES), sorted(re.findall(
            r'^   \* - \.\. _([a-z-]+):$', tables, re.MULTILINE)))

    def test_the_checklist_leads_to_each_code(self) -> None:
        lines = [line for line in extension().checklist(
            catalogue.Topic.START) if line.startswith(':ref:')]
        self.assertEqual(
            [f':ref:`{code} <{code}>`'
             for code, entry in catalogue.ENTRIES.items()
             if entry.topic is catalogue.Topic.START], lines)

    def test_a_row(self) -> None:
        rows = list(extension().table(catalogue.Topic.DAMAGE))
        at = next(index for index, row in enumerate(rows)
                  if '_backing-file:' in row)
        self.assertEqual(
            ['   * - .. _backing-file:\n\n       ``backing-file``',
             '     - The image names another file to read from.',
             '     - Make it self-contained: ``qemu-img convert -O qcow2 '
             'FILE NEW``.\n\n'
             '       Make the image again: ``qemu-img convert -O qcow2 FILE '
             'NEW``.\n\n'
             '       Make it self-contained: ``VBoxManage clonemedium FILE '
             'NEW``.',
             '     - never'], rows[at:at + 4])


class TroubleshootingTest(unittest.TestCase):

    def test_every_code_is_there(self) -> None:
        page = (DOCUMENTATION / 'source' / 'admin' / 'troubleshooting.rst'
                ).read_text()
        self.assertEqual(set(catalogue.ENTRIES), set(re.findall(
            r':finding:`([a-z-]+)`', page)))


class LinksTest(unittest.TestCase):
    """Sphinx looks at its own references; these are beside them."""

    def test_files_that_the_way_in_names_exist(self) -> None:
        root = DOCUMENTATION.parent
        for page in ('README.rst', 'CONTRIBUTING.rst'):
            for name in re.findall(r'<((?!https?:)[\w./-]+)>`_',
                                   (root / page).read_text()):
                with self.subTest(page=page, name=name):
                    self.assertTrue((root / name).exists())

    def test_files_that_pages_include_exist(self) -> None:
        root = DOCUMENTATION.parent
        for page in (DOCUMENTATION / 'source').rglob('*.rst'):
            for name in re.findall(
                    r'^\.\. (?:literalinclude|figure|image):: ([^/\s]\S*)$',
                    page.read_text(), re.MULTILINE):
                with self.subTest(page=page.name, name=name):
                    self.assertTrue((page.parent / name).exists())
                    self.assertTrue((page.parent / name).resolve(
                        ).is_relative_to(root))

    def test_links_of_findings_lead_to_their_page(self) -> None:
        page, _, anchor = findings.Finding(
            code='no-esp', expected='', found='').to_dict()[
                'link'].partition('#')
        self.assertEqual('no-esp', anchor)
        self.assertTrue((DOCUMENTATION / 'source' / page).with_suffix(
            '.rst').exists())
