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

"""A cluster is the same to each decoder of zstd.

zstandard takes whole frames, and its answer counts for those alone that the
other decoder reads in the same way. Here are frames of all kinds, and what is
left of them: the same bytes come of each, or the same error.
"""

import random
import unittest
from unittest import mock

import hypothesis
from hypothesis import strategies

from ironic_imagedeploy.engine.codecs import clusters
from ironic_imagedeploy.engine.codecs import errors
from ironic_imagedeploy.engine.codecs import libraries

_SETTINGS = hypothesis.settings(
    max_examples=500, derandomize=True, database=None, deadline=None,
    suppress_health_check=list(hypothesis.HealthCheck))
_MAGIC = b'\x28\xb5\x2f\xfd'
_SIZES = (512, 4096, 64 << 10, 256 << 10)
_OPTIONS = libraries.zstd.CompressionParameter
_FLUSH = libraries.zstd.ZstdCompressor.FLUSH_BLOCK


def verdict(stored: bytes, size: int) -> bytes | str:
    """What the cluster decodes to, or the words of its error."""
    try:
        return bytes(clusters.unzstd(stored, size))
    except errors.DecodeError as error:
        return str(error)


def content(draw: strategies.DrawFn, size: int) -> bytes:
    """Bytes that repeat others, near and far."""
    dice = random.Random(draw(strategies.integers(0, 1 << 32)))
    parts = [dice.randbytes(700), bytes(900), b'of a system' * 70]
    made = bytearray()
    while len(made) < size:
        start = dice.randrange(len(made) + 1)
        made += dice.choice([*parts, made[start:start + 3000]])
    return bytes(made[:size])


@strategies.composite
def frames(draw: strategies.DrawFn, size: int) -> bytes:
    """A frame that decodes to so many bytes."""
    packer = libraries.zstd.ZstdCompressor(options={
        _OPTIONS.compression_level: draw(strategies.sampled_from((1, 5))),
        _OPTIONS.window_log: draw(strategies.sampled_from((10, 16, 20, 24))),
        _OPTIONS.checksum_flag: draw(strategies.booleans())})
    if draw(strategies.booleans()):
        packer.set_pledged_input_size(size)
    plain = content(draw, size)
    step = draw(strategies.sampled_from((700, 8192, size or 1)))
    return b''.join([packer.compress(plain[start:start + step], _FLUSH)
                     for start in range(0, size, step)] + [packer.flush()])


@strategies.composite
def usual(draw: strategies.DrawFn, size: int) -> bytes:
    """A frame as QEMU writes it, maybe with a checksum."""
    packed: bytes = libraries.zstd.compress(content(draw, size), options={
        _OPTIONS.checksum_flag: draw(strategies.booleans())})
    return packed


@strategies.composite
def headers(draw: strategies.DrawFn, size: int) -> bytes:
    """A header of a frame, with fields that may be wrong."""
    length = draw(strategies.sampled_from((0, 2, 4, 4, 4, 8)))
    single = draw(strategies.booleans())
    descriptor = (0, 2, 4, 8).index(length) << 6 | single << 5 | draw(
        strategies.sampled_from((0, 0, 0, 0, 1, 3, 0x04, 0x08, 0x10)))
    window = draw(strategies.sampled_from(
        (0, 3 << 3, 5 << 3, 6 << 3, 8 << 3, 13 << 3, 14 << 3)))
    told = draw(strategies.sampled_from(
        (size, size, size, size - 1, size + 1, 0)))
    length = length or single
    field = (told - 256 * (length == 2)) % (1 << 8 * length)
    return (_MAGIC + bytes([descriptor]) + bytes([window]) * (not single)
            + b'\1' * (0, 1, 2, 4)[descriptor & 3]
            + field.to_bytes(length, 'little'))


@strategies.composite
def reheaded(draw: strategies.DrawFn, size: int) -> bytes:
    """Blocks of a frame, with the header of another."""
    frame = draw(frames(size))
    start = libraries.zstandard.frame_header_size(frame)
    return draw(headers(size)) + frame[start:]


@strategies.composite
def made_up(draw: strategies.DrawFn, size: int) -> bytes:
    """A frame of blocks that no compressor wrote."""
    blocks = []
    for _ in range(draw(strategies.integers(1, 4))):
        kind = draw(strategies.integers(0, 3))
        length = draw(strategies.sampled_from((0, 1, 100, size, size // 2)))
        last = draw(strategies.booleans())
        blocks.append((last | kind << 1 | length << 3).to_bytes(4, 'little')
                      [:3] + draw(strategies.binary(max_size=1)) * (
                          1 if kind == 1 else length))
    return draw(headers(size)) + b''.join(blocks)


@strategies.composite
def several(draw: strategies.DrawFn, size: int) -> bytes:
    """Frames one after the other, among which some may be skipped."""
    ends = sorted(draw(strategies.lists(strategies.integers(0, size),
                                        max_size=3)))
    made = b''
    for start, end in zip([0, *ends], [*ends, size], strict=True):
        made += draw(strategies.sampled_from((b'', b'', skipped(size))))
        made += draw(frames(end - start))
    return made


def skipped(size: int) -> bytes:
    """A frame to skip, of so many bytes."""
    return b'\x50\x2a\x4d\x18' + size.to_bytes(4, 'little') + bytes(size)


@strategies.composite
def stored_clusters(draw: strategies.DrawFn) -> tuple[bytes, int]:
    """What may be in a file for a cluster, and the size of that."""
    size = draw(strategies.sampled_from(_SIZES))
    made = bytearray(draw(draw(strategies.sampled_from((
        usual(size), usual(size), usual(size), frames(size), frames(size),
        frames(size + 1), frames(size - 1), reheaded(size), reheaded(size),
        reheaded(size), made_up(size), several(size))))))
    harm = draw(strategies.sampled_from(('', '', 'flip', 'cut')))
    if harm == 'flip':
        for _ in range(draw(strategies.integers(1, 3))):
            place = draw(strategies.sampled_from((
                strategies.integers(0, min(20, len(made) - 1)),
                strategies.integers(0, len(made) - 1))))
            made[draw(place)] ^= draw(strategies.integers(1, 255))
    if harm == 'cut':
        cut = draw(strategies.sampled_from((9, len(made))))
        del made[len(made) - draw(strategies.integers(1, cut)):]
    rest = draw(strategies.sampled_from((
        strategies.just(b''), strategies.just(bytes(511)),
        strategies.binary(max_size=600), usual(512))))
    return bytes(made) + draw(rest), size


class ZstdTest(unittest.TestCase):

    @_SETTINGS
    @hypothesis.given(cluster=stored_clusters())
    def test_a_cluster_is_the_same_to_each_decoder(
            self, cluster: tuple[bytes, int]) -> None:
        found = verdict(*cluster)
        with mock.patch.object(libraries, 'zstandard', None):
            self.assertEqual(verdict(*cluster), found)

    @_SETTINGS
    @hypothesis.given(cluster=stored_clusters())
    def test_among_others_it_is_what_it_is_alone(
            self, cluster: tuple[bytes, int]) -> None:
        stored, size = cluster
        other = libraries.zstd.compress(bytes(range(256)) * (size // 256))
        together = clusters.unzstd_together([other, stored, other], size)
        if together is not None:
            self.assertEqual([verdict(frame, size) for frame in (
                other, stored, other)], [*map(bytes, together)])
