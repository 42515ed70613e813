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

"""Sizes as people type them."""

import re

_SIZE = re.compile(r'([0-9]{1,20})([KMGTP]?)(iB)?', re.IGNORECASE)
_UNITS = ('', 'K', 'M', 'G', 'T', 'P')


def parse(words: str) -> int:
    """Bytes of a size such as ``500M``, ``500m`` or ``500MiB``.

    Units are of 1024.

    :raises ValueError: when it is not a size above 0.
    """
    match = _SIZE.fullmatch(words.strip())
    # 24iB is nothing; 500MB is 500 million bytes to some.
    if match and match[3] and not match[2]:
        match = None
    count = int(match[1]) << 10 * _UNITS.index(
        match[2].upper()) if match else 0
    if not count:
        raise ValueError(
            f'{words!r} is not a size: expected a number of bytes above 0, or '
            'one with K, M, G, T or P for units of 1024, for example 500M '
            'or 500MiB')
    return count
