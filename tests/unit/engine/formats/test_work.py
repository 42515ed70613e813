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

"""A look at an image ends, whatever the image says."""

import struct
import time
import typing

from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import budget
from ironic_imagedeploy.engine.formats import qcow2 as _qcow2
from tests.unit.engine import base
from tests.unit.engine import memory
from tests.unit.engine import qcow2_builder as qcow2
from tests.unit.engine import work

MIB = base.MIB


class RemoteSource(memory.MemorySource):
    """A file behind a server, which makes it up."""

    local = False

    def __init__(self, size: int,
                 content: typing.Callable[[int, int], bytes]) -> None:
        super().__init__(b'')
        self.size = size
        self._content = content

    def read_at(self, offset: int, length: int) -> bytes:
        self.reads.append((offset, length))
        return self._content(offset, length)


def words(*values: int) -> bytes:
    """Entries of a table of qcow2."""
    return struct.pack(f'>{len(values)}Q', *values)


def tables(extended_l2: bool, bits: int, entries: bytes, count: int
           ) -> bytearray:
    """A qcow2 file with so many level 2 tables, all alike.

    They follow the header and the level 1 table; data follows them.
    """
    cluster = 1 << bits
    per_table = cluster // (16 if extended_l2 else 8)
    level1 = -(-count * 8 // cluster) * cluster
    first = cluster + level1
    file = bytearray(first)
    file[:] = qcow2.patched(
        file, magic=0x514649fb, version=3, cluster_bits=bits,
        size=count * per_table * cluster, l1_size=count,
        l1_table_offset=cluster, refcount_order=4, header_length=104,
        incompatible_features=extended_l2 << 4)
    file[cluster:cluster + count * 8] = words(
        *range(first, first + count * cluster, cluster))
    return file + entries * count + bytes(cluster)


class Qcow2LookTest(base.EngineTestCase):

    def look(self, source: engine.Source, **expectation: typing.Any
             ) -> engine.Inspection:
        begin = time.thread_time()
        inspection = engine.inspect(source, engine.Expectation(**expectation))
        taken = time.thread_time() - begin
        self.assertLess(taken, work.SECONDS * work.slowness())
        return inspection

    def codes(self, file: bytes | bytearray) -> list[str]:
        inspection = self.look(memory.MemorySource(file))
        for finding in inspection.findings:
            self.assert_complete(finding)
        return [finding.code for finding in inspection.findings]

    def test_subclusters_that_alternate(self) -> None:
        """A file of 10 MiB with a map of 20 million pieces."""
        data = 12 * MIB
        pair = words(data, 0x55555555)
        table = pair * (65536 // 16)
        file = tables(True, 16, table, 160)
        self.assertEqual(['too-complex'],
                         self.codes(file + bytes(data + 65536 - len(file))))

    def test_clusters_that_alternate(self) -> None:
        table = words(40 * MIB, 0) * (65536 // 16)
        file = tables(False, 16, table, 512)
        self.assertEqual(['too-complex'],
                         self.codes(file + bytes(41 * MIB - len(file))))

    def test_compressed_clusters_in_one_place(self) -> None:
        entry = 1 << 62 | 50 * MIB
        table = words(*[entry] * (65536 // 8))
        file = tables(False, 16, table, 700)
        self.assertIn('too-complex',
                      self.codes(file + bytes(51 * MIB - len(file))))

    def test_small_clusters(self) -> None:
        table = words(63 * MIB, 62 * MIB) * 32
        file = tables(False, 9, table, 100_000)
        self.assertIn('too-complex',
                      self.codes(file + bytes(64 * MIB - len(file))))

    def test_a_server_that_invents_tables(self) -> None:
        front = tables(False, 16, b'', 200_000)

        def content(offset: int, length: int) -> bytes:
            known = bytes(front[offset:offset + length])
            return known + (words(1 << 40, 2 << 40) * (length // 16 + 1)
                            )[:length - len(known)]

        # None is a neighbour of the one before.
        step = 2 * 65536
        front[65536:65536 + 8 * 200_000] = words(*range(
            1 << 30, (1 << 30) + 200_000 * step, step))
        source = RemoteSource(1 << 50, content)
        inspection = self.look(source)
        self.assertEqual(['too-complex'], [
            finding.code for finding in inspection.findings])
        self.assertLess(len(source.reads), 4000)

    def test_the_size_is_judged_before_any_table_is_read(self) -> None:
        builder = qcow2.fill(qcow2.Builder(4 * MIB))
        source = memory.MemorySource(builder.build())
        inspection = self.look(source, disk_size=3 * MIB)
        self.assertEqual((['too-large'], 4 * MIB), (
            [finding.code for finding in inspection.findings],
            inspection.virtual_size))
        places = [builder.places['l1'], *(
            place for name, place in builder.places.items()
            if name.startswith('l2'))]
        for offset, length in source.reads[3:]:
            self.assertFalse([place for place in places
                              if offset <= place < offset + length])

    def test_honest_disks_are_far_from_the_bound(self) -> None:
        """A TiB in clusters of 64 KiB, 2 GiB in clusters of 512 bytes."""
        for bits, size, content in ((16, 1 << 40, 1 << 41),
                                    (9, 2 << 30, 1 << 32)):
            cluster = 1 << bits
            per_table = cluster // 8
            count = size // cluster // per_table
            front = tables(False, bits, b'', count)
            first = len(front) - cluster
            # In sequence, each table before the clusters that it names.
            step = (per_table + 1) * cluster
            front[cluster:cluster + 8 * count] = words(*range(
                first, first + count * step, step))

            def read(offset: int, length: int, front: bytearray = front,
                     first: int = first, step: int = step,
                     cluster: int = cluster) -> bytes:
                if offset < first:
                    return bytes(front[offset:offset + length])
                self.assertEqual(0, (offset - first) % step)
                return words(*range(offset + cluster, offset + step,
                                    cluster))[:length]

            drawn = budget.Budget()
            source = RemoteSource(content, read)
            source.local = True
            image = _qcow2.Qcow2Image(source, drawn)
            image.read_map()
            self.assertEqual(size, image.map.end)
            # Half of it is left for the reads, and for what is on the disk.
            drawn.draw(budget.ENTRIES // 2)
