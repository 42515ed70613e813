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


"""Every reader keeps its promises, for changes of what is valid.

The inputs are the same in each run; ``tools/fuzz.sh`` looks for others.
"""

import pathlib
import unittest

import hypothesis
from hypothesis import strategies

from tests.fuzz import bounds
from tests.fuzz import mutation
from tests.fuzz import target as targets
from tests.fuzz.targets import TARGETS

FINDINGS = pathlib.Path(__file__).parent / 'findings'


def inputs(target: targets.Target) -> strategies.SearchStrategy[bytes]:
    """Inputs of a target: a seed with some edits."""
    byte = strategies.integers(0, 255)
    edits = strategies.lists(strategies.builds(
        mutation.Edit, strategies.integers(0, (1 << 32) - 1), byte, byte,
        strategies.integers(0, (1 << 64) - 1)), min_size=1, max_size=6)
    return strategies.builds(
        lambda seed, wrong, changes: mutation.Input(
            seed, mutation.WRONG_CHECKSUMS if wrong else 0,
            b''.join(map(mutation.Edit.encode, changes))).encode(),
        strategies.integers(0, target.seeds - 1),
        strategies.sampled_from([False] * 9 + [True]), edits)


class SeedsTest(unittest.TestCase):

    def test_readers_accept_what_is_valid(self) -> None:
        for name, target in TARGETS.items():
            for seed in range(target.seeds):
                with self.subTest(name, seed=seed):
                    outcome = bounds.check(
                        target, mutation.Input(seed, 0, b'').encode())
                    self.assertFalse(
                        isinstance(outcome, tuple) and outcome
                        and outcome[0] in [error.__name__
                                           for error in target.errors],
                        outcome)


class FindingsTest(unittest.TestCase):
    """Inputs that once broke a promise."""

    def test_they_break_none(self) -> None:
        for path in sorted(FINDINGS.glob('*/*')):
            with self.subTest(path.parent.name, input=path.name):
                bounds.check(TARGETS[path.parent.name], path.read_bytes())


class ReadersTest(unittest.TestCase):
    """One test for each reader."""


def _test(target: targets.Target) -> object:
    @hypothesis.settings(
        max_examples=target.examples, derandomize=True, database=None,
        deadline=None, suppress_health_check=list(hypothesis.HealthCheck))
    @hypothesis.given(stored=inputs(target))
    def test(self: ReadersTest, stored: bytes) -> None:
        bounds.check(target, stored)
    return test


for _name, _target in TARGETS.items():
    setattr(ReadersTest, f'test_{_name.replace("-", "_")}', _test(_target))
