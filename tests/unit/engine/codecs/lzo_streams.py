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

"""Streams of LZO1X."""

import base64

#: As Linux wrote it.
MIX = base64.b64decode(
    'AgAAAAAAIAAANRAAALcBAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fICEiIyQlJico'
    'KSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj9AQUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVpbXF1e'
    'X2BhYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5ent8fX5/gIGCg4SFhoeIiYqLjI2Oj5CRkpOU'
    'lZaXmJmam5ydnp+goaKjpKWmp6ipqqusra6vsLGys7S1tre4ubq7vL2+v8DBwsPExcbHZGUg'
    'AAqOAWFiIAAANwUAACCmLBEAJsjJysvMzc7P0NHS09TV1tfY2drb3N3e3+Dh4uPk5ebn6Onq'
    '6+zt7u/w8fLz9PX29/j5+vv8/f7/IN/9A3EgAAAAAAAAADIAAAxxcXFxcXFxcXFxcXFxcXER'
    'AAA=')
MIXED = (bytes(600) + bytes(range(200)) + bytes(range(100, 200)) * 3
         + b'ab' * 300 + bytes(range(256)) * 2).ljust(4096, b'q')
END = b'\x11\0\0'


def literals(content: bytes) -> bytes:
    """How a stream with so many literals begins, 19 or more."""
    count = len(content) - 18
    return (bytes(1 + (count - 1) // 255) + bytes([(count - 1) % 255 + 1])
            + content)
