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

import re
import unittest

from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine import findings


def subclasses(kind: type) -> set[type]:
    """All of them, at any depth."""
    return {kind}.union(*map(subclasses, kind.__subclasses__()))


class ErrorTreeTest(unittest.TestCase):

    def test_exit_statuses(self) -> None:
        for root, status in (
                (exceptions.SourceError, 3), (exceptions.ImageRefused, 4),
                (exceptions.TargetError, 5),
                (exceptions.VerificationError, 6)):
            for kind in subclasses(root):
                with self.subTest(kind=kind.__name__):
                    self.assertEqual(status, kind.exit_status)
        self.assertEqual(1, exceptions.ImageDeployError.exit_status)

    def test_the_docstring_shows_the_tree(self) -> None:
        drawn = re.findall(r'^[ |`-]*([A-Z]\w+)(?: {2,}|$)',
                           str(exceptions.__doc__), re.MULTILINE)
        self.assertEqual(
            sorted(kind.__name__
                   for kind in subclasses(exceptions.ImageDeployError)
                   if kind.__module__ == exceptions.__name__),
            sorted(drawn))

    def test_each_kind_has_a_summary_of_its_own(self) -> None:
        kinds = subclasses(exceptions.ImageDeployError)
        self.assertEqual(len(kinds), len({kind.summary for kind in kinds}))


class MessageTest(unittest.TestCase):

    def test_the_message_tells_the_four_things(self) -> None:
        error = exceptions.TargetTooSmall(
            '/dev/sdb', expected='at least 100 bytes', found='99 bytes',
            fix='Use a larger disk.')
        self.assertEqual(
            '/dev/sdb: the target is too small: expected at least 100 bytes, '
            'found 99 bytes. Use a larger disk.', str(error))
        self.assertEqual(
            ('/dev/sdb', 'at least 100 bytes', '99 bytes',
             'Use a larger disk.'),
            (error.subject, error.expected, error.found, error.fix))

    def test_a_refusal_tells_all_its_findings(self) -> None:
        first, second = (findings.Finding(
            code=code, message=f'Message {code}.', expected=f'this {code}',
            found=f'that {code}', fix=f'Mend {code}.')
            for code in ('corrupt', 'no-esp'))
        error = exceptions.ImageRefused('disk.img', [first, second])
        self.assertEqual((first, second), error.findings)
        self.assertEqual(('this corrupt', 'that corrupt', 'Mend corrupt.'),
                         (error.expected, error.found, error.fix))
        self.assertEqual(
            'disk.img: the image is refused: '
            'corrupt: Message corrupt. Expected this corrupt, found that '
            'corrupt. Mend corrupt. no-esp: Message no-esp. Expected this '
            'no-esp, found that no-esp. Mend no-esp.',
            str(error))
