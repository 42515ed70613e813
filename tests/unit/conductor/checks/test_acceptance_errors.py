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

import types
import unittest
from unittest import mock

from oslo_config import fixture

from ironic.common import exception
from ironic.conf import CONF

from ironic_imagedeploy.conductor.cache import record
from ironic_imagedeploy.conductor.checks import acceptance
from ironic_imagedeploy.conductor import images
from ironic_imagedeploy.conf import opts
from ironic_imagedeploy import engine

URL = 'http://192.0.2.1/x'
GIB = 1 << 30
TEXTS = {'expected': 'this', 'found': 'that', 'fix': 'Mend it.'}


class AcceptanceTestCase(unittest.TestCase):

    def setUp(self):
        super().setUp()
        opts.register_opts(CONF)
        self.conf = self.enterContext(fixture.Config(CONF))

    def image(self, href=URL, info=None, capabilities='boot_mode:bios',
              **values):
        node = types.SimpleNamespace(
            uuid='the-node', instance_info=info or {}, driver_info={},
            driver_internal_info={}, properties={
                'cpu_arch': 'x86_64', 'capabilities': capabilities})
        return images.InstanceImage(**{
            'node': node, 'href': href, 'glance': None,
            'declared': images.DeclaredImage(), **values})


class CodesTest(AcceptanceTestCase):
    """Each reason has a code, also what no inspection found."""

    def refused(self, error, **values):
        with (self.assertRaises(exception.InvalidParameterValue) as caught,
              acceptance._refusals(self.image(**values))):
            raise error
        self.assertIsNone(caught.exception.__cause__)
        return str(caught.exception)

    def test_codes(self):
        errors = engine.exceptions
        for kind, code in ((errors.SourceNotFound, 'image-not-found'),
                           (errors.ChecksumMismatch, 'checksum-mismatch'),
                           (errors.SourceTimeout, 'image-unreadable'),
                           (errors.TlsTooOld, 'image-unreadable')):
            error = kind(URL, **TEXTS)
            told = self.refused(error)
            summary = f'{error.summary[0].upper()}{error.summary[1:]}'
            self.assertIn(f'{URL}: the image is refused: {code}: {summary}. '
                          'Expected this, found that.', told)

    def test_older_tls(self):
        error = engine.exceptions.TlsTooOld(URL, **TEXTS)
        self.assertIn('webserver_tls_minimum_version', self.refused(error))

    def test_what_was_refused_is_told_as_it_is(self):
        finding = engine.Finding(code='checksum-missing', expected='x',
                                 found='y')
        error = engine.exceptions.ImageRefused('the name', [finding])
        self.assertEqual(str(error), self.refused(error))


class ExpectationTest(AcceptanceTestCase):

    def expectation(self, **values):
        return acceptance._expectation(self.image(**values))

    def test_what_the_image_has_to_be(self):
        self.conf.config(group='imagedeploy', decompression_memory=9,
                         permitted_formats=['raw'],
                         insecure_checksums_permitted=True)
        found = self.expectation(info={'root_gb': 2}, has_kernel=True)
        self.assertEqual(
            (True, True, ('raw',), 9 << 20, 2 * GIB, 'bios', 'x86_64', True),
            (found.require_checksum, found.permit_weak, found.permitted,
             found.decompression_memory, found.disk_size, found.boot_mode,
             found.arch, found.has_kernel))
        self.assertFalse(self.expectation(href='file:///x').require_checksum)
        for href in ('abc://x', 'zzz://x'):
            self.assertTrue(self.expectation(href=href).require_checksum)
        self.assertIsNone(self.expectation().disk_size)

    def test_kinds(self):
        for values, kind in (
                ({}, 'whole-disk'), ({'partition': True}, 'partition'),
                ({'role': 'kernel', 'partition': True}, 'kernel'),
                ({'role': 'ramdisk'}, 'ramdisk'), ({'role': 'a'}, 'a')):
            self.assertEqual(kind, self.expectation(**values).image_type)

    def test_what_is_looked_into(self):
        for mode, role, looks in (('warn', 'disk', True),
                                  ('off', 'disk', False),
                                  ('warn', 'kernel', False),
                                  ('warn', 'a', False)):
            self.conf.config(group='imagedeploy', start_findings=mode)
            self.assertEqual(looks, self.expectation(role=role).contents)


class DecideTest(AcceptanceTestCase):

    def decide(self, *findings, size=None, **values):
        acceptance._decide(self.image(**values), record.Verdict(
            name='x', virtual_size=size, findings=findings))

    def finding(self, code='checksum-missing', **values):
        return engine.Finding(code=code, expected='x', found='y', **values)

    def test_what_is_only_odd(self):
        odd = self.finding('machine-id-left',
                           severity=engine.Severity.WARNING)
        with mock.patch.object(acceptance, 'LOG', autospec=True) as log:
            self.decide(odd)
            log.warning.assert_called_once_with(
                mock.ANY, URL, 'the-node', odd)

    def test_what_is_refused(self):
        with self.assertRaises(engine.exceptions.ImageRefused) as caught:
            self.decide(self.finding(), self.finding('checksum-weak'))
        for words in ('checksum-missing', 'checksum-weak',
                      'openstack baremetal node set'):
            self.assertIn(words, str(caught.exception))
        with mock.patch.object(acceptance, 'LOG', autospec=True) as log:
            self.assertRaises(engine.exceptions.ImageRefused, self.decide,
                              self.finding())
            log.warning.assert_not_called()

    def test_what_does_not_fit(self):
        """What sets the size of the disk is told, where one is known."""
        large = self.finding('too-large', case='node', data={
            'limit': 1, 'size': 3 * GIB, 'place': 'disk'})
        for values, size, words in (
                ({'info': {'root_gb': 2}}, 3 * GIB,
                 '--instance-info root_gb=3 the-node'),
                ({'info': {'root_gb': 2}}, None, 'image_source=URL'),
                ({}, 3 * GIB, 'image_source=URL')):
            with self.assertRaises(engine.exceptions.ImageRefused) as caught:
                self.decide(large, size=size, **values)
            self.assertIn(words, str(caught.exception))
        for code in ('checksum-missing', 'unsigned-loader'):
            with self.assertRaises(engine.exceptions.ImageRefused) as caught:
                self.decide(self.finding(code,
                                         severity=engine.Severity.ERROR),
                            size=3 * GIB, info={'root_gb': 2})
            self.assertNotIn('root_gb', str(caught.exception))


class JudgeTest(AcceptanceTestCase):

    def judge(self, cached, **values):
        with (mock.patch.object(acceptance.delivery, 'cached_verdict',
                                autospec=True, return_value=cached),
              mock.patch.object(acceptance, '_inspect', autospec=True,
                                return_value=record.Verdict(name='seen')
                                ) as inspect):
            found = acceptance._judge(self.image(**values))
        self.assertEqual(cached is None, inspect.called)
        return found.name

    def test_one_look_is_enough(self):
        self.assertEqual('seen', self.judge(None))
        self.assertEqual('kept', self.judge(record.Verdict(name='kept')))

    def inspected(self, error=None, size=9, stated=None, served=False):
        source = mock.MagicMock(size=size)
        source.__enter__.return_value = source
        image = self.image(declared=images.DeclaredImage(size=stated))
        with (mock.patch.object(acceptance.access, 'open_image',
                                autospec=True, return_value=source),
              mock.patch.object(engine, 'inspect', autospec=True,
                                side_effect=error) as inspect,
              mock.patch.object(images.InstanceImage, 'served_by_conductor',
                                served),
              mock.patch.object(record.Verdict, 'of', autospec=True,
                                return_value='the verdict')):
            found = acceptance._inspect(image, None)
        return found, inspect.called

    def test_sizes(self):
        for stated in (None, 9):
            self.assertEqual(('the verdict', True),
                             self.inspected(stated=stated))
        found, is_inspected = self.inspected(stated=8)
        self.assertEqual(('truncated', False),
                         (found.findings[0].code, is_inspected))

    def test_a_server_without_ranges(self):
        error = engine.exceptions.SourceNotSeekable(URL, **TEXTS)
        found, _ = self.inspected(error, served=True)
        self.assertEqual(record.Verdict(name=URL), found)
        self.assertRaises(engine.exceptions.SourceNotSeekable,
                          self.inspected, error)
