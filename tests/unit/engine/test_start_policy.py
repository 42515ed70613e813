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

import itertools
import unittest

from ironic_imagedeploy.engine import findings
from ironic_imagedeploy.engine import start_policy

Policy = start_policy.StartPolicy
ERROR, WARNING = findings.Severity.ERROR, findings.Severity.WARNING
CONSOLE, LOGIN = 'serial-console-only', 'no-login'


def finding(code: str) -> findings.Finding:
    return findings.Finding(code=code, expected='this', found='that')


def severities(policy: Policy) -> dict[str, findings.Severity]:
    """What becomes of two findings."""
    return {each.code: each.severity for each in policy.applied(
        map(finding, (CONSOLE, LOGIN)))}


class StartPolicyTest(unittest.TestCase):

    def test_modes(self) -> None:
        self.assertEqual({CONSOLE: WARNING, LOGIN: WARNING},
                         severities(Policy()))
        self.assertEqual({CONSOLE: ERROR, LOGIN: ERROR},
                         severities(Policy(mode='refuse')))
        self.assertEqual(
            [True, True, False],
            [Policy(mode=mode).looks for mode in start_policy.MODES])

    def test_codes(self) -> None:
        self.assertEqual({CONSOLE: ERROR, LOGIN: WARNING},
                         severities(Policy(raised=(CONSOLE,))))
        for mode, other in (('warn', WARNING), ('refuse', ERROR)):
            self.assertEqual({LOGIN: other}, severities(
                Policy(mode=mode, muted=(CONSOLE,))))
            self.assertEqual(ERROR, severities(Policy(
                mode=mode, muted=(CONSOLE,), raised=(CONSOLE,)))[CONSOLE])

    def test_what_is_an_error_stays_one(self) -> None:
        bad = findings.Finding(code='driver-missing', expected='x',
                               found='y', severity=ERROR)
        self.assertEqual([bad], [*Policy().applied([bad])])

    def test_all_codes_of_the_topic(self) -> None:
        self.assertIn('driver-missing', start_policy.CODES)
        self.assertNotIn('no-esp', start_policy.CODES)


class OwnerTest(unittest.TestCase):
    """An owner may be stricter, and quieter where nothing is raised."""

    def test_an_owner_who_says_nothing(self) -> None:
        for policy in (Policy(), Policy(mode='off'), Policy(mode='refuse'),
                       Policy(raised=(CONSOLE,), muted=(LOGIN,))):
            self.assertEqual(policy, policy.narrowed(Policy()))

    def test_stricter(self) -> None:
        self.assertEqual(Policy(mode='refuse'),
                         Policy().narrowed(Policy(mode='refuse')))
        owner = Policy(raised=(CONSOLE,))
        self.assertEqual(owner, Policy().narrowed(owner))
        # Of what the operator does not want to hear, too.
        self.assertEqual({CONSOLE: ERROR, LOGIN: WARNING}, severities(
            Policy(muted=(CONSOLE,)).narrowed(owner)))

    def test_quieter(self) -> None:
        self.assertEqual({LOGIN: WARNING}, severities(
            Policy().narrowed(Policy(muted=(CONSOLE,)))))
        self.assertEqual({}, severities(Policy().narrowed(
            Policy(mode='off'))))

    def test_no_owner_mutes_what_is_raised(self) -> None:
        both = (CONSOLE, LOGIN)
        for mode, muted in itertools.product(start_policy.MODES, ((), both)):
            owner = Policy(mode=mode, muted=muted)
            self.assertEqual(ERROR, severities(Policy(
                raised=(CONSOLE,)).narrowed(owner))[CONSOLE])
            self.assertEqual({CONSOLE: ERROR, LOGIN: ERROR}, severities(
                Policy(mode='refuse').narrowed(owner)))

    def test_no_owner_has_an_operator_look(self) -> None:
        for owner in (Policy(mode='refuse'), Policy(raised=(CONSOLE,))):
            self.assertFalse(Policy(mode='off').narrowed(owner).looks)
