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

import math
import unittest

from ironic_imagedeploy.contract import fields


class ValuesTest(unittest.TestCase):

    def test_texts(self):
        check = fields.text(5)
        for value, found in (
                ('', ''), ('12345', '12345'), ('123456', '12345'),
                ('a\nb\x1b', 'a?b?'), ('\N{SNOWMAN}', '\N{SNOWMAN}'),
                (b'x', None), (5, None), (None, None), (['x'], None)):
            self.assertEqual(found, check(value))

    def test_numbers(self):
        most = (1 << 63) - 1
        for value in (0, 0.0, 0.5, 1, most, 2.0 ** 62):
            self.assertEqual(value, fields.number(value))
            self.assertIs(type(value), type(fields.number(value)))
        for value in (-1, -0.1, most + 1, 2.0 ** 63, 10 ** 400, math.nan,
                      math.inf, -math.inf, True, False, '1', None, [1], 1j):
            self.assertIsNone(fields.number(value), value)

    def test_counts(self):
        for value, found in ((0, 0), (7, 7), (7.9, 7), (0.4, 0), (-1, None),
                             ('7', None), (None, None)):
            self.assertEqual(found, fields.count(value))
        self.assertIs(int, type(fields.count(7.9)))

    def test_flags(self):
        for value, found in ((True, True), (False, False), (1, None),
                             (0, None), ('true', None), (None, None)):
            self.assertIs(found, fields.flag(value))


class ContainersTest(unittest.TestCase):

    def test_mappings(self):
        check = fields.mapping(a=fields.count, b=fields.text(2))
        for value, found in (
                ({}, {}), ({'a': 1, 'b': 'xyz'}, {'a': 1, 'b': 'xy'}),
                ({'a': 0, 'b': ''}, {'a': 0, 'b': ''}),
                ({'a': 'x', 'b': 'y'}, {'b': 'y'}), ({'c': 1}, {}),
                ([], None), ('a', None), (None, None)):
            self.assertEqual(found, check(value))

    def test_sequences(self):
        check = fields.sequence(fields.count, 3)
        for value, found in (
                ([], []), ([0, 1, 2], [0, 1, 2]), ([0, 1, 2, 3], [0, 1, 2]),
                # What is not one of them still has its place.
                (['x', 1, None, 3], [1]), ((1, 2), None), ({1}, None),
                ('12', None), (None, None)):
            self.assertEqual(found, check(value))
