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

"""Ways to log in that a registry offers (RFC 9110, section 11.6.1)."""

import dataclasses
import re

#: Characters of a header.
_LONGEST = 8192
_SCHEME = re.compile(r'[\s,]*([A-Za-z0-9_-]+)(?=[\s,]|$)', re.ASCII)
_PARAMETER = re.compile(
    r'[\s,]*([A-Za-z0-9_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))',
    re.ASCII)
_ESCAPED = re.compile(r'\\(.)')


@dataclasses.dataclass(frozen=True)
class Challenge:
    """Way to log in.

    :ivar scheme: in lower case, as ``bearer``.
    :ivar parameters: by their names in lower case.
    """

    scheme: str
    parameters: dict[str, str]


def parse(header: str) -> list[Challenge]:
    """Ways to log in that a WWW-Authenticate header offers.

    What cannot be read ends them.
    """
    found: list[Challenge] = []
    header, position = header[:_LONGEST], 0
    while True:
        match = _PARAMETER.match(header, position)
        if match and found:
            value = (match[3] if match[2] is None
                     else _ESCAPED.sub(r'\1', match[2]))
            found[-1].parameters.setdefault(match[1].lower(), value)
        else:
            match = _SCHEME.match(header, position)
            if not match:
                break
            found.append(Challenge(match[1].lower(), {}))
        position = match.end()
    return found
