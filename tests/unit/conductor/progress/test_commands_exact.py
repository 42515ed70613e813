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

import json
import unittest

import requests

from ironic_imagedeploy.conductor.progress import commands
from tests.unit.conductor.progress import agents

COMMAND = agents.command('RUNNING', None)


def answer(told, status=200):
    found = requests.Response()
    found.status_code = status
    found._content = told if isinstance(told, bytes) else (
        json.dumps(told).encode())
    return found


def nested(levels):
    """An object of so many levels, the innermost of which is a number."""
    told = 1
    for _ in range(levels - 1):
        told = {'a': told}
    return told


class CommandsTest(unittest.TestCase):

    def assert_is_one(self, expected, told):
        """Alone, after an order, and in a list."""
        self.assertIs(expected, commands.is_one(answer(told)), told)
        for listed in ([told], [COMMAND, told], [told, COMMAND]):
            self.assertIs(expected, commands.are_listed(answer(
                {'commands': listed})), told)

    def test_what_each_has(self):
        for name, values, others in (
                ('command_name', ('x', ''), (None, 5, [], {})),
                ('command_status', ('x', ''), (None, 5, [], {})),
                ('command_error', (None, {}, '', {'a': 1}), ('x', 5, [1])),
                ('command_result', (None, {}, '', 'x', {'a': 1}), (5, [1]))):
            for value in values:
                self.assert_is_one(True, {**COMMAND, name: value})
            for value in others:
                self.assert_is_one(False, {**COMMAND, name: value})
        for name in ('command_name', 'command_status'):
            self.assert_is_one(False, {key: value for key, value
                                       in COMMAND.items() if key != name})
        for other in (None, 5, 'x', [], [COMMAND], {}):
            self.assert_is_one(False, other)

    def test_steps(self):
        for name in ('clean_step', 'deploy_step', 'service_step'):
            for value, expected in ((None, True), ({}, True), ({'a': 1}, True),
                                    (5, False), ('x', False), ([1], False)):
                self.assert_is_one(expected, {
                    **COMMAND, 'command_result': {name: value}})
        self.assert_is_one(True, {**COMMAND, 'command_result': {'a_step': 5}})

    def test_refusals(self):
        for told, expected in (({'faultstring': 'no'}, True),
                               ({'faultstring': ''}, True),
                               ({'faultstring': 5}, False), ({}, False),
                               (COMMAND, False), ('x', False), (b'', False)):
            self.assertIs(expected, commands.is_one(answer(told, 500)), told)
        self.assertFalse(commands.is_one(answer({'faultstring': 'no'})))

    def test_lists(self):
        self.assertTrue(commands.are_listed(answer({'commands': []})))
        for told in ({}, {'commands': None}, {'commands': {}}, [], [COMMAND],
                     {'commands': 'x'}, 5, b'', b'<html>', b'\xff'):
            self.assertFalse(commands.are_listed(answer(told)), told)

    def test_depth(self):
        # The list, the command and its result are three levels more, and the
        # innermost value has to have nothing in it.
        for levels, expected in ((60, True), (61, False)):
            self.assertIs(expected, commands.are_listed(answer({
                'commands': [{**COMMAND, 'command_result': {
                    'a': nested(levels)}}]})), levels)
        for levels, expected in ((62, True), (63, False)):
            self.assertIs(expected, commands.is_one(answer({
                **COMMAND, 'command_result': {'a': nested(levels)}})), levels)
            self.assertIs(expected, commands.is_one(answer({
                **COMMAND, 'a': [[nested(levels - 1)]]})), levels)

    def test_python_gives_up(self):
        self.assertFalse(commands.is_one(answer(b'[' * 100000)))
