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

import unittest

from ironic.common import exception

from ironic_imagedeploy.conductor import refusals


class RefusedTest(unittest.TestCase):

    def test_what_ironic_shows(self):
        error = refusals.refused(
            'image-not-found', 'disk.qcow2', message='It is gone.',
            expected='an image', found='nothing', fix='Bring it back.')
        self.assertIsInstance(error, exception.InvalidParameterValue)
        for words in ('disk.qcow2', 'image-not-found: It is gone. '
                      'Expected an image, found nothing. Bring it back.'):
            self.assertIn(words, str(error))
