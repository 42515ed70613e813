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

import json
import os
import pathlib
import tempfile
import types
import unittest
from unittest import mock

from ironic_imagedeploy.conductor.cache import manifests
from ironic_imagedeploy.conductor.cache import record
from ironic_imagedeploy import engine

WARNING = engine.Finding(code='machine-id-left', expected='none',
                         found='one', severity=engine.Severity.WARNING)
ERROR = engine.Finding(code='machine-id-left', expected='none', found='one',
                       severity=engine.Severity.ERROR)
MANIFEST = manifests.KeptManifest(
    root='ab' * 32, size=7, checksum=engine.Checksum('sha256', '0' * 64))
VERDICT = record.Verdict(name='image', format='raw', virtual_size=5,
                         findings=(WARNING, ERROR), has_kernel=True,
                         start_judged=True)


class RecordTestCase(unittest.TestCase):

    def setUp(self):
        super().setUp()
        self.directory = pathlib.Path(self.enterContext(
            tempfile.TemporaryDirectory()))
        self.path = str(self.directory / 'record.json')
        self.part = str(self.directory / 'record.part')

    def record(self, **changes):
        return record.Record(**{
            'identity': (1, 2, 3, 4), 'read_at': 5.5,
            'checksums': {'sha256': '0' * 64}, **changes})

    def saved(self, **changes):
        made = self.record(**changes)
        made.save(self.path, self.part)
        return made


class InspectedTest(unittest.TestCase):

    def test_of_an_inspection(self):
        self.assertEqual(VERDICT, record.Verdict.of(types.SimpleNamespace(
            source=types.SimpleNamespace(name='image'), format='raw',
            virtual_size=5, findings=[WARNING, ERROR], has_kernel=True,
            start_judged=True)))


class SaveTest(RecordTestCase):

    def test_all_of_it_comes_back(self):
        for changes in ({}, {'manifest': MANIFEST},
                        {'disk_manifest': MANIFEST},
                        {'needs_disk_manifest': False},
                        {'needs_disk_manifest': True,
                         'verdicts': {'key': VERDICT}}):
            made = self.saved(**changes)
            self.assertEqual(made, record.Record.load(self.path))
        self.assertFalse(os.path.exists(self.part))

    def test_verdicts_of_the_latest(self):
        verdicts = {str(number): VERDICT for number in range(64)}
        self.saved(verdicts=dict(verdicts))
        self.assertEqual(list(verdicts), list(
            record.Record.load(self.path).verdicts))
        made = self.saved(verdicts={'first': VERDICT, **verdicts})
        self.assertEqual(list(verdicts), list(
            record.Record.load(self.path).verdicts))
        self.assertEqual(list(verdicts), list(made.verdicts))

    def test_at_once_or_not_at_all(self):
        self.saved()
        before = self.path, pathlib.Path(self.path).read_bytes()
        with (mock.patch.object(record.json, 'dump', autospec=True,
                                side_effect=OSError('no space')),
              self.assertRaisesRegex(OSError, 'no space')):
            self.record(read_at=9.0).save(self.path, self.part)
        self.assertEqual(before, (self.path,
                                  pathlib.Path(self.path).read_bytes()))
        self.assertFalse(os.path.exists(self.part))


class LoadTest(RecordTestCase):

    def test_none(self):
        self.assertIsNone(record.Record.load(self.path))

    def test_something_else(self):
        self.saved(verdicts={'key': VERDICT}, manifest=MANIFEST)
        good = json.loads(pathlib.Path(self.path).read_text())
        for wrong in (
                b'', b'{', b'\xff', b'[]', b'null', b'5',
                *({**good, **changes} for changes in (
                    {'identity': 5}, {'read_at': 'x'}, {'read_at': None},
                    {'checksums': 5}, {'checksums': [1]}, {'verdicts': []},
                    {'verdicts': {'key': 5}}, {'verdicts': {'key': {}}},
                    {'manifest': {'version': 0}}, {'manifest': 5},
                    {'disk_manifest': 'x'})),
                *({key: value for key, value in good.items() if key != name}
                  for name in ('identity', 'read_at', 'checksums',
                               'verdicts'))):
            pathlib.Path(self.path).write_bytes(
                wrong if isinstance(wrong, bytes)
                else json.dumps(wrong).encode())
            self.assertIsNone(record.Record.load(self.path), wrong)

    def test_of_an_earlier_release(self):
        """Without what was not known then."""
        self.saved()
        kept = json.loads(pathlib.Path(self.path).read_text())
        for name in ('manifest', 'disk_manifest', 'needs_disk_manifest'):
            del kept[name]
        pathlib.Path(self.path).write_text(json.dumps(kept))
        self.assertEqual(self.record(), record.Record.load(self.path))


class IdentityTest(RecordTestCase):

    def setUp(self):
        super().setUp()
        self.file = self.directory / 'file'
        self.file.write_bytes(b'12345')
        self.known = record.identity(str(self.file))

    def test_what_it_is(self):
        status = self.file.stat()
        self.assertEqual((status.st_dev, status.st_ino, 5,
                          status.st_mtime_ns), self.known)
        self.assertEqual(5, record.size(str(self.file)))

    def test_a_file_that_is_gone(self):
        self.file.unlink()
        self.assertEqual((), record.identity(str(self.file)))
        self.assertIsNone(record.size(str(self.file)))

    def test_whether_it_is_the_same(self):
        made = self.record(identity=self.known)
        os.link(self.file, self.directory / 'another name')
        self.assertTrue(made.is_about(str(self.file)))
        self.assertTrue(made.is_about(str(self.directory / 'another name')))
        for change in (lambda: os.utime(self.file, ns=(0, 1)),
                       lambda: self.file.write_bytes(b'123456'),
                       self.file.unlink):
            change()
            self.assertFalse(made.is_about(str(self.file)))


class VerdictTest(unittest.TestCase):

    def test_errors(self):
        self.assertEqual((ERROR,), VERDICT.errors)
        self.assertEqual((), record.Verdict(name='x').errors)

    def test_at_first_nothing_is_known(self):
        self.assertEqual(
            {'name': 'x', 'format': None, 'virtual_size': None,
             'has_kernel': None, 'start_judged': False, 'findings': []},
            record.Verdict(name='x').to_dict())

    def test_it_depends_on_what_is_expected_and_on_the_code(self):
        def key(**values):
            return record.verdict_key(engine.Expectation(**values))

        first = key(disk_size=1)
        self.assertEqual(first, key(disk_size=1))
        self.assertNotEqual(first, key(disk_size=2))
        self.assertRegex(first, '^[0-9a-f]{64}$')
        with mock.patch.object(record, '_version', lambda: 'another'):
            self.assertNotEqual(first, key(disk_size=1))

    def test_the_version_is_that_of_the_code_that_runs(self):
        version = record._version()
        with mock.patch.object(record.importlib.metadata, 'version',
                               autospec=True, return_value='later'):
            self.assertEqual(version, record._version())
