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

"""Checksums of the image as stored."""

import dataclasses
import hashlib
import hmac

from ironic_imagedeploy.engine import exceptions

WEAK = frozenset({'md5', 'sha1'})
#: Algorithms as hashlib names them, by that name without what parts it: no
#: other is taken, as OpenSSL knows md5 and ripemd160 by more names.
_ALGORITHMS = {name.replace('_', ''): name for name in (
    'sha512', 'sha384', 'sha256', 'sha3_512', 'sha3_384', 'sha3_256',
    'sha3_224', 'blake2b', *sorted(WEAK))}
#: Algorithms by the length of their value in hexadecimal digits.
_BY_LENGTH = {32: 'md5', 40: 'sha1', 64: 'sha256', 96: 'sha384',
              128: 'sha512'}


@dataclasses.dataclass(frozen=True)
class Checksum:
    """The value that the stored bytes of an image must hash to.

    :ivar algorithm: name as in :mod:`hashlib`, for example ``sha512``.
    :ivar value: lower case hexadecimal digits.
    """

    algorithm: str
    value: str

    def __post_init__(self) -> None:
        if not isinstance(self.value, str):
            raise ValueError(f'{type(self.value).__name__} instead of text')
        algorithm = named(self.algorithm)
        value = self.value.strip().lower()
        digits = digest_size(algorithm) * 2
        if len(value) != digits or not set(value) <= set('0123456789abcdef'):
            raise ValueError(
                f'{self.value!r} is not a value of {algorithm}: expected '
                f'{digits} hexadecimal digits')
        object.__setattr__(self, 'algorithm', algorithm)
        object.__setattr__(self, 'value', value)

    @classmethod
    def parse(cls, text: str) -> 'Checksum':
        """Read ``ALGORITHM:HEX``, or a bare value told by its length.

        :raises ValueError: when it is neither.
        """
        if not isinstance(text, str):
            raise ValueError(f'{type(text).__name__} instead of text')
        algorithm, colon, value = text.strip().rpartition(':')
        if not colon:
            try:
                algorithm = _BY_LENGTH[len(value)]
            except KeyError:
                raise ValueError(
                    f'{text!r} is not a checksum: expected ALGORITHM:HEX, for '
                    'example sha512:0123...') from None
        return cls(algorithm, value)

    @property
    def weak(self) -> bool:
        """Whether a forger can make another image with this value."""
        return self.algorithm in WEAK

    def matches(self, value: str) -> bool:
        """Whether a computed hexadecimal value is the expected one."""
        return hmac.compare_digest(self.value, value)

    def check(self, name: str, value: str) -> None:
        """Hold the computed value of a file against the expected one.

        :param name: of the file, without secrets.
        :raises ChecksumMismatch: when they differ.
        """
        if not self.matches(value):
            raise exceptions.ChecksumMismatch(
                name, expected=f'{self.algorithm} {self.value}', found=value,
                fix='The image was changed or damaged on its way or in its '
                    'store; upload it again, or correct its checksum.')


def named(algorithm: str) -> str:
    """Name of an algorithm for hashlib, however it is spelled.

    :param algorithm: for example ``SHA3-256``.
    :raises ValueError: when it is not one of those that are taken.
    """
    key = algorithm.strip().lower().replace('-', '').replace('_', '')
    try:
        return _ALGORITHMS[key]
    except KeyError:
        raise ValueError(
            f'{algorithm[:40]!r} is not a checksum algorithm: expected one of '
            + ', '.join(_ALGORITHMS.values())) from None


def digest_size(algorithm: str) -> int:
    """Bytes in a digest of an algorithm.

    :raises ValueError: when it is unknown, or not available here.
    """
    return hashlib.new(named(algorithm), usedforsecurity=False).digest_size
