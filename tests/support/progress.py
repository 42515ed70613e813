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

"""Plain progress lines with the seconds since the start."""

import time

_STARTED = time.monotonic()


def say(text: str) -> None:
    """Print a line with the seconds that went by."""
    elapsed = time.monotonic() - _STARTED
    print(f'[{elapsed:5.0f} s] {text}', flush=True)
