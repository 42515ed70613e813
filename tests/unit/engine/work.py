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

"""How long a look at an image may take, on a processor that others use too."""

import os
import time

#: Seconds of a processor that a look may take, and what a count to a million
#: takes on one of 2 GHz that nobody else uses.
SECONDS = 2.0
_COUNT_SECONDS = 0.04
#: As seen with two processes on each of two processors.
_CROWDED = 1.5


def slowness() -> float:
    """How many times slower this processor is now.

    One that has more to do than one thing at a time is slower by what its
    caches lose, which a count does not show.
    """
    begin = time.thread_time()
    for _ in range(1_000_000):
        pass
    return max((time.thread_time() - begin) / _COUNT_SECONDS,
               _CROWDED if os.getloadavg()[0] > (os.cpu_count() or 1)
               else 1.0)
