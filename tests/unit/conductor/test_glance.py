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

import time

from ironic.common import exception

from ironic_imagedeploy.conductor import declared
from ironic_imagedeploy.conductor import serving
from tests.support import web
from tests.unit.conductor import base


class SlowGlanceTest(base.ConductorTestCase):
    """A Glance that is never silent, and never done."""

    def setUp(self):
        super().setUp()
        self.glance.register(self.qcow2)
        self.use(base.IMAGE_ID)
        self.expect_quick_servers()
        self.config(webserver_connection_timeout=1)
        self.serve = self.glance.answer

    def slow(self, name, answer):
        self.glance.answer = lambda exchange: (
            answer if exchange.file.name == name else self.serve)(exchange)

    def test_the_node_is_not_kept(self):
        for name in (base.IMAGE_ID, 'file'):
            for answer in web.NEVER_ENDING:
                self.slow(name, answer)
                began = time.monotonic()
                with (self.subTest(name=name, answer=answer),
                      self.task(shared=False) as task):
                    self.assertRaises(exception.InvalidParameterValue,
                                      serving.provide, task)
                    self.assertLess(time.monotonic() - began, 12)

    def test_what_an_operator_set_stays(self):
        self.config(timeout=7, group='glance')
        with self.task() as task:
            image = declared.image(task)
        self.assertEqual(7, image.glance.client.session.timeout)
