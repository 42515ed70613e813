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

"""Checks that build on each other, counted."""

from collections.abc import Callable
from collections.abc import Sequence
import dataclasses
import traceback

from tests.support import progress


class Skip(Exception):
    """A check does not apply; the message says why."""


@dataclasses.dataclass
class Counts:
    """How the checks ended."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __str__(self) -> str:
        return (f'{self.passed} passed, {self.failed} failed, '
                f'{self.skipped} skipped')


def run(checks: Sequence[tuple[str, Callable[[], None]]]) -> Counts:
    """Run the checks in order; after a failure the rest is skipped."""
    counts = Counts()
    for name, check in checks:
        if counts.failed:
            progress.say(f'SKIP {name}')
            counts.skipped += 1
            continue
        try:
            check()
        except Skip as reason:
            progress.say(f'SKIP {name}: {reason}')
            counts.skipped += 1
        except Exception as exc:
            progress.say(f'FAIL {name}: {exc}')
            traceback.print_exc()
            counts.failed += 1
        else:
            progress.say(f'PASS {name}')
            counts.passed += 1
    return counts
