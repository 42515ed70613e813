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
import unittest

from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import exceptions

NAMES = [
    'Authorization', 'Budget', 'Checksum', 'ChunkAbsent', 'ChunkedSource',
    'Expectation', 'Extent', 'ExtentKind', 'Finding', 'ImageTarget',
    'Inspection', 'LOOK_TIMEOUT', 'Partition', 'Progress', 'Report',
    'Severity', 'Source', 'Supplier', 'Target', 'VerifiedStream',
    'cloud_failure', 'compare', 'exceptions', 'glance_request', 'inspect',
    'limit_heads', 'limit_service', 'may_know_secrets', 'open_source',
    'open_target', 'origin', 'reason', 'redact', 'repair_gpt', 'require_fit',
    'require_sdk', 'transfer', 'transfer_listed',
]


class PublicNamesTest(unittest.TestCase):

    def test_the_public_names_are_these(self) -> None:
        self.assertEqual(NAMES, engine.__all__)

    def test_each_public_name_is_there_and_documented(self) -> None:
        for name in engine.__all__:
            with self.subTest(name=name):
                self.assertTrue(inspect.getdoc(getattr(engine, name)))

    def test_there_are_no_others(self) -> None:
        self.assertFalse(hasattr(engine, 'no_such_name'))

    def test_what_a_caller_may_leave_out(self) -> None:
        for call, required, optional in (
                (engine.open_source, ['location'],
                 ['mirrors', 'checksum_stated']),
                (engine.inspect, ['source'], ['expectation', 'budget']),
                (engine.open_target, ['path'], ['create_size', 'read_only']),
                (engine.transfer, ['inspection', 'target'],
                 ['read_back', 'progress', 'workers', 'verify_file',
                  'journals', 'written', 'in_sequence',
                  'through']),
                (engine.transfer_listed, ['inspection', 'target', 'bmap'],
                 ['read_back', 'progress', 'workers', 'verify_file']),
                (engine.repair_gpt, ['target'], []),
                (engine.compare, ['inspection', 'target'],
                 ['progress', 'workers'])):
            with self.subTest(call=call.__name__):
                parameters = inspect.signature(call).parameters.values()
                named = [parameter for parameter in parameters
                         if parameter.kind is not parameter.VAR_KEYWORD]
                self.assertEqual(required, [
                    parameter.name for parameter in named
                    if parameter.default is parameter.empty])
                self.assertEqual(optional, [
                    parameter.name for parameter in named
                    if parameter.default is not parameter.empty])

    def test_every_error_is_public(self) -> None:
        errors = {name for name, value in vars(exceptions).items()
                  if inspect.isclass(value)
                  and issubclass(value, exceptions.ImageDeployError)}
        self.assertLessEqual(
            {'ImageDeployError', 'SourceError', 'ImageRefused',
             'TargetError', 'VerificationError'}, errors)
        for name in errors:
            self.assertIn(name, str(exceptions.__doc__))
