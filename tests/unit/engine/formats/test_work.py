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

import array
import random
import sys
import time
import typing

from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import budget
from ironic_imagedeploy.engine.formats import base as formats
from ironic_imagedeploy.engine.formats import qcow2 as _qcow2
from tests.unit.engine import base
from tests.unit.engine import hostile
from tests.unit.engine import memory
from tests.unit.engine import qcow2_builder as qcow2
from tests.unit.engine import work

MIB = base.MIB
#: What is found, if not that it is too much.
CODES = {'directory': 'truncated', 'names': '-', 'partitions': '-',
         'texts': '-', 'groups': '-', 'systems': '-', 'paths': '-',
         'module lists': '-', 'compressed files': '-', 'quotes': '-',
         'blanks': '-', 'gzip': '-', 'xz': '-', 'bzip2': '-',
         'xfs': 'no-bootloader', 'blocks': 'no-partition-table',
         'kernel': 'not-a-kernel'}
#: Looks at a file, as somebody else may use the processor meanwhile.
_TRIES = 6
TYPES = {'kernel': 'kernel'}
#: Prints seconds of the processor, KiB of memory at most, and codes.
_LOOK = r'''
import re
import sys
import time
from ironic_imagedeploy import engine
source = engine.open_source(sys.argv[1])
begin = time.thread_time()
inspection = engine.inspect(source, engine.Expectation(
    image_type=sys.argv[2] or None, contents=True,
    permitted=('raw', 'qcow2', 'vmdk', 'vdi')))
taken = time.thread_time() - begin
status = open('/proc/self/status').read()
print(taken, re.search(r'VmHWM:\s+(\d+)', status)[1], '-',
      *(finding.code for finding in inspection.findings))
'''


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


class HostileTest(base.EngineTestCase):
    """A look at any file of up to 64 MiB takes 2 seconds and 256 MiB."""

    def test_every_look_ends(self) -> None:
        for name, make in hostile.MAKERS.items():
            with self.subTest(name=name):
                content = make(self.directory)
                self.assertLessEqual(len(content), 64 * MIB)
                # Whoever else uses the processor now slows some of them.
                for _ in range(_TRIES):
                    seconds, peak, *codes = base.run(
                        sys.executable, '-c', _LOOK, self.save(
                            'hostile', content), TYPES.get(name, '')).split()
                    most = work.SECONDS * work.slowness()
                    if float(seconds) < most:
                        break
                self.assertLess(float(seconds), most)
                self.assertLess(int(peak), 256 << 10)
                self.assertIn(CODES.get(name, 'too-complex'), codes)


class Qcow2LookTest(base.EngineTestCase):

    def look(self, source: engine.Source, **expectation: typing.Any
             ) -> engine.Inspection:
        for _ in range(_TRIES):
            begin = time.thread_time()
            inspection = engine.inspect(
                source, engine.Expectation(**expectation))
            taken = time.thread_time() - begin
            if taken < work.SECONDS:
                break
        self.assertLess(taken, work.SECONDS * work.slowness())
        return inspection

    def test_a_server_that_invents_tables(self) -> None:
        front = hostile.qcow2_tables(16, b'', 200_000)

        def content(offset: int, length: int) -> bytes:
            known = bytes(front[offset:offset + length])
            pairs = hostile.words(1 << 40, 2 << 40) * (length // 16 + 1)
            return known + pairs[:length - len(known)]

        # None is a neighbour of the one before.
        step = 2 * 65536
        front[65536:65536 + 8 * 200_000] = hostile.words(*range(
            1 << 30, (1 << 30) + 200_000 * step, step))
        source = RemoteSource(1 << 50, content)
        inspection = self.look(source)
        self.assertEqual(['too-complex'], [
            finding.code for finding in inspection.findings])
        self.assertLess(len(source.reads), _TRIES * 4000)

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

    def test_a_large_disk_in_no_sequence(self) -> None:
        """Clusters of 256 KiB, none of which goes on as the one before."""
        cluster = 256 << 10
        count = (704 << 30) // cluster
        tables = hostile.qcow2_tables(18, b'', count // (cluster // 8))
        places = array.array('Q', range(1, count + 1))
        random.Random(1).shuffle(places)
        first = len(tables) + 8 * count
        places = array.array('Q', [first + place * cluster
                                   for place in places])
        places.byteswap()
        tables += places.tobytes()

        def read(offset: int, length: int) -> bytes:
            return bytes(tables[offset:offset + length]).ljust(length, b'\0')

        source = RemoteSource(first + (count + 1) * cluster, read)
        source.local = True
        inspection = self.look(source, image_type=None)
        self.assertEqual(['no-partition-table'], [
            finding.code for finding in inspection.findings])
        image = inspection.image
        assert isinstance(image, formats.MappedImage)
        self.assertGreater(len(image.map), count * 99 // 100)

    def test_honest_disks_are_far_from_the_bound(self) -> None:
        """A TiB in clusters of 64 KiB, 2 GiB in clusters of 512 bytes."""
        for bits, size, content in ((16, 1 << 40, 1 << 41),
                                    (9, 2 << 30, 1 << 32)):
            cluster = 1 << bits
            per_table = cluster // 8
            count = size // cluster // per_table
            front = hostile.qcow2_tables(bits, b'', count)
            first = len(front)
            # In sequence, each table before the clusters that it names.
            step = (per_table + 1) * cluster
            front[cluster:cluster + 8 * count] = hostile.words(*range(
                first, first + count * step, step))

            def read(offset: int, length: int, front: bytearray = front,
                     first: int = first, step: int = step,
                     cluster: int = cluster) -> bytes:
                if offset < first:
                    return bytes(front[offset:offset + length])
                self.assertEqual(0, (offset - first) % step)
                return hostile.words(*range(offset + cluster, offset + step,
                                    cluster))[:length]

            drawn = budget.Budget()
            source = RemoteSource(content, read)
            source.local = True
            image = _qcow2.Qcow2Image(source, drawn)
            image.read_map()
            self.assertEqual(size, image.map.end)
            # Half of it is left for the reads, and for what is on the disk.
            drawn.draw(budget.ENTRIES // 2)
