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

"""Manifests of small files."""

import hashlib

from ironic_imagedeploy.engine import checksum
from ironic_imagedeploy.engine import manifest
from ironic_imagedeploy.engine import manifest_builder

MIB = 1 << 20


def sha512(content: bytes) -> checksum.Checksum:
    """The checksum of a whole file."""
    return checksum.Checksum('sha512', hashlib.sha512(content).hexdigest())


def image(size: int, data: dict[int, bytes]) -> bytes:
    """A file of zeroes with some data at these offsets."""
    content = bytearray(size)
    for offset, piece in data.items():
        content[offset:offset + len(piece)] = piece
    return bytes(content)


def built(content: bytes, pieces: int = 300_000) -> manifest.Manifest:
    """The manifest of a file that comes in pieces of so many bytes."""
    with manifest_builder.Builder(len(content)) as builder:
        for start in range(0, len(content), pieces):
            builder.update(memoryview(content)[start:start + pieces])
        return builder.finish(sha512(content))


CONTENT = image(5 * MIB + 700, {
    0: b'first', 70_000: b'second', 2 * MIB - 1: b'across', 5 * MIB: b'end'})
