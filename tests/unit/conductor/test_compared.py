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

import os
import pathlib
import re
import shutil
import textwrap
from unittest import mock

from oslo_messaging.rpc import dispatcher
from oslo_utils import uuidutils

from ironic.common import states
from ironic.drivers.modules import fake
from ironic.tests.unit.objects import utils as objects_utils
from ironic import version

from tests.support import web
from tests.unit.conductor import base
from tests.unit.conductor import comparison

PAGE = (pathlib.Path(__file__).parents[3] / 'doc' / 'source' / 'admin'
        / 'compared.rst')
MARK = '.. measured\n'
TITLE = '   * - '
#: The series of Ironic that the page is about.
MEASURED = '39'
IRONIC = version.version_info.version_string().partition('.')[0]
PARTS = 6
WRITE = 'IMAGEDEPLOY_WRITE_COMPARED'
ACCEPTED = 'Accepted: the node boots the ramdisk.'


class Exchange(web.Exchange):
    """One that answers HEAD too, as Ironic expects of web servers."""

    def do_HEAD(self) -> None:
        self.file = self.server.directory / pathlib.Path(self.path).name
        if self.file.is_file():
            self.start(200, {
                'Content-Length': str(self.file.stat().st_size),
                'Last-Modified': self.modified})
        else:
            self.start(404, {'Content-Length': '0'})


class ComparedTest(base.ConductorTestCase):
    """What both deploy interfaces say to the same image and node.

    The conductor is a real one, up to the point where the ramdisk boots.
    """

    def setUp(self):
        super().setUp()
        self._start_service()
        self.addCleanup(self._stop_service)
        self.server.RequestHandlerClass = Exchange
        self.config(image_download_source='http', group='agent')
        self.power = mock.Mock()
        for name in ('set_power_state', 'reboot'):
            patcher = mock.patch.object(fake.FakePower, name, autospec=True,
                                        side_effect=self.power)
            self.addCleanup(patcher.stop)
            patcher.start()
        self.store = comparison.Store(self)

    def check(self, part):
        """One of the parts, each of which is quick enough for a test."""
        shown, measured = _rows(PAGE.read_text()), {}
        for case in comparison.CASES[part::PARTS]:
            with self.subTest(case.title):
                ours, power = self.deploy(case, 'imagedeploy')
                self.assertTrue(ours.startswith(f'{case.code}: '), ours)
                self.assertFalse(power)
                if IRONIC == MEASURED:
                    measured[case.title] = self.row(case, ours)
        if os.environ.get(WRITE):
            _write({**shown, **measured})
            return
        for title, row in measured.items():
            self.assertEqual(row, shown.get(title), (
                f'{PAGE} does not show what was measured; run these tests, '
                f'one at a time, with {WRITE}=1'))

    def test_first_part(self):
        self.check(0)

    def test_second_part(self):
        self.check(1)

    def test_third_part(self):
        self.check(2)

    def test_fourth_part(self):
        self.check(3)

    def test_fifth_part(self):
        self.check(4)

    def test_sixth_part(self):
        self.check(5)

    def test_the_page_has_each_case_and_no_other(self):
        self.assertEqual([case.title for case in comparison.CASES],
                         list(_rows(PAGE.read_text())))

    def row(self, case, ours):
        """What the page shows beside the title."""
        code, _, rest = ours.partition(': ')
        match = re.match(r'(.*? Expected .*?, found .*?\.)( |$)', rest)
        stock, power = self.deploy(case, 'direct')
        if power and stock != ACCEPTED:
            stock = f'The power was switched off, then: {stock}'
        return ''.join(
            textwrap.fill(cell, 79, initial_indent='     - ',
                          subsequent_indent=' ' * 7, break_long_words=False,
                          break_on_hyphens=False) + '\n'
            for cell in (f'``{code}``: {_escape(match[1])}', _escape(stock)))

    def deploy(self, case, interface):
        """What an operator sees, and whether the power was changed."""
        for directory in ('master', 'images', 'glance', 'web'):
            for path in (self.directory / directory).glob('*'):
                if path.name not in ('versions', 'disk.qcow2'):
                    (shutil.rmtree if path.is_dir() else os.unlink)(path)
        self.power.reset_mock()
        node = objects_utils.create_test_node(
            self.context, uuid=uuidutils.generate_uuid(), name=None,
            driver='fake-hardware', deploy_interface=interface,
            network_interface='noop', provision_state=states.AVAILABLE,
            power_state=states.POWER_ON, driver_internal_info={},
            instance_info=case.make(self.store), properties={
                'cpu_arch': 'x86_64', 'local_gb': 20,
                'capabilities': 'boot_mode:bios', **case.properties})
        try:
            self.service.do_node_deploy(self.context, node.uuid)
        except dispatcher.ExpectedException as error:
            # What the API answers to the request.
            said = str(error.exc_info[1])
        else:
            node.refresh()
            said = node.last_error or ''
            if not said:
                self.assertEqual(states.DEPLOYWAIT, node.provision_state)
        said = re.sub('^Failed to (prepare to deploy|validate deploy or power '
                      'info for node [^:]*): ', '', said or ACCEPTED)
        if interface == 'imagedeploy':
            said = said.partition(' the image is refused: ')[2] or said
        said = said.replace(node.uuid, 'NODE').replace(
            str(self.directory), '/images')
        said = re.sub(r'\nCommand: .*\nStderr: ', ' [...] ', said,
                      flags=re.DOTALL)
        said = re.sub(r'/master/tmp[^/]*', '', said)
        said = re.sub(r'\b[0-9a-f]{64,}', 'VALUE', said)
        said = re.sub(r'http://127\.0\.0\.1:\d+', 'http://server', said)
        return said, self.power.called


def _rows(page):
    """The rows of the table, by their titles."""
    rows = {}
    for row in page.partition(MARK)[2].split(TITLE)[2:]:
        title, cell, cells = row.partition('     - ')
        rows[' '.join(title.split())] = cell + cells
    return rows


def _write(rows):
    head, mark, table = PAGE.read_text().partition(MARK)
    heading = TITLE.join(table.split(TITLE)[:2])
    PAGE.write_text(head + mark + heading + ''.join(
        textwrap.fill(case.title, 79, initial_indent=TITLE,
                      subsequent_indent=' ' * 7) + '\n' + rows[case.title]
        for case in comparison.CASES if case.title in rows))


def _escape(text):
    """As reStructuredText, without quotation marks and dashes made nice."""
    return re.sub(r"([\\*`|\"'_]|-(?=-))", r'\\\1', text)
